// ValidatingAdmissionPolicies at work: which bindings mean a request, with which parameters, and what follows.
// A step of the chain; calls policy-program.ts for the expressions and webhook-config.ts for the rules.
// Ref: apiserver/pkg/admission/plugin/policy/validating/dispatcher.go

import {
  forbidden,
  isObject,
  type JsonValue,
  type KubeObject,
  labelSelectorFromObject,
  parseApiVersion,
  StatusError,
} from '@podless/apimachinery'
import type { Registry } from '../registry.ts'
import type { Resource } from '../resource.ts'
import { admissionRequest, inVersion } from './admission-request.ts'
import type { AdmissionAttributes, AdmissionStep } from './chain.ts'
import {
  type Denial,
  type PolicyInput,
  type PolicyProgram,
  type PolicySpec,
  policyProgram,
} from './policy-program.ts'
import { matchRules, matchSelectors, type Rule, type Webhook } from './webhook-config.ts'

export interface ValidatingPolicyOptions {
  readonly registry: Registry
  /** As the cache has them; an unchanged object is the same object. */
  readonly policies: () => Iterable<KubeObject>
  readonly bindings: () => Iterable<KubeObject>
  readonly namespace: (name: string) => KubeObject | undefined
  readonly get: (resource: Resource, namespace: string, name: string) => KubeObject | undefined
  readonly list: (resource: Resource, namespace: string) => Iterable<KubeObject>
}

interface NamedRule extends Rule {
  readonly resourceNames?: readonly string[]
}

interface MatchResources
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

interface BindingSpec {
  readonly policyName: string
  readonly paramRef?: ParamRef
  readonly matchResources?: MatchResources
  readonly validationActions?: readonly ('Deny' | 'Warn' | 'Audit')[]
}

interface Policy {
  readonly name: string
  readonly spec: PolicySpec & { readonly matchConstraints?: MatchResources }
  readonly program: PolicyProgram
}

interface Refusal extends Denial {
  readonly policy: string
  readonly binding: string | undefined
}

/** Policies never judge themselves: a bad one must stay repairable. */
const EXEMPT: ReadonlySet<string> = new Set([
  ...['validatingadmissionpolicies', 'validatingadmissionpolicybindings'],
  ...['mutatingadmissionpolicies', 'mutatingadmissionpolicybindings'],
])
const EXEMPT_GROUP = 'admissionregistration.k8s.io'
const CODES: Readonly<Record<string, number>> = {
  Unauthorized: 401,
  Forbidden: 403,
  RequestEntityTooLarge: 413,
}
const DEFAULT_CODE = 422

export function validatingPolicyStep(options: ValidatingPolicyOptions): AdmissionStep {
  const compiled = new WeakMap<KubeObject, Policy>()
  const policyOf = (obj: KubeObject): Policy => {
    const known = compiled.get(obj)
    if (known !== undefined) return known
    const spec = obj.spec as unknown as Policy['spec']
    const policy = { name: obj.metadata.name ?? '', spec, program: policyProgram(spec) }
    compiled.set(obj, policy)
    return policy
  }
  return {
    name: 'ValidatingAdmissionPolicy',
    validate: attributes => {
      const { gvr } = attributes.resource
      if (gvr.group === EXEMPT_GROUP && EXEMPT.has(gvr.resource)) return
      const bindings = byPolicy(options.bindings())
      if (bindings.size === 0) return
      const refusals = [...options.policies()].sort(byName).flatMap(obj => {
        const mine = bindings.get(obj.metadata.name ?? '')
        return mine === undefined ? [] : judge(options, policyOf(obj), mine, attributes)
      })
      refuse(attributes, refusals)
    },
  }
}

const nameOf = (obj: KubeObject): string => obj.metadata.name ?? ''
const byName = (a: KubeObject, b: KubeObject): number => (nameOf(a) < nameOf(b) ? -1 : 1)

