// ValidatingAdmissionPolicies at work: which bindings mean a request, with which parameters, and what follows.
// A step of the chain; calls policy-program.ts for the expressions and policy-matching.ts for what they are about.
// Ref: apiserver/pkg/admission/plugin/policy/validating/dispatcher.go

import { forbidden, type KubeObject, StatusError } from '@podless/apimachinery'
import type { AdmissionAttributes, AdmissionStep } from './chain.ts'
import {
  boundPolicies,
  inputOf,
  invocationsOf,
  isExempt,
  nameOf,
  type PolicyBinding,
  type PolicyOptions,
  type PolicyScope,
} from './policy-matching.ts'
import {
  type Denial,
  type PolicyProgram,
  type PolicySpec,
  policyProgram,
} from './policy-program.ts'
import type { PolicyInput } from './policy-run.ts'

interface BindingSpec extends PolicyBinding {
  readonly validationActions?: readonly ('Deny' | 'Warn' | 'Audit')[]
}

interface Policy {
  readonly name: string
  readonly spec: PolicySpec & PolicyScope
  readonly program: PolicyProgram
}

interface Refusal extends Denial {
  readonly policy: string
  readonly binding: string | undefined
}

const CODES: Readonly<Record<string, number>> = {
  Unauthorized: 401,
  Forbidden: 403,
  RequestEntityTooLarge: 413,
}
const DEFAULT_CODE = 422

export function validatingPolicyStep(options: PolicyOptions): AdmissionStep {
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
      if (isExempt(attributes)) return
      const refusals = boundPolicies(options).flatMap(([obj, bindings]) =>
        judge(options, policyOf(obj), bindings, attributes),
      )
      refuse(attributes, refusals)
    },
  }
}

const specOf = (binding: KubeObject): BindingSpec => binding.spec as unknown as BindingSpec

function judge(
  options: PolicyOptions,
  policy: Policy,
  bindings: readonly KubeObject[],
  attributes: AdmissionAttributes,
): Refusal[] {
  const inputs = new Map<string, Omit<PolicyInput, 'params'>>()
  return invocationsOf(options, policy.spec, bindings, attributes).flatMap(invocation => {
    if ('error' in invocation) return misconfigured(policy, invocation)
    const { binding, version, params } = invocation
    const input = inputs.get(version) ?? inputOf(options, attributes, version)
    inputs.set(version, input)
    return apply(policy, binding, { ...input, params }, attributes)
  })
}

function misconfigured(
  policy: Policy,
  { binding, error }: { readonly binding: KubeObject | undefined; readonly error: string },
): Refusal[] {
  if (policy.spec.failurePolicy === 'Ignore') return []
  return [{ policy: policy.name, binding: binding && nameOf(binding), message: error }]
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
