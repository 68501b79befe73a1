// One RBAC rule: how it is read from a role, what it allows, what it covers and how messages print it.
// Called by authorize.ts and escalation.ts; pure. Ref: kubernetes/pkg/apis/rbac/v1/evaluation_helpers.go

import { isObject, type JsonObject, type JsonValue } from '@podless/apimachinery'
import type { AuthorizationRequest } from '../resource.ts'

export interface PolicyRule {
  readonly verbs: readonly string[]
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames: readonly string[]
  readonly nonResourceURLs: readonly string[]
}

const FIELDS = ['verbs', 'apiGroups', 'resources', 'resourceNames', 'nonResourceURLs'] as const

/** Everything a rule can grant: what one must hold to define an aggregated role. */
export const FULL_AUTHORITY: readonly PolicyRule[] = [
  policyRule({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }),
  policyRule({ verbs: ['*'], nonResourceURLs: ['*'] }),
]

/** A rule with its absent lists empty. */
export function policyRule(fields: Partial<PolicyRule>): PolicyRule {
  return {
    verbs: [],
    apiGroups: [],
    resources: [],
    resourceNames: [],
    nonResourceURLs: [],
    ...fields,
  }
}

/** The rules in the `rules` of a Role or ClusterRole. What is not a list of strings reads as empty. */
export function readRules(rules: JsonValue | undefined): PolicyRule[] {
  return Array.isArray(rules) ? rules.map(readRule) : []
}

function readRule(value: JsonValue): PolicyRule {
  const object: JsonObject = isObject(value) ? value : {}
  const read = FIELDS.map(field => [field, readStrings(object[field])] as const)
  return policyRule(Object.fromEntries(read))
}

/** The strings of a JSON list; empty for anything else. */
export function readStrings(value: JsonValue | undefined): string[] {
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
}

/** Whether the rule allows the request. */
export function ruleAllows(rule: PolicyRule, request: AuthorizationRequest): boolean {
  if (!matches(rule.verbs, request.verb)) return false
  if (request.path !== undefined) return matchesPath(rule.nonResourceURLs, request.path)
  return (
    matches(rule.apiGroups, request.group ?? '') &&
    matchesResource(rule.resources, request.resource ?? '', request.subresource ?? '') &&
    (rule.resourceNames.length === 0 || rule.resourceNames.includes(request.name ?? ''))
  )
}

const matches = (list: readonly string[], value: string): boolean =>
  list.includes('*') || list.includes(value)

function matchesResource(rules: readonly string[], resource: string, subresource: string): boolean {
  if (subresource === '') return matches(rules, resource)
  return matches(rules, `${resource}/${subresource}`) || rules.includes(`*/${subresource}`)
}

function matchesPath(rules: readonly string[], path: string): boolean {
  return rules.some(rule => rule === path || pathCovers(rule, path))
}

/** `/a/*` covers everything that starts with `/a/`, and `*` everything. */
function pathCovers(owner: string, path: string): boolean {
  return owner.endsWith('*') && path.startsWith(owner.replace(/\*+$/, ''))
}

/** The parts of `servant` that no single rule of `owner` grants; empty when owner covers it. */
export function uncovered(
  owner: readonly PolicyRule[],
  servant: readonly PolicyRule[],
): PolicyRule[] {
  return servant.flatMap(breakDown).filter(part => !owner.some(rule => ruleCovers(rule, part)))
}

/** Rules of one group, one resource, one verb and at most one name, that grant together what `rule` does. */
function breakDown(rule: PolicyRule): PolicyRule[] {
  const names = rule.resourceNames.length === 0 ? [[]] : rule.resourceNames.map(name => [name])
  const resources = rule.apiGroups.flatMap(group =>
    rule.resources.flatMap(resource =>
      rule.verbs.flatMap(verb =>
        names.map(resourceNames =>
          policyRule({ apiGroups: [group], resources: [resource], verbs: [verb], resourceNames }),
        ),
      ),
    ),
  )
  const urls = rule.nonResourceURLs.flatMap(url =>
    rule.verbs.map(verb => policyRule({ nonResourceURLs: [url], verbs: [verb] })),
  )
  return [...resources, ...urls]
}

/** Whether `owner` grants all of `part`, which breakDown made. Ref: component-helpers/auth/rbac/validation */
function ruleCovers(owner: PolicyRule, part: PolicyRule): boolean {
  return (
    part.verbs.every(verb => matches(owner.verbs, verb)) &&
    part.apiGroups.every(group => matches(owner.apiGroups, group)) &&
    part.resources.every(resource => coversResource(owner.resources, resource)) &&
    part.nonResourceURLs.every(url => matchesPath(owner.nonResourceURLs, url)) &&
    coversNames(owner.resourceNames, part.resourceNames)
  )
}

function coversResource(owner: readonly string[], resource: string): boolean {
  if (matches(owner, resource)) return true
  const slash = resource.indexOf('/')
  return slash >= 0 && owner.includes(`*${resource.slice(slash)}`)
}

function coversNames(owner: readonly string[], part: readonly string[]): boolean {
  if (owner.length === 0) return true
  return part.length > 0 && part.every(name => owner.includes(name))
}

/** Joins the verbs of rules that name the same one resource (and name), as messages are easier to read so. */
export function compactRules(rules: readonly PolicyRule[]): PolicyRule[] {
  const complex: PolicyRule[] = []
  const simple = new Map<string, PolicyRule>()
  for (const rule of rules) {
    const key = simpleKey(rule)
    if (key === undefined) {
      complex.push(rule)
      continue
    }
    const known = simple.get(key)
    simple.set(
      key,
      known === undefined ? rule : { ...known, verbs: [...known.verbs, ...rule.verbs] },
    )
  }
  return [...complex, ...simple.values()]
}

function simpleKey(rule: PolicyRule): string | undefined {
  const { apiGroups, nonResourceURLs, resourceNames, resources } = rule
  if (resourceNames.length > 1 || nonResourceURLs.length > 0) return undefined
  if (apiGroups.length !== 1 || resources.length !== 1) return undefined
  return JSON.stringify([apiGroups, resources, resourceNames])
}

/** `{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}` */
export function formatRule(rule: PolicyRule): string {
  const fields: readonly (readonly [string, readonly string[]])[] = [
    ['APIGroups', rule.apiGroups],
    ['Resources', rule.resources],
    ['NonResourceURLs', rule.nonResourceURLs],
    ['ResourceNames', rule.resourceNames],
    ['Verbs', rule.verbs],
  ]
  const shown = fields.filter(([, values]) => values.length > 0)
  return `{${shown.map(([name, values]) => `${name}:${quoteList(values)}`).join(', ')}}`
}

/** A list as Go prints it with %q: `["a" "b"]`. */
export function quoteList(values: readonly string[]): string {
  return `[${values.map(value => JSON.stringify(value)).join(' ')}]`
}