function byPolicy(bindings: Iterable<KubeObject>): ReadonlyMap<string, readonly KubeObject[]> {
  return Map.groupBy([...bindings].sort(byName), binding => specOf(binding).policyName)
}

const specOf = (binding: KubeObject): BindingSpec => binding.spec as unknown as BindingSpec

function judge(
  options: ValidatingPolicyOptions,
  policy: Policy,
  bindings: readonly KubeObject[],
  attributes: AdmissionAttributes,
): Refusal[] {
  const version = matches(options, policy.spec.matchConstraints ?? {}, attributes)
  if (version === undefined) return []
  const { paramKind } = policy.spec
  const paramResource = paramKind && kindOf(options.registry, paramKind)
  if (paramKind !== undefined && paramResource === undefined) {
    const { group = '', version: of = '' } = parseApiVersion(paramKind.apiVersion) ?? {}
    const what = `${group}/${of}, Kind=${paramKind.kind}`
    const why = `failed to configure policy: failed to find resource referenced by paramKind: '${what}'`
    return misconfigured(policy, undefined, why)
  }
  return bindings.flatMap(binding => {
    const spec = specOf(binding)
    if (spec.matchResources !== undefined) {
      if (matches(options, spec.matchResources, attributes) === undefined) return []
    }
    const params = paramsOf(options, paramResource, spec.paramRef, attributes)
    if (!Array.isArray(params)) {
      return misconfigured(policy, nameOf(binding), `failed to configure binding: ${params.error}`)
    }
    const input = inputOf(options, attributes, version)
    return params.flatMap(param => apply(policy, binding, { ...input, params: param }, attributes))
  })
}

function misconfigured(policy: Policy, binding: string | undefined, message: string): Refusal[] {
  return policy.spec.failurePolicy === 'Ignore' ? [] : [{ policy: policy.name, binding, message }]
}

/** Carries out the binding's actions; returns what denies the request. */
function apply(
  policy: Policy,
  binding: KubeObject,
  input: PolicyInput,
  { warn }: AdmissionAttributes,
): Refusal[] {
  const names = { policy: policy.name, binding: nameOf(binding) }
  const actions = specOf(binding).validationActions ?? []
  const denials = policy.program.validations(input)
  if (actions.includes('Warn')) {
    for (const { message } of denials) {
      warn(
        `Validation failed for ValidatingAdmissionPolicy '${names.policy}' with binding '${names.binding}': ${message}`,
      )
    }
  }
  const counted = actions.includes('Deny') ? denials : []
  return [...counted, ...policy.program.annotationErrors(input)].map(denial => ({
    ...denial,
    ...names,
  }))
}

/** The first refusal is what the client reads. */
function refuse(
  { resource, name, object }: AdmissionAttributes,
  refusals: readonly Refusal[],
): void {
  const [first] = refusals
  if (first === undefined) return
  const { policy, binding, message, reason = 'Invalid' } = first
  const by = binding === undefined ? '' : ` with binding '${binding}'`
  const text = `ValidatingAdmissionPolicy '${policy}'${by} denied request: ${message}`
  const subject = name || object?.metadata.name || object?.metadata.generateName || 'Unknown'
  const { body } = forbidden(resource.gvr, subject, text)
  throw new StatusError({
    ...body,
    reason,
    code: CODES[reason] ?? DEFAULT_CODE,
    details: { ...body.details, causes: [...(body.details?.causes ?? []), { message: text }] },
  })
}

/** The version in which the criteria want to see the request; undefined when they do not mean it. */
function matches(
  { registry, namespace }: ValidatingPolicyOptions,
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
  { get, list }: ValidatingPolicyOptions,
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

function inputOf(
  { namespace }: ValidatingPolicyOptions,
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
  }
}

/** Policies see a namespace without owners and managed fields. Ref: cel/condition.go CreateNamespaceObject */
function withoutManagedFields({ metadata, ...rest }: KubeObject): KubeObject {
  const { managedFields: _fields, ownerReferences: _owners, ...shown } = metadata
  return { ...rest, metadata: shown } as KubeObject
}
