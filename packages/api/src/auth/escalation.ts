// Nobody hands out more than they have: the checks before a role or a binding is written.
// Called by resources/rbac.ts as `authorizeWrite`; calls the authorizer and reads roles from the cache.
// Ref: kubernetes/pkg/registry/rbac/escalation_check.go, kubernetes/pkg/registry/rbac/*/policybased/storage.go

import {
  cloneJson,
  equalJson,
  forbidden,
  isObject,
  type JsonValue,
  type KubeObject,
  notFound,
  type StatusError,
} from '@podless/apimachinery'
import type { RuleContext } from '../resource.ts'
import { PRIVILEGED_GROUP } from './authorize.ts'
import {
  compactRules,
  FULL_AUTHORITY,
  formatRule,
  type PolicyRule,
  quoteList,
  readRules,
  uncovered,
} from './policy-rule.ts'

const GROUP = 'rbac.authorization.k8s.io'

/**
 * Throws 403 when the user writes rules into a Role or ClusterRole that it does not hold itself, unless it may
 * `escalate`. `resource` is roles or clusterroles.
 */
export function authorizeRoleWrite(
  resource: string,
  obj: KubeObject,
  old: KubeObject | undefined,
  ctx: RuleContext,
): void {
  if (ctx.user.groups.includes(PRIVILEGED_GROUP)) return
  const request = { user: ctx.user, verb: 'escalate', group: GROUP, version: '*', resource }
  const name = old?.metadata.name ?? ''
  const { allowed } = ctx.services.authorizer.authorize({
    ...request,
    name,
    namespace: ctx.namespace,
  })
  if (allowed || onlyCollectorFields(obj, old)) return
  const refused = missingRights(readRules(obj.rules), ctx)
  if (refused !== undefined) throw refuse(resource, obj, refused)
  // An aggregated role gathers whatever others write into the roles it selects.
  if (!isAggregated(obj) && (old === undefined || !isAggregated(old))) return
  if (missingRights(FULL_AUTHORITY, ctx) === undefined) return
  throw refuse(resource, obj, 'must have cluster-admin privileges to use the aggregationRule')
}

/**
 * Throws 403 when the user binds a role whose rules it does not hold, unless it may `bind` it; 404 when that role does
 * not exist. `resource` is rolebindings or clusterrolebindings.
 */
export function authorizeBindingWrite(
  resource: string,
  obj: KubeObject,
  old: KubeObject | undefined,
  ctx: RuleContext,
): void {
  if (ctx.user.groups.includes(PRIVILEGED_GROUP)) return
  if (onlyCollectorFields(obj, old)) return
  const roleRef = isObject(obj.roleRef) ? obj.roleRef : {}
  const kind = text(roleRef.kind)
  const name = text(roleRef.name)
  const roles = kind === 'Role' ? 'roles' : 'clusterroles'
  const { allowed } = ctx.services.authorizer.authorize({
    user: ctx.user,
    verb: 'bind',
    group: text(roleRef.apiGroup),
    version: '*',
    resource: roles,
    name,
    namespace: ctx.namespace,
  })
  if (allowed) return
  const gvr = { group: GROUP, version: 'v1', resource: roles }
  const role = ctx.services.lookup(gvr, kind === 'Role' ? ctx.namespace : '', name)
  // NOTE: upstream names the resource of the request here, not that of the role.
  if (role === undefined) throw notFound({ group: GROUP, resource }, name)
  const refused = missingRights(readRules(role.rules), ctx)
  if (refused !== undefined) throw refuse(resource, obj, refused)
}

/** Upstream's sentence on what the user lacks of `wanted`; undefined when it holds all of it. */
function missingRights(wanted: readonly PolicyRule[], ctx: RuleContext): string | undefined {
  const { user } = ctx
  const { nonResourceRules, resourceRules } = ctx.services.authorizer.rulesFor(user, ctx.namespace)
  const held = readRules([...resourceRules, ...nonResourceRules])
  const missing = uncovered(held, wanted)
  if (missing.length === 0) return undefined
  const lines = [...new Set(compactRules(missing).map(formatRule))].sort()
  const who = `user ${JSON.stringify(user.name)} (groups=${quoteList(user.groups)})`
  return `${who} is attempting to grant RBAC permissions not currently held:\n${lines.join('\n')}`
}

function refuse(resource: string, obj: KubeObject, why: string): StatusError {
  return forbidden({ group: GROUP, resource }, obj.metadata.name ?? '', why)
}

/** True when an update touches nothing but what the garbage collector needs to let the object go. */
function onlyCollectorFields(obj: KubeObject, old: KubeObject | undefined): boolean {
  return old !== undefined && equalJson(withoutCollectorFields(obj), withoutCollectorFields(old))
}

function withoutCollectorFields(obj: KubeObject): KubeObject {
  const { finalizers: _f, managedFields: _m, ownerReferences: _o, ...metadata } = obj.metadata
  return cloneJson({ ...obj, metadata })
}

function isAggregated(role: KubeObject): boolean {
  const selectors = isObject(role.aggregationRule)
    ? role.aggregationRule.clusterRoleSelectors
    : undefined
  return Array.isArray(selectors) && selectors.length > 0
}

const text = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '')
