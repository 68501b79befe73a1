// Which policies of a kind mean a request, through which bindings and with which parameters: the same for those that
// judge and those that change. Called by validating-policy.ts and mutating-policy.ts; calls webhook-config.ts for rules.
// Ref: apiserver/pkg/admission/plugin/policy/generic/policy_dispatcher.go, .../policy/matching/matching.go

import {
  isObject,
  type JsonValue,
  type KubeObject,
  labelSelectorFromObject,
  parseApiVersion,
} from '@podless/apimachinery'
import type { Registry } from '../registry.ts'
import type { Authorizer, Resource } from '../resource.ts'
import { authorizerBindings } from './access-check.ts'
import { admissionRequest, inVersion } from './admission-request.ts'
import type { AdmissionAttributes } from './chain.ts'
import type { PolicyInput } from './policy-run.ts'
import { matchRules, matchSelectors, type Rule, type Webhook } from './webhook-config.ts'

export interface PolicyOptions {
  readonly registry: Registry
  /** As the cache has them; an unchanged object is the same object. */
  readonly policies: () => readonly KubeObject[]
  readonly bindings: () => readonly KubeObject[]
  readonly namespace: (name: string) => KubeObject | undefined
  readonly get: (resource: Resource, namespace: string, name: string) => KubeObject | undefined
  readonly list: (resource: Resource, namespace: string) => Iterable<KubeObject>
  /** What expressions ask by the name of `authorizer`. */
  readonly authorizer: Authorizer
}

interface NamedRule extends Rule {
  readonly resourceNames?: readonly string[]
}

export interface MatchResources
  extends Pick<Webhook, 'matchPolicy' | 'namespaceSelector' | 'objectSelector'> {
  readonly resourceRules?: readonly NamedRule[]
  readonly excludeResourceRules?: readonly NamedRule[]
}

interface ParamRef {
  readonly name?: string
  readonly namespace?: string
  readonly selector?: JsonValue
  readonly parameterNotFoundAction?: 'Allow' | 'Deny'
}

/** What every binding says. */
export interface PolicyBinding {
  readonly policyName: string
  readonly paramRef?: ParamRef
  readonly matchResources?: MatchResources
}

/** What every policy says about requests. */
export interface PolicyScope {
  readonly paramKind?: { readonly apiVersion: string; readonly kind: string }
  readonly matchConstraints?: MatchResources
}

/** A policy to be run through one binding with one parameter, or why it cannot be. */
export type Invocation =
  | {
      readonly binding: KubeObject
      /** The version in which the policy wants to see the request. */
      readonly version: string
      readonly params: JsonValue
    }
  | { readonly binding: KubeObject | undefined; readonly error: string }

/** Policies never judge themselves: a bad one must stay repairable. */
const EXEMPT: ReadonlySet<string> = new Set([
  ...['validatingadmissionpolicies', 'validatingadmissionpolicybindings'],
  ...['mutatingadmissionpolicies', 'mutatingadmissionpolicybindings'],
])
const EXEMPT_GROUP = 'admissionregistration.k8s.io'

/** True for the resources that no policy looks at. */
export function isExempt({ resource }: AdmissionAttributes): boolean {
  return resource.gvr.group === EXEMPT_GROUP && EXEMPT.has(resource.gvr.resource)
}

export const nameOf = (obj: KubeObject): string => obj.metadata.name ?? ''
const byName = (a: KubeObject, b: KubeObject): number => (nameOf(a) < nameOf(b) ? -1 : 1)

/** The policies that have bindings, by name, with them. */
export function boundPolicies({
  policies,
  bindings,
}: Pick<PolicyOptions, 'policies' | 'bindings'>): (readonly [KubeObject, readonly KubeObject[]])[] {
  const bound = bindings()
  if (bound.length === 0) return []
  const byPolicy = Map.groupBy(bound.toSorted(byName), binding =>
    String((binding.spec as unknown as PolicyBinding).policyName),
  )
  return policies()
    .toSorted(byName)
    .flatMap(policy => {
      const mine = byPolicy.get(nameOf(policy))
      return mine === undefined ? [] : [[policy, mine] as const]
    })
}

