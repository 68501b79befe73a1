// RBAC: may this user do this? An index of roles and bindings, kept current by watch events, and the 403 it ends in.
// Called by handler-chain.ts, impersonate.ts, escalation.ts and the access reviews; fed by the server from the cache.
// Ref: kubernetes/plugin/pkg/auth/authorizer/rbac/rbac.go, kubernetes/pkg/registry/rbac/validation/rule.go

import {
  forbidden,
  isObject,
  type JsonValue,
  type KubeObject,
  type StatusError,
} from '@podless/apimachinery'
import type { AuthorizationRequest, Authorizer, UserInfo } from '../resource.ts'
import { type PolicyRule, readRules, ruleAllows } from './policy-rule.ts'

/** Members may do everything, whatever the roles say: the way in when RBAC itself is broken. */
export const PRIVILEGED_GROUP = 'system:masters'

const ROLE_KINDS: ReadonlySet<string> = new Set(['Role', 'ClusterRole'])
const BINDING_KINDS: ReadonlySet<string> = new Set(['RoleBinding', 'ClusterRoleBinding'])

interface Subject {
  readonly kind: string
  readonly name: string
  readonly namespace: string
}

interface Binding {
  readonly kind: string
  readonly name: string
  /** Empty for a ClusterRoleBinding. */
  readonly namespace: string
  readonly role: { readonly kind: string; readonly name: string }
  readonly subjects: readonly Subject[]
}

/** What an object is known by. */
type ObjectKey = Pick<KubeObject, 'kind' | 'metadata'>

/** Evaluates RBAC over the objects it was given. Every answer is a look-up by subject, none a scan of all bindings. */
export class RbacAuthorizer implements Authorizer {
  readonly #roles = new Map<string, readonly PolicyRule[]>()
  readonly #bindings = new Map<string, Binding>()
  /** By namespace; '' holds the ClusterRoleBindings. */
  readonly #indexes = new Map<string, SubjectIndex>()

  /** Takes in a Role, ClusterRole, RoleBinding or ClusterRoleBinding, new or changed; ignores any other kind. */
  set(obj: KubeObject): void {
    if (ROLE_KINDS.has(obj.kind)) this.#roles.set(keyOf(obj), readRules(obj.rules))
    if (!BINDING_KINDS.has(obj.kind)) return
    this.remove(obj)
    const binding = readBinding(obj)
    this.#bindings.set(keyOf(obj), binding)
    const index = this.#indexes.get(binding.namespace) ?? new SubjectIndex()
    this.#indexes.set(binding.namespace, index)
    index.add(binding)
  }

  /** Forgets an object that was deleted; only kind, namespace and name of it are read. */
  remove(obj: ObjectKey): void {
    const key = keyOf(obj)
    if (ROLE_KINDS.has(obj.kind)) this.#roles.delete(key)
    const binding = this.#bindings.get(key)
    if (binding === undefined) return
    this.#bindings.delete(key)
    const index = this.#indexes.get(binding.namespace)
    if (index?.remove(binding) === true) this.#indexes.delete(binding.namespace)
  }

  authorize(request: AuthorizationRequest): { allowed: boolean; reason: string } {
    if (request.user.groups.includes(PRIVILEGED_GROUP)) return { allowed: true, reason: '' }
    const missing: string[] = []
    for (const { binding, rules } of this.#grants(request.user, request.namespace ?? '')) {
      if (rules === undefined) missing.push(missingRole(binding))
      else if (rules.some(rule => ruleAllows(rule, request))) {
        return { allowed: true, reason: `RBAC: allowed by ${describe(binding, request.user)}` }
      }
    }
    return { allowed: false, reason: missing.length === 0 ? '' : `RBAC: ${aggregate(missing)}` }
  }

  rulesFor(
    user: UserInfo,
    namespace: string,
  ): { resourceRules: JsonValue[]; nonResourceRules: JsonValue[]; incomplete: boolean } {
    const resourceRules: JsonValue[] = []
    const nonResourceRules: JsonValue[] = []
    let incomplete = false
    for (const { rules } of this.#grants(user, namespace)) {
      if (rules === undefined) incomplete = true
      for (const rule of rules ?? []) {
        const { apiGroups, nonResourceURLs, resourceNames, resources, verbs } = rule
        if (resources.length > 0) {
          const names = resourceNames.length === 0 ? {} : { resourceNames: [...resourceNames] }
          const listed = { apiGroups: [...apiGroups], resources: [...resources], ...names }
          resourceRules.push({ verbs: [...verbs], ...listed })
        }
        if (nonResourceURLs.length > 0) {
          nonResourceRules.push({ verbs: [...verbs], nonResourceURLs: [...nonResourceURLs] })
        }
      }
    }
    return { resourceRules, nonResourceRules, incomplete }
  }

  /** Every binding that names the user, cluster-wide first, with its role's rules: undefined when the role is gone. */
  *#grants(
    user: UserInfo,
    namespace: string,
  ): Generator<{ binding: Binding; rules: readonly PolicyRule[] | undefined }> {
    for (const scope of namespace === '' ? [''] : ['', namespace]) {
      for (const binding of this.#indexes.get(scope)?.of(user) ?? []) {
        const { kind, name } = binding.role
        const home = kind === 'Role' ? binding.namespace : ''
        yield { binding, rules: this.#roles.get(keyFrom(kind, home, name)) }
      }
    }
  }
}

