// podless rbac learn: the least roles for what a client was seen to do, from the audit log. Called by commands/rbac.ts.
// What every authenticated user may do anyway is left out.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { encodeYaml, isObject, type JsonObject, type JsonValue } from '@podless/apimachinery'
import { CliError, EXIT } from '../exit.ts'
import { type OutputFormat, printJson } from '../output.ts'

export interface LearnOptions {
  readonly auditLog: readonly string[]
  readonly user: string
  readonly roleName?: string
  /** Grant what was refused, too. */
  readonly denied?: boolean
  readonly output: OutputFormat
}

/** One permission that was used. */
export interface Use {
  /** Empty for what is cluster-wide. */
  readonly namespace: string
  readonly verb: string
  readonly group: string
  /** With its subresource. */
  readonly resource: string
  readonly name: string
  /** Set for what is no resource, and then only `verb` is. */
  readonly path?: string
}

interface Rule {
  readonly group: string
  readonly resources: readonly string[]
  readonly names: readonly string[]
  readonly verbs: readonly string[]
}

/** Above this, names are data that come and go, and a rule that lists them would be wrong tomorrow. */
const NAMES_MAX = 8
/** Verbs on one object. A rule with names allows no others. */
const NAMED_VERBS: ReadonlySet<string> = new Set(['get', 'update', 'patch', 'delete'])
const EVERYBODYS_PATHS = /^\/(?:api|apis|openapi|version|healthz|livez|readyz)(?:\/|$)/
const EVERYBODYS_REVIEWS: ReadonlySet<string> = new Set([
  'authentication.k8s.io/selfsubjectreviews',
  'authorization.k8s.io/selfsubjectaccessreviews',
  'authorization.k8s.io/selfsubjectrulesreviews',
])

/** Prints the roles: YAML documents, or a List in JSON. Throws a CliError when the log shows nothing of the user. */
export async function learn(options: LearnOptions): Promise<void> {
  const uses: Use[] = []
  for (const path of options.auditLog) {
    for await (const event of eventsIn(path)) {
      const use = useOf(event, options)
      if (use !== undefined) uses.push(use)
    }
  }
  const name = options.roleName ?? roleNameOf(options.user)
  const roles = rolesFor(uses, name)
  if (roles.length === 0) {
    throw new CliError(
      EXIT.data,
      `the audit log shows nothing that ${options.user} did beyond what everybody may do; is that the user's whole name, and does the policy record it?`,
    )
  }
  if (options.output === 'json') printJson({ apiVersion: 'v1', kind: 'List', items: roles })
  else process.stdout.write(roles.map(encodeYaml).join('---\n'))
}

