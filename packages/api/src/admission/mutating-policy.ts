// MutatingAdmissionPolicies at work: what they make of a request's object, once, and again for those that asked when
// something changed it since. A step of the chain; calls mutation-program.ts for the expressions and mutation.ts to
// patch. Ref: apiserver/pkg/admission/plugin/policy/mutating/{dispatcher,reinvocationcontext}.go

import { equalJson, forbidden, type KubeObject, StatusError } from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { convertedBetween, convertedTo } from './admission-request.ts'
import type { AdmissionAttributes, AdmissionRound, AdmissionStep } from './chain.ts'
import { applyMutation } from './mutation.ts'
import { type MutationProgram, type MutationSpec, mutationProgram } from './mutation-program.ts'
import {
  boundPolicies,
  type Invocation,
  inputOf,
  invocationsOf,
  isExempt,
  nameOf,
  type PolicyOptions,
  type PolicyScope,
} from './policy-matching.ts'

interface MutatingPolicySpec extends PolicyScope, MutationSpec {
  readonly failurePolicy?: 'Fail' | 'Ignore'
  readonly reinvocationPolicy?: 'Never' | 'IfNeeded'
}

interface Policy {
  readonly name: string
  readonly spec: MutatingPolicySpec
  readonly program: MutationProgram
}

/** Why a policy could not do its work. */
interface Refusal {
  readonly policy: Policy
  readonly binding: string | undefined
  readonly message: string
  /** Invalid for what went wrong in an expression or patch, Forbidden for a policy that is not set up. */
  readonly reason: 'Invalid' | 'Forbidden'
}

/** What the first round leaves for the second. */
interface Memory {
  /** The invocations that want to be run again. */
  readonly eligible: Set<string>
  changed: boolean
  output: KubeObject | undefined
}

const STEP = 'MutatingAdmissionPolicy'

/** The step of the chain that runs these policies. It refuses with 403 under failurePolicy Fail. */
export function mutatingPolicyStep(options: PolicyOptions): AdmissionStep {
  const compiled = new WeakMap<KubeObject, Policy>()
  const policyOf = (obj: KubeObject): Policy => {
    const known = compiled.get(obj)
    if (known !== undefined) return known
    const spec = obj.spec as unknown as MutatingPolicySpec
    const policy = { name: nameOf(obj), spec, program: mutationProgram(spec) }
    compiled.set(obj, policy)
    return policy
  }
  return {
    name: STEP,
    reinvokes: true,
    mutate: async (attributes, round) => {
      const { object, operation } = attributes
      if (object === undefined || operation === 'DELETE' || isExempt(attributes)) return object
      const bound = boundPolicies(options)
      if (bound.length === 0) return object
      const invocations = bound.flatMap(([obj, bindings]) => {
        const policy = policyOf(obj)
        const mine = invocationsOf(options, policy.spec, bindings, attributes)
        return mine.map(invocation => ({ policy, invocation }))
      })
      return await runAll(options, invocations, attributes, round)
    },
  }
}

interface PolicyInvocation {
  readonly policy: Policy
  readonly invocation: Invocation
}

async function runAll(
  options: PolicyOptions,
  invocations: readonly PolicyInvocation[],
  attributes: AdmissionAttributes,
  round: AdmissionRound,
): Promise<KubeObject | undefined> {
  const memory = memoryOf(round)
  if (round.again && !memory.changed && equalJson(memory.output, attributes.object)) {
    return attributes.object
  }
  const refusals: Refusal[] = []
  let { object } = attributes
  for (const { policy, invocation } of invocations) {
    if ('error' in invocation) {
      const binding = invocation.binding && nameOf(invocation.binding)
      refusals.push({ policy, binding, message: invocation.error, reason: 'Forbidden' })
      continue
    }
    const key = JSON.stringify([policy.name, nameOf(invocation.binding), paramKey(invocation)])
    if (round.again && !memory.eligible.has(key)) continue
    const outcome = await runOne(options, policy, invocation, { ...attributes, object })
    if (outcome === undefined) continue
    object = outcome.object
    for (const message of outcome.errors) {
      refusals.push({ policy, binding: nameOf(invocation.binding), message, reason: 'Invalid' })
    }
    if (outcome.applied) memory.changed = true
    if (policy.spec.reinvocationPolicy === 'IfNeeded') memory.eligible.add(key)
  }
  refuse(attributes, refusals)
  memory.output = object
  if (memory.eligible.size > 0) round.wantAnother()
  return object
}

function memoryOf(round: AdmissionRound): Memory {
  const known = round.memory.get(STEP) as Memory | undefined
  if (known !== undefined) return known
  const memory: Memory = { eligible: new Set(), changed: false, output: undefined }
  round.memory.set(STEP, memory)
  return memory
}

function paramKey({ params }: Extract<Invocation, { version: string }>): string {
  const { metadata } = (params ?? {}) as Partial<KubeObject>
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`
}

interface Outcome {
  readonly object: KubeObject | undefined
  readonly errors: readonly string[]
  /** True when a patch went through, whether or not it changed anything. */
  readonly applied: boolean
}

/** What one policy makes of the object through one binding; undefined when its conditions say no. */
async function runOne(
  options: PolicyOptions,
  { program }: Policy,
  { version, params }: Extract<Invocation, { version: string }>,
  attributes: AdmissionAttributes,
): Promise<Outcome | undefined> {
  const { resource, subresource } = attributes
  const seen = await convertedTo(version, attributes, options.registry)
  const target = options.registry.lookup({ ...resource.gvr, version }) ?? resource
  const input = (object: KubeObject | undefined) => ({
    ...inputOf(options, { ...seen, object }, version),
    params,
  })
  const matched = program.matches(input(seen.object))
  if (matched === false) return undefined
  if (matched !== true)
    return { object: attributes.object, errors: [matched.error], applied: false }
  const errors: string[] = []
  let applied = false
  let { object } = seen
  for (const patch of program.patches) {
    if (object === undefined) break
    const made = applyMutation(patch(input(object)), object, target, subresource)
    if ('error' in made) errors.push(String(made.error))
    else {
      object = made as KubeObject
      applied = true
    }
  }
  return { object: await backFrom(object, attributes, target), errors, applied }
}

async function backFrom(
  object: KubeObject | undefined,
  { resource }: AdmissionAttributes,
  target: Resource,
): Promise<KubeObject | undefined> {
  if (object === undefined || target.gvr.version === resource.gvr.version) return object
  return await convertedBetween(object, target, resource)
}

/** The first refusal is what the client reads. Ref: generic/policy_dispatcher.go Dispatch */
function refuse({ resource, name, object }: AdmissionAttributes, all: readonly Refusal[]): void {
  const refusals = all.filter(({ policy }) => policy.spec.failurePolicy !== 'Ignore')
  const [first] = refusals
  if (first === undefined) return
  const subject = name || object?.metadata.name || object?.metadata.generateName || 'Unknown'
  const { body } = forbidden(resource.gvr, subject, '')
  const causes = refusals.map(refusal => ({ message: textOf(refusal) }))
  throw new StatusError({
    ...body,
    message: textOf(first),
    reason: first.reason,
    details: { ...body.details, causes: [...(body.details?.causes ?? []), ...causes] },
  })
}

function textOf({ policy, binding, message }: Refusal): string {
  return binding === undefined
    ? `policy ${JSON.stringify(policy.name)} denied request: ${message}`
    : `policy '${policy.name}' with binding '${binding}' denied request: ${message}`
}