/** What a policy has to do about a request; nothing when it does not mean it. */
export function invocationsOf(
  options: PolicyOptions,
  scope: PolicyScope,
  bindings: readonly KubeObject[],
  attributes: AdmissionAttributes,
): Invocation[] {
  const version = matches(options, scope.matchConstraints ?? {}, attributes)
  if (version === undefined) return []
  const { paramKind } = scope
  const paramResource = paramKind && kindOf(options.registry, paramKind)
  if (paramKind !== undefined && paramResource === undefined) {
    const { group = '', version: of = '' } = parseApiVersion(paramKind.apiVersion) ?? {}
    const what = `${group}/${of}, Kind=${paramKind.kind}`
    const error = `failed to configure policy: failed to find resource referenced by paramKind: '${what}'`
    return [{ binding: undefined, error }]
  }
  return bindings.flatMap((binding): Invocation[] => {
    const spec = binding.spec as unknown as PolicyBinding
    if (spec.matchResources !== undefined) {
      if (matches(options, spec.matchResources, attributes) === undefined) return []
    }
    const params = paramsOf(options, paramResource, spec.paramRef, attributes)
    if (!Array.isArray(params)) {
      return [{ binding, error: `failed to configure binding: ${params.error}` }]
    }
    return params.map(param => ({ binding, version, params: param }))
  })
}

/** The version in which the criteria want to see the request; undefined when they do not mean it. */
function matches(
  { registry, namespace }: PolicyOptions,
  criteria: MatchResources,
  attributes: AdmissionAttributes,
): string | undefined {
  const { gvr } = attributes.resource
  const labels =
    attributes.namespace === '' ? undefined : namespace(attributes.namespace)?.metadata.labels
  if (!matchSelectors(criteria, attributes, labels)) return undefined
  const versions = [
    ...new Set([
      gvr.version,
      ...registry.versionsOf(gvr.group, gvr.resource).map(other => other.gvr.version),
    ]),
  ]
  const fits = (rules: readonly NamedRule[] | undefined): string | undefined => {
    const named = (rules ?? []).filter(
      ({ resourceNames = [] }) =>
        resourceNames.length === 0 || resourceNames.includes(attributes.name),
    )
    const policy = { rules: named, matchPolicy: criteria.matchPolicy ?? 'Equivalent' }
    return matchRules(policy, attributes, versions)?.version
  }
  if (fits(criteria.excludeResourceRules) !== undefined) return undefined
  return (criteria.resourceRules ?? []).length === 0 ? gvr.version : fits(criteria.resourceRules)
}

function kindOf(
  registry: Registry,
  { apiVersion, kind }: { readonly apiVersion: string; readonly kind: string },
): Resource | undefined {
  const parsed = parseApiVersion(apiVersion)
  return parsed === undefined ? undefined : registry.lookupKind({ ...parsed, kind })
}

/** The parameters to judge with, one by one; [null] when there are none to use. Ref: policy_dispatcher.go CollectParams */
function paramsOf(
  { get, list }: PolicyOptions,
  resource: Resource | undefined,
  ref: ParamRef | undefined,
  attributes: AdmissionAttributes,
): JsonValue[] | { readonly error: string } {
  if (resource === undefined || ref === undefined) return [null]
  const asked = ref.namespace ?? ''
  const namespace = resource.namespaced ? asked || attributes.namespace : ''
  if (resource.namespaced && namespace === '') {
    return {
      error:
        'cannot use namespaced paramRef in policy binding that matches cluster-scoped resources',
    }
  }
  if (!resource.namespaced && asked !== '') {
    return { error: 'paramRef.namespace must not be provided for a cluster-scoped `paramKind`' }
  }
  const found: JsonValue[] = []
  if ((ref.name ?? '') !== '') {
    const param = get(resource, namespace, ref.name ?? '')
    if (param !== undefined) found.push(param)
  } else if (isObject(ref.selector)) {
    const selector = labelSelectorFromObject(ref.selector)
    for (const param of list(resource, namespace)) {
      if (selector.matches(param.metadata.labels ?? {})) found.push(param)
    }
  } else return { error: 'one of name or selector must be provided' }
  if (found.length === 0 && ref.parameterNotFoundAction === 'Deny') {
    return { error: 'no params found for policy binding with `Deny` parameterNotFoundAction' }
  }
  return found
}

/** What expressions see of a request, but its parameters. */
export function inputOf(
  { namespace, authorizer }: PolicyOptions,
  attributes: AdmissionAttributes,
  version: string,
): Omit<PolicyInput, 'params'> {
  const isNamespace = attributes.resource.gvr.resource === 'namespaces'
  const own =
    isNamespace || attributes.namespace === '' ? undefined : namespace(attributes.namespace)
  return {
    object: inVersion(attributes, attributes.object, version),
    oldObject: inVersion(attributes, attributes.oldObject, version),
    request: admissionRequest(attributes, version),
    namespaceObject: own === undefined ? null : withoutManagedFields(own),
    ...authorizerBindings(authorizer, attributes),
  }
}

/** Policies see a namespace without owners and managed fields. Ref: cel/condition.go CreateNamespaceObject */
function withoutManagedFields({ metadata, ...rest }: KubeObject): KubeObject {
  const { managedFields: _fields, ownerReferences: _owners, ...shown } = metadata
  return { ...rest, metadata: shown } as KubeObject
}
