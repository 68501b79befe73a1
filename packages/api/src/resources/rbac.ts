// The group rbac.authorization.k8s.io: roles, their bindings, and the sums that aggregated roles are.
// Read by resources/index.ts; who may write is auth/escalation.ts, what they mean auth/authorize.ts.
// Ref: kubernetes/pkg/apis/rbac/{v1/defaults,validation/validation}.go, kubernetes/pkg/registry/rbac/*

import {
  cloneJson,
  equalJson,
  type FieldError,
  invalidValue,
  isDns1123Subdomain,
  isObject,
  isPathSegmentName,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  labelSelectorFromObject,
  notSupported,
  required,
  validateLabelSelector,
} from '@podless/apimachinery'
import { authorizeBindingWrite, authorizeRoleWrite } from '../auth/escalation.ts'
import type { Column, Resource, Strategy } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, CREATED_AT, column, NAME } from './columns.ts'
import { fillEmpty, objectAt, objectsAt, textAt, textsAt } from './reading.ts'

const GROUP = 'rbac.authorization.k8s.io'

/** Any name a URL can carry, as `system:node` and the like must be possible. */
const validateName: NonNullable<Strategy['validateName']> = name => isPathSegmentName(name)

/** The subjects of one kind, joined: a column of `-o wide`. */
function subjectsColumn(name: string, kind: string, binding: string): Column {
  const show = (subject: JsonObject) =>
    kind === 'ServiceAccount'
      ? `${textAt(subject, 'namespace')}/${textAt(subject, 'name')}`
      : textAt(subject, 'name')
  const cell = (obj: KubeObject) =>
    objectsAt(obj, 'subjects')
      .filter(subject => textAt(subject, 'kind') === kind)
      .map(show)
      .join(', ')
  return column(name, `${name} in the ${binding}`, cell, { priority: 1 })
}

function bindingColumns(binding: string): readonly Column[] {
  const role = (obj: KubeObject) => `${textAt(obj, 'roleRef.kind')}/${textAt(obj, 'roleRef.name')}`
  return [
    NAME,
    column('Role', 'The role whose rules the subjects get.', role),
    AGE,
    subjectsColumn('Users', 'User', binding),
    subjectsColumn('Groups', 'Group', binding),
    subjectsColumn('ServiceAccounts', 'ServiceAccount', binding),
  ]
}

function roleStrategy(resource: 'roles' | 'clusterroles'): Strategy {
  const validate = (obj: KubeObject) => roleErrors(obj, resource === 'roles')
  return {
    validateName,
    validate,
    validateUpdate: validate,
    authorizeWrite: (obj, old, ctx) => authorizeRoleWrite(resource, obj, old, ctx),
  }
}

function bindingStrategy(resource: 'rolebindings' | 'clusterrolebindings'): Strategy {
  const namespaced = resource === 'rolebindings'
  return {
    validateName,
    default: defaultBinding,
    validate: obj => bindingErrors(obj, namespaced),
    validateUpdate: (obj, old) => [...bindingErrors(obj, namespaced), ...roleRefErrors(obj, old)],
    authorizeWrite: (obj, old, ctx) => authorizeBindingWrite(resource, obj, old, ctx),
  }
}

export const rbacResources: readonly Resource[] = [
  builtin({
    group: GROUP,
    kind: 'ClusterRole',
    plural: 'clusterroles',
    namespaced: false,
    strategy: roleStrategy('clusterroles'),
    columns: [NAME, CREATED_AT],
  }),
  builtin({
    group: GROUP,
    kind: 'ClusterRoleBinding',
    plural: 'clusterrolebindings',
    namespaced: false,
    strategy: bindingStrategy('clusterrolebindings'),
    columns: bindingColumns('clusterRoleBinding'),
  }),
  builtin({
    group: GROUP,
    kind: 'Role',
    plural: 'roles',
    strategy: roleStrategy('roles'),
    columns: [NAME, CREATED_AT],
  }),
  builtin({
    group: GROUP,
    kind: 'RoleBinding',
    plural: 'rolebindings',
    strategy: bindingStrategy('rolebindings'),
    columns: bindingColumns('roleBinding'),
  }),
]

/** Users, groups and the role belong to this API group; ServiceAccounts are core objects. */
function defaultBinding(obj: KubeObject): void {
  if (isObject(obj.roleRef)) fillEmpty(obj.roleRef, { apiGroup: GROUP })
  for (const subject of objectsAt(obj, 'subjects')) {
    const kind = textAt(subject, 'kind')
    if (kind === 'User' || kind === 'Group') fillEmpty(subject, { apiGroup: GROUP })
  }
}

function roleErrors(role: KubeObject, namespaced: boolean): FieldError[] {
  const rules = objectsAt(role, 'rules').flatMap((rule, i) =>
    ruleErrors(rule, `rules[${i}]`, namespaced),
  )
  return [...rules, ...aggregationErrors(role.aggregationRule)]
}

function ruleErrors(rule: JsonObject, path: string, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = []
  if (textsAt(rule, 'verbs').length === 0) {
    errors.push(required(`${path}.verbs`, 'verbs must contain at least one value'))
  }
  const urls = textsAt(rule, 'nonResourceURLs')
  const groups = textsAt(rule, 'apiGroups')
  const resources = textsAt(rule, 'resources')
  if (urls.length > 0) {
    const refuse = (detail: string) => invalidValue(`${path}.nonResourceURLs`, [...urls], detail)
    if (namespaced) errors.push(refuse('namespaced rules cannot apply to non-resource URLs'))
    if (groups.length + resources.length + textsAt(rule, 'resourceNames').length > 0) {
      errors.push(refuse('rules cannot apply to both regular resources and non-resource URLs'))
    }
    return errors
  }
  if (groups.length === 0) {
    const detail = 'resource rules must supply at least one api group'
    errors.push(required(`${path}.apiGroups`, detail))
  }
  if (resources.length === 0) {
    const detail = 'resource rules must supply at least one resource'
    errors.push(required(`${path}.resources`, detail))
  }
  return errors
}

