// Admission in upstream's order: mutating steps first, validating ones after the object is complete.
// verbs and writing/* call it; webhook.ts and namespace-lifecycle.ts are its steps. A step throws a StatusError to refuse.
// Ref: apiserver/pkg/admission/chain.go

import type { JsonObject, KubeObject } from '@podless/apimachinery'
import type { Resource, UserInfo } from '../resource.ts'

export type AdmissionOperation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'

export interface AdmissionAttributes {
  readonly operation: AdmissionOperation
  readonly resource: Resource
  readonly subresource: string
  readonly namespace: string
  /** Empty while generateName has not been resolved. */
  readonly name: string
  /** The new object in the request's version; undefined on DELETE. */
  readonly object: KubeObject | undefined
  /** The stored object in the request's version; undefined on CREATE. */
  readonly oldObject: KubeObject | undefined
  /** CreateOptions, UpdateOptions or DeleteOptions, with kind and apiVersion. */
  readonly options: JsonObject
  readonly dryRun: boolean
  readonly user: UserInfo
  /** Adds a Warning header. */
  readonly warn: (text: string) => void
  /** Adds an annotation to the request's audit events. */
  readonly annotate: (key: string, value: string) => void
  readonly signal: AbortSignal
}

/** One pass over the mutating steps: there are at most two, the second for those that reinvoke. */
export interface AdmissionRound {
  readonly again: boolean
  /** Asks for the second pass. */
  readonly wantAnother: () => void
  /** What a step keeps for the second pass, by its name. */
  readonly memory: Map<string, unknown>
}

export interface AdmissionStep {
  readonly name: string
  /** True for a step that may want to see what later steps made of the object. */
  readonly reinvokes?: true
  /** Returns the object to go on with (the same one, or a changed copy). */
  readonly mutate?: (
    attributes: AdmissionAttributes,
    round: AdmissionRound,
  ) => Promise<KubeObject | undefined> | KubeObject | undefined
  readonly validate?: (attributes: AdmissionAttributes) => Promise<void> | void
}

/** Whether a client creates or changes objects of this resource, through the main door. */
export function isWriteOf(
  { operation, resource, subresource }: AdmissionAttributes,
  group: string,
  plural: string,
): boolean {
  const isWrite = operation === 'CREATE' || operation === 'UPDATE'
  const isThis = resource.gvr.group === group && resource.gvr.resource === plural
  return isWrite && isThis && subresource === ''
}

type Mutating = AdmissionStep & Required<Pick<AdmissionStep, 'mutate'>>
type Validating = AdmissionStep & Required<Pick<AdmissionStep, 'validate'>>

export class AdmissionChain {
  readonly #mutating: readonly Mutating[]
  readonly #reinvoked: readonly Mutating[]
  readonly #validating: readonly Validating[]

  constructor(steps: readonly AdmissionStep[]) {
    this.#mutating = steps.filter((step): step is Mutating => step.mutate !== undefined)
    this.#reinvoked = this.#mutating.filter(step => step.reinvokes === true)
    this.#validating = steps.filter((step): step is Validating => step.validate !== undefined)
  }

  /** Runs every mutating step; returns the object that results (undefined on DELETE). */
  async mutate(attributes: AdmissionAttributes): Promise<KubeObject | undefined> {
    const memory = new Map<string, unknown>()
    let wanted = false
    const wantAnother = (): void => {
      wanted = true
    }
    const first = { again: false, wantAnother, memory }
    const object = await runAll(this.#mutating, attributes, first)
    if (!wanted) return object
    return await runAll(this.#reinvoked, { ...attributes, object }, { ...first, again: true })
  }

  /** Runs every validating step; the first refusal is thrown. */
  async validate(attributes: AdmissionAttributes): Promise<void> {
    for (const step of this.#validating) {
      const checking = step.validate(attributes)
      // Most steps have nothing to say and nothing to wait for.
      if (checking !== undefined) await checking
    }
  }
}

async function runAll(
  steps: readonly Mutating[],
  attributes: AdmissionAttributes,
  round: AdmissionRound,
): Promise<KubeObject | undefined> {
  let seen = attributes
  for (const step of steps) {
    const made = step.mutate(seen, round)
    const object = made instanceof Promise ? await made : made
    if (object !== undefined && object !== seen.object) seen = { ...attributes, object }
  }
  return seen.object
}