/** The bindings of one namespace (or of the cluster) by the subjects they name. */
class SubjectIndex {
  readonly #bySubject = new Map<string, Set<Binding>>()

  add(binding: Binding): void {
    for (const key of binding.subjects.map(subjectKey)) {
      const bindings = this.#bySubject.get(key) ?? new Set()
      this.#bySubject.set(key, bindings.add(binding))
    }
  }

  /** True when nothing is left. */
  remove(binding: Binding): boolean {
    for (const key of binding.subjects.map(subjectKey)) {
      const bindings = this.#bySubject.get(key)
      bindings?.delete(binding)
      if (bindings?.size === 0) this.#bySubject.delete(key)
    }
    return this.#bySubject.size === 0
  }

  /** Each binding once, those of the user's own name first. */
  of(user: UserInfo): Iterable<Binding> {
    const found = new Set<Binding>()
    for (const key of [userKey(user.name), ...user.groups.map(groupKey)]) {
      for (const binding of this.#bySubject.get(key) ?? []) found.add(binding)
    }
    return found
  }
}

const userKey = (name: string): string => `u:${name}`
const groupKey = (name: string): string => `g:${name}`

function subjectKey({ kind, name, namespace }: Subject): string {
  if (kind === 'User') return userKey(name)
  if (kind === 'Group') return groupKey(name)
  // Without a namespace a ServiceAccount subject names nobody.
  if (kind === 'ServiceAccount' && namespace !== '') {
    return userKey(`system:serviceaccount:${namespace}:${name}`)
  }
  return `unknown:${kind}`
}

const keyFrom = (kind: string, namespace: string, name: string): string =>
  `${kind}/${namespace}/${name}`

function keyOf({ kind, metadata }: ObjectKey): string {
  return keyFrom(kind, metadata.namespace ?? '', metadata.name ?? '')
}

function readBinding(obj: KubeObject): Binding {
  const namespace = obj.metadata.namespace ?? ''
  const subjects = Array.isArray(obj.subjects) ? obj.subjects : []
  return {
    kind: obj.kind,
    name: obj.metadata.name ?? '',
    namespace,
    role: { kind: textAt(obj.roleRef, 'kind'), name: textAt(obj.roleRef, 'name') },
    subjects: subjects.map(subject => ({
      kind: textAt(subject, 'kind'),
      name: textAt(subject, 'name'),
      namespace: textAt(subject, 'namespace') || namespace,
    })),
  }
}

function textAt(value: JsonValue | undefined, key: string): string {
  const field = isObject(value) ? value[key] : undefined
  return typeof field === 'string' ? field : ''
}

function describe(binding: Binding, user: UserInfo): string {
  const { kind, name, namespace, role, subjects } = binding
  const keys = new Set([userKey(user.name), ...user.groups.map(groupKey)])
  const subject = subjects.find(candidate => keys.has(subjectKey(candidate)))
  const place = namespace === '' ? name : `${name}/${namespace}`
  const who =
    subject?.kind === 'ServiceAccount' ? `${subject.name}/${subject.namespace}` : subject?.name
  const to = `${subject?.kind} ${JSON.stringify(who)}`
  return `${kind} ${JSON.stringify(place)} of ${role.kind} ${JSON.stringify(role.name)} to ${to}`
}

function missingRole({ role }: Binding): string {
  return `${role.kind.toLowerCase()}.rbac.authorization.k8s.io ${JSON.stringify(role.name)} not found`
}

/** Several errors as upstream joins them, each once. */
function aggregate(errors: readonly string[]): string {
  const unique = [...new Set(errors)]
  return unique.length === 1 ? (unique[0] ?? '') : `[${unique.join(', ')}]`
}

/** The 403 of a request that was not allowed. Ref: apiserver/pkg/endpoints/handlers/responsewriters/errors.go */
export function authorizationError(request: AuthorizationRequest, reason: string): StatusError {
  const message = escapeMarkup(forbiddenMessage(request))
  const gr = { group: request.group ?? '', resource: request.resource ?? '' }
  return forbidden(gr, request.name ?? '', reason === '' ? message : `${message}: ${reason}`)
}

function forbiddenMessage(request: AuthorizationRequest): string {
  const { group = '', namespace = '', path, resource = '', subresource = '', user, verb } = request
  const who = `User ${JSON.stringify(user.name)} cannot ${verb}`
  if (path !== undefined) return `${who} path ${JSON.stringify(path)}`
  const what = JSON.stringify(subresource === '' ? resource : `${resource}/${subresource}`)
  const where =
    namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`
  return `${who} resource ${what} in API group ${JSON.stringify(group)} ${where}`
}

const MARKUP: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

/** User-chosen names are in the text, and a browser may be the one that shows it. */
function escapeMarkup(text: string): string {
  return text.replaceAll(/[&<>]/g, char => MARKUP[char] ?? char)
}