function aggregationErrors(rule: JsonValue | undefined): FieldError[] {
  if (!isObject(rule)) return []
  const path = 'aggregationRule.clusterRoleSelectors'
  const selectors = objectsAt(rule, 'clusterRoleSelectors')
  if (selectors.length === 0) {
    const detail = 'at least one clusterRoleSelector required if aggregationRule is non-nil'
    return [required(path, detail)]
  }
  return selectors.flatMap((selector, i) => {
    const at = `${path}[${i}]`
    const errors = validateLabelSelector(selector, at)
    return errors.length === 0 ? [] : [...errors, invalidValue(at, null, 'invalid label selector.')]
  })
}

function bindingErrors(binding: KubeObject, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = []
  const roleRef = objectAt(binding, 'roleRef')
  const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole']
  const group = textAt(roleRef, 'apiGroup')
  const kind = textAt(roleRef, 'kind')
  const name = textAt(roleRef, 'name')
  if (group !== GROUP) errors.push(notSupported('roleRef.apiGroup', group, [GROUP]))
  if (!kinds.includes(kind)) errors.push(notSupported('roleRef.kind', kind, kinds))
  if (name === '') errors.push(required('roleRef.name'))
  for (const sentence of isPathSegmentName(name)) {
    errors.push(invalidValue('roleRef.name', name, sentence))
  }
  const subjects = objectsAt(binding, 'subjects').flatMap((subject, i) =>
    subjectErrors(subject, `subjects[${i}]`, namespaced),
  )
  return [...errors, ...subjects]
}

const SUBJECT_KINDS = ['ServiceAccount', 'User', 'Group']

function subjectErrors(subject: JsonObject, path: string, namespaced: boolean): FieldError[] {
  const kind = textAt(subject, 'kind')
  const name = textAt(subject, 'name')
  const group = textAt(subject, 'apiGroup')
  const errors = name === '' ? [required(`${path}.name`)] : []
  if (!SUBJECT_KINDS.includes(kind)) {
    return [...errors, notSupported(`${path}.kind`, kind, SUBJECT_KINDS)]
  }
  const ownGroup = kind === 'ServiceAccount' ? '' : GROUP
  if (kind === 'ServiceAccount' && name !== '') {
    for (const sentence of isDns1123Subdomain(name)) {
      errors.push(invalidValue(`${path}.name`, name, sentence))
    }
  }
  if (group !== ownGroup) errors.push(notSupported(`${path}.apiGroup`, group, [ownGroup]))
  if (kind === 'ServiceAccount' && !namespaced && textAt(subject, 'namespace') === '') {
    errors.push(required(`${path}.namespace`))
  }
  return errors
}

/** What a binding grants is fixed; to grant something else, it is deleted and made anew. */
function roleRefErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  const roleRef = objectAt(obj, 'roleRef')
  if (equalJson(roleRef, objectAt(old, 'roleRef'))) return []
  // Upstream prints its internal type, whose fields are spelled so.
  const shown = {
    APIGroup: textAt(roleRef, 'apiGroup'),
    Kind: textAt(roleRef, 'kind'),
    Name: textAt(roleRef, 'name'),
  }
  return [invalidValue('roleRef', shown, 'cannot change roleRef')]
}

/**
 * The ClusterRoles whose rules are not the sum of the roles they select, with their rules made so. A sum of sums is
 * followed down to the rules that somebody wrote, so one call settles all roles, even those that select each other.
 * Ref: kubernetes/pkg/controller/clusterroleaggregation
 */
export function aggregate(clusterRoles: Iterable<KubeObject>): KubeObject[] {
  const roles = [...clusterRoles].sort(byName)
  const changed: KubeObject[] = []
  for (const role of roles.filter(isAggregated)) {
    const rules: JsonValue[] = []
    addSum(role, { roles, rules, known: new Set(), seen: new Set([role]) })
    const current = Array.isArray(role.rules) ? role.rules : []
    if (!equalJson(rules, current)) changed.push({ ...role, rules: cloneJson(rules) })
  }
  return changed
}

interface Sum {
  readonly roles: readonly KubeObject[]
  readonly rules: JsonValue[]
  /** The rules as text: there may be too many to compare each with each. */
  readonly known: Set<string>
  readonly seen: Set<KubeObject>
}

/** Selector by selector, and by name within one; each rule once. */
function addSum(role: KubeObject, sum: Sum): void {
  for (const value of objectsAt(role, 'aggregationRule.clusterRoleSelectors')) {
    const selector = labelSelectorFromObject(value)
    for (const other of sum.roles) {
      if (sum.seen.has(other) || !selector.matches(other.metadata.labels ?? {})) continue
      sum.seen.add(other)
      if (isAggregated(other)) addSum(other, sum)
      else addRules(other, sum)
    }
  }
}

function addRules(role: KubeObject, { rules, known }: Sum): void {
  for (const rule of objectsAt(role, 'rules')) {
    const text = JSON.stringify(Object.entries(rule).sort(([a], [b]) => (a < b ? -1 : 1)))
    if (known.has(text)) continue
    known.add(text)
    rules.push(rule)
  }
}

const isAggregated = (role: KubeObject): boolean => isObject(role.aggregationRule)
const byName = (a: KubeObject, b: KubeObject): number =>
  (a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1