async function* eventsIn(path: string): AsyncGenerator<JsonObject> {
  let number = 0
  try {
    for await (const line of createInterface({ input: createReadStream(path) })) {
      number += 1
      if (line.trim() === '') continue
      const event: unknown = JSON.parse(line)
      if (isObject(event as JsonValue)) yield event as JsonObject
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const place = number === 0 ? path : `${path}, line ${number}`
    throw new CliError(EXIT.data, `--audit-log ${place} cannot be read: ${why}`, { cause: error })
  }
}

const textOf = (value: JsonValue | undefined, key: string): string => {
  const field = isObject(value) ? value[key] : undefined
  return typeof field === 'string' ? field : ''
}

/** What an event used; undefined when it is another user's, was refused, or needs no rule. */
export function useOf(
  event: JsonObject,
  { user, denied }: Pick<LearnOptions, 'user' | 'denied'>,
): Use | undefined {
  if (textOf(event.impersonatedUser ?? event.user, 'username') !== user) return undefined
  const decision = textOf(event.annotations, 'authorization.k8s.io/decision')
  if (decision !== 'allow' && !(denied === true && decision === 'forbid')) return undefined
  const verb = textOf(event, 'verb')
  const reference = event.objectRef
  if (!isObject(reference)) {
    const path = textOf(event, 'requestURI').replace(/\?.*/, '')
    if (EVERYBODYS_PATHS.test(path)) return undefined
    return { namespace: '', verb, group: '', resource: '', name: '', path }
  }
  const group = textOf(reference, 'apiGroup')
  const plural = textOf(reference, 'resource')
  if (verb === 'create' && EVERYBODYS_REVIEWS.has(`${group}/${plural}`)) return undefined
  const subresource = textOf(reference, 'subresource')
  return {
    // A namespace counts as inside itself, but a role for it is cluster-wide.
    namespace: plural === 'namespaces' ? '' : textOf(reference, 'namespace'),
    verb,
    group,
    resource: subresource === '' ? plural : `${plural}/${subresource}`,
    name: NAMED_VERBS.has(verb) || subresource !== '' ? textOf(reference, 'name') : '',
  }
}

/** A ClusterRole for what is cluster-wide and a Role for each namespace. */
export function rolesFor(uses: readonly Use[], name: string): JsonObject[] {
  const namespaces = [...new Set(uses.map(({ namespace }) => namespace))].sort()
  return namespaces.map(namespace => {
    const here = uses.filter(use => use.namespace === namespace)
    const rules = rulesFor(here).map(({ group, resources, names, verbs }): JsonObject => {
      const named = names.length === 0 ? {} : { resourceNames: [...names] }
      return { apiGroups: [group], resources: [...resources], ...named, verbs: [...verbs] }
    })
    return {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: namespace === '' ? 'ClusterRole' : 'Role',
      metadata: { name, ...(namespace === '' ? {} : { namespace }) },
      rules: [...rules, ...pathRules(here)],
    }
  })
}

/** Adds an item to the list under a key. */
function file<K, V>(map: Map<K, V[]>, key: K, item: V): void {
  const items = map.get(key)
  if (items === undefined) map.set(key, [item])
  else items.push(item)
}

const unique = (items: readonly string[]): string[] => [...new Set(items)].sort()

function rulesFor(uses: readonly Use[]): Rule[] {
  const byResource = new Map<string, Use[]>()
  for (const use of uses) {
    if (use.path === undefined) file(byResource, `${use.group} ${use.resource}`, use)
  }
  const merged = new Map<string, Rule[]>()
  for (const rule of [...byResource.values()].flatMap(rulesOfResource)) {
    file(merged, JSON.stringify([rule.group, rule.names, rule.verbs]), rule)
  }
  return [...merged.values()]
    .map((rules): Rule => {
      const [first] = rules
      const resources = unique(rules.flatMap(rule => rule.resources))
      return { group: '', names: [], verbs: [], ...first, resources }
    })
    .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

const keyOf = ({ group, resources, names }: Rule): string =>
  JSON.stringify([group, resources, names])

/** One rule for the verbs that need no name, and one for those that were used on few objects only. */
function rulesOfResource(uses: readonly Use[]): Rule[] {
  const [first] = uses
  if (first === undefined) return []
  const base = { group: first.group, resources: [first.resource] }
  const namesOf = new Map<string, string[]>()
  for (const { verb, name } of uses) file(namesOf, verb, name)
  const isNamed = (names: readonly string[]): boolean =>
    !names.includes('') && unique(names).length <= NAMES_MAX
  const free = [...namesOf].filter(([, names]) => !isNamed(names)).map(([verb]) => verb)
  const rules: Rule[] = free.length === 0 ? [] : [{ ...base, names: [], verbs: unique(free) }]
  const byNames = new Map<string, string[]>()
  for (const [verb, names] of namesOf) {
    if (isNamed(names)) file(byNames, JSON.stringify(unique(names)), verb)
  }
  for (const [names, verbs] of byNames) {
    rules.push({ ...base, names: JSON.parse(names) as string[], verbs: unique(verbs) })
  }
  return rules
}

function pathRules(uses: readonly Use[]): JsonObject[] {
  const byVerb = new Map<string, string[]>()
  for (const { verb, path } of uses) if (path !== undefined) file(byVerb, verb, path)
  return [...byVerb].map(([verb, paths]) => ({ nonResourceURLs: unique(paths), verbs: [verb] }))
}

const roleNameOf = (user: string): string =>
  `learned-${user.replace(/^system:serviceaccount:/, '').replaceAll(/[/%]/g, '-')}`
