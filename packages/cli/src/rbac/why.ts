// podless rbac why: may a user do this, and which binding and rule decide? Asks the running server and reads the role.
// Called by commands/rbac.ts. Exit code 0 for allowed, 1 for denied.

import { ruleAllows, rulesOf } from '@podless/api'
import { isObject, type JsonObject, type JsonValue } from '@podless/apimachinery'
import { type OutputFormat, printJson, printLines } from '../output.ts'
import { type ApiObject, objectPath, openServer, type ServerClient } from '../server-client.ts'

export interface WhyOptions {
  readonly data: string
  readonly kubeconfig?: string
  readonly namespace?: string
  readonly group?: readonly string[]
  readonly name?: string
  readonly output: OutputFormat
}

export interface Question {
  readonly user: string
  readonly groups: readonly string[]
  readonly verb: string
  /** Set for what is no resource. */
  readonly path?: string
  readonly apiGroup: string
  readonly resource: string
  readonly subresource: string
  readonly name: string
  readonly namespace: string
}

export interface Decision {
  readonly allowed: boolean
  readonly reason: string
  readonly binding?: { readonly kind: string; readonly name: string; readonly namespace: string }
  readonly role?: { readonly kind: string; readonly name: string }
  readonly subject?: { readonly kind: string; readonly name: string }
  /** The role's rules that allow it. */
  readonly rules: readonly JsonObject[]
}

const RBAC = 'rbac.authorization.k8s.io/v1'
const DENIED = 1

/** Prints the decision. The exit code says it too. */
export async function why(
  [user, verb, what]: readonly [string, string, string],
  options: WhyOptions,
): Promise<void> {
  const client = await openServer(options)
  try {
    const question = await questionOf(client, { user, verb, what }, options)
    const decision = await decide(client, question)
    if (options.output === 'json') printJson({ question, ...decision })
    else printLines(linesOf(question, decision, await bindingsOf(client, question, decision)))
    if (!decision.allowed) process.exitCode = DENIED
  } finally {
    client.close()
  }
}

async function questionOf(
  client: ServerClient,
  { user, verb, what }: { user: string; verb: string; what: string },
  { namespace = '', group = [], name = '' }: WhyOptions,
): Promise<Question> {
  const groups = [...group, ...groupsOf(user)]
  const blank = { apiGroup: '', resource: '', subresource: '', name, namespace }
  if (what.startsWith('/')) return { ...blank, user, groups, verb, path: what }
  const [resource = '', subresource = ''] = what.split('/', 2)
  const cut = resource.indexOf('.')
  const plural = cut < 0 ? resource : resource.slice(0, cut)
  const apiGroup = cut < 0 ? await groupOf(client, plural) : resource.slice(cut + 1)
  return { ...blank, user, groups, verb, apiGroup, resource: plural, subresource }
}

