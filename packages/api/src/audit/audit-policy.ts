// What the audit log records of a request: the first rule that matches gives the level. Pure; asked by audit.ts.
// The cli reads the file and checks it against a JSON Schema. Ref: apiserver/pkg/audit/policy/checker.go

import type { RequestInfo } from '../request/request-info.ts'
import type { UserInfo } from '../resource.ts'

/** Each level records what those before it do, and more. */
export const AUDIT_LEVELS = ['None', 'Metadata', 'Request', 'RequestResponse'] as const
export type AuditLevel = (typeof AUDIT_LEVELS)[number]
export type AuditStage = 'RequestReceived' | 'ResponseStarted' | 'ResponseComplete' | 'Panic'

export interface AuditRule {
  readonly level: AuditLevel
  readonly users?: readonly string[]
  readonly userGroups?: readonly string[]
  readonly verbs?: readonly string[]
  readonly resources?: readonly AuditedResources[]
  readonly namespaces?: readonly string[]
  readonly nonResourceURLs?: readonly string[]
  readonly omitStages?: readonly AuditStage[]
  readonly omitManagedFields?: boolean
}

interface AuditedResources {
  readonly group?: string
  readonly resources?: readonly string[]
  readonly resourceNames?: readonly string[]
}

/** audit.k8s.io/v1 Policy. */
export interface AuditPolicy {
  readonly rules: readonly AuditRule[]
  readonly omitStages?: readonly AuditStage[]
  readonly omitManagedFields?: boolean
}

/** What a policy says about one request. */
export interface AuditVerdict {
  readonly level: AuditLevel
  readonly omitStages: ReadonlySet<AuditStage>
  readonly omitManagedFields: boolean
}

/** Who did what and when, of everything but the questions that tell nothing and are asked all the time. */
export const DEFAULT_AUDIT_POLICY: AuditPolicy = {
  omitStages: ['RequestReceived'],
  rules: [
    { level: 'None', nonResourceURLs: ['/healthz*', '/livez*', '/readyz*', '/version'] },
    { level: 'Metadata' },
  ],
}

/** What is never recorded beyond its metadata, whatever a policy says: bodies that are secrets or tokens. */
export function holdsSecrets({ group, resource, subresource }: RequestInfo): boolean {
  if (group === '') return resource === 'secrets' || subresource === 'token'
  return group === 'authentication.k8s.io' && resource === 'tokenreviews'
}

/** The level of a request; `user` is undefined when nobody could be authenticated. */
export function auditVerdict(
  policy: AuditPolicy,
  info: RequestInfo,
  user: UserInfo | undefined,
): AuditVerdict {
  const rule = policy.rules.find(candidate => ruleMatches(candidate, info, user))
  const asked = rule?.level ?? 'None'
  const isCapped = holdsSecrets(info) && asked !== 'None'
  return {
    level: isCapped ? 'Metadata' : asked,
    omitStages: new Set([...(policy.omitStages ?? []), ...(rule?.omitStages ?? [])]),
    omitManagedFields: rule?.omitManagedFields ?? policy.omitManagedFields ?? false,
  }
}

/** An empty list asks for nothing. */
const given = (list: readonly unknown[] | undefined): boolean =>
  list !== undefined && list.length > 0

function ruleMatches(rule: AuditRule, info: RequestInfo, user: UserInfo | undefined): boolean {
  if (given(rule.users) && (user === undefined || rule.users?.includes(user.name) !== true))
    return false
  if (given(rule.userGroups) && user?.groups.some(isIn(rule.userGroups)) !== true) return false
  if (given(rule.verbs) && rule.verbs?.includes(info.verb) !== true) return false
  if (given(rule.namespaces) || given(rule.resources)) return resourceMatches(rule, info)
  if (!given(rule.nonResourceURLs)) return true
  return (
    !info.isResource && rule.nonResourceURLs?.some(spec => pathMatches(info.path, spec)) === true
  )
}

const isIn = (list: readonly string[] | undefined) => (item: string) =>
  list?.includes(item) === true

function resourceMatches({ namespaces, resources }: AuditRule, info: RequestInfo): boolean {
  if (!info.isResource) return false
  if (given(namespaces) && namespaces?.includes(info.namespace) !== true) return false
  if (!given(resources)) return true
  return resources?.some(entry => entryMatches(entry, info)) === true
}

function entryMatches(entry: AuditedResources, info: RequestInfo): boolean {
  if ((entry.group ?? '') !== info.group) return false
  if (!given(entry.resources)) return true
  const { resource, subresource, name } = info
  const whole = subresource === '' ? resource : `${resource}/${subresource}`
  const words = ['*', whole]
  if (subresource !== '') words.push(`*/${subresource}`, `${resource}/*`)
  const isNamed = !given(entry.resourceNames) || entry.resourceNames?.includes(name) === true
  return isNamed && entry.resources?.some(isIn(words)) === true
}

function pathMatches(path: string, spec: string): boolean {
  return spec.endsWith('*') ? path.startsWith(spec.slice(0, -1)) : path === spec
}