/** The groups a user has by logging in. */
export function groupsOf(user: string): string[] {
  if (user === 'system:anonymous') return ['system:unauthenticated']
  const namespace = /^system:serviceaccount:([^:]+):[^:]+$/.exec(user)?.[1]
  if (namespace === undefined) return ['system:authenticated']
  const accounts = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`]
  return [...accounts, 'system:authenticated']
}

/** The API group that serves a resource of this name: core first, '' when none does. */
async function groupOf(client: ServerClient, plural: string): Promise<string> {
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
  for (const path of ['/api', '/apis']) {
    const { text } = await client.send('GET', path, { accept })
    const { items = [] } = JSON.parse(text) as {
      items?: { metadata: { name?: string }; versions: { resources: { resource: string }[] }[] }[]
    }
    const found = items.find(({ versions }) =>
      versions.some(({ resources }) => resources.some(({ resource }) => resource === plural)),
    )
    if (found !== undefined) return found.metadata.name ?? ''
  }
  return ''
}

async function decide(client: ServerClient, question: Question): Promise<Decision> {
  const { user, groups, verb, path, apiGroup, resource, subresource, name, namespace } = question
  const attributes: JsonObject =
    path === undefined
      ? {
          resourceAttributes: { verb, group: apiGroup, resource, subresource, name, namespace },
        }
      : { nonResourceAttributes: { verb, path } }
  const review = await client.create('/apis/authorization.k8s.io/v1/subjectaccessreviews', {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: { user, groups: [...groups], ...attributes },
  })
  const { allowed = false, reason = '' } = review.status as { allowed?: boolean; reason?: string }
  const cause = allowed ? readReason(reason) : undefined
  if (cause === undefined) return { allowed, reason, rules: [] }
  const { binding, role } = cause
  const plural = role.kind === 'Role' ? 'roles' : 'clusterroles'
  const home = role.kind === 'Role' ? binding.namespace : ''
  const found = await client.get(objectPath(`${RBAC}/${plural}`, role.name, home))
  return { allowed, reason, ...cause, rules: matchingRules(found, question) }
}

const REASON =
  /^RBAC: allowed by (\w+) ("(?:[^"\\]|\\.)*") of (\w+) ("(?:[^"\\]|\\.)*") to (\w+) ("(?:[^"\\]|\\.)*")$/

/** What upstream's sentence names. A RoleBinding is written NAME/NAMESPACE in it. */
export function readReason(
  reason: string,
): Pick<Required<Decision>, 'binding' | 'role' | 'subject'> | undefined {
  const parts = REASON.exec(reason)
  if (parts === null) return undefined
  const [kind = '', place = '', roleKind = '', roleName = '', subjectKind = '', subject = ''] =
    parts.slice(1).map(part => (part.startsWith('"') ? (JSON.parse(part) as string) : part))
  const [name = '', namespace = ''] = kind === 'RoleBinding' ? place.split('/', 2) : [place]
  return {
    binding: { kind, name, namespace },
    role: { kind: roleKind, name: roleName },
    subject: { kind: subjectKind, name: subject },
  }
}

function matchingRules(role: ApiObject | undefined, question: Question): JsonObject[] {
  const { user, groups, verb, path, apiGroup, resource, subresource, name } = question
  const asked = { user: { name: user, groups }, verb }
  const request =
    path === undefined
      ? { ...asked, group: apiGroup, resource, subresource, name }
      : { ...asked, path }
  const rules = Array.isArray(role?.rules) ? role.rules.filter(isObject) : []
  return rules.filter(rule => rulesOf([rule]).some(read => ruleAllows(read, request)))
}

/** For a refusal: every binding that names the user or one of its groups, as the way out may be in one of them. */
async function bindingsOf(
  client: ServerClient,
  { user, groups }: Question,
  { allowed }: Decision,
): Promise<string[]> {
  if (allowed) return []
  const lists = await Promise.all(
    ['clusterrolebindings', 'rolebindings'].map(plural =>
      client.list(objectPath(`${RBAC}/${plural}`)),
    ),
  )
  return lists.flat().flatMap(binding => {
    const subjects: readonly JsonValue[] = Array.isArray(binding.subjects) ? binding.subjects : []
    const { namespace = '', name } = binding.metadata
    const names = subjects.filter(isObject).some(subject => {
      if (subject.kind === 'User') return subject.name === user
      if (subject.kind === 'Group') return groups.includes(String(subject.name))
      return (
        user ===
        `system:serviceaccount:${String(subject.namespace ?? namespace)}:${String(subject.name)}`
      )
    })
    const role = binding.roleRef as { kind?: string; name?: string } | undefined
    const kind = namespace === '' ? 'ClusterRoleBinding' : 'RoleBinding'
    const place = namespace === '' ? name : `${namespace}/${name}`
    return names ? [`  ${kind} ${place} gives ${role?.kind} ${role?.name}`] : []
  })
}

function linesOf(
  question: Question,
  { allowed, reason, binding, role, subject, rules }: Decision,
  bindings: readonly string[],
): string[] {
  const { user, verb, path, apiGroup, resource, subresource, name, namespace } = question
  const type = [resource, ...(subresource === '' ? [] : [subresource])].join('/')
  const what = path ?? (apiGroup === '' ? type : `${type} of ${apiGroup}`)
  const where =
    path === undefined ? ` ${namespace === '' ? 'cluster-wide' : `in ${namespace}`}` : ''
  const object = name === '' ? '' : ` named ${name}`
  const head = `${allowed ? 'allowed' : 'denied'}: ${user} may ${allowed ? '' : 'not '}${verb} ${what}${object}${where}`
  if (binding !== undefined && role !== undefined && subject !== undefined) {
    const place = binding.namespace === '' ? binding.name : `${binding.namespace}/${binding.name}`
    return [
      head,
      `binding: ${binding.kind} ${place}, to ${subject.kind} ${subject.name}`,
      `role:    ${role.kind} ${role.name}`,
      ...rules.map(rule => `rule:    ${JSON.stringify(rule)}`),
    ]
  }
  if (allowed)
    return [head, `reason:  ${reason === '' ? 'system:masters may do everything' : reason}`]
  return [
    head,
    ...(reason === '' ? [] : [`reason:  ${reason}`]),
    bindings.length === 0
      ? 'no binding names this user or its groups'
      : 'no rule allows it in the bindings that name this user or its groups:',
    ...bindings,
  ]
}
