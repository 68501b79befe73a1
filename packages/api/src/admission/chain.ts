// Admission in upstream's order: mutating steps first, validating ones after the object is complete.
// verbs and write.ts call it; webhook.ts and namespace-lifecycle.ts are its steps. A step throws a StatusError to refuse.
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

export class AdmissionChain {
  readonly #steps: readonly AdmissionStep[]

  constructor(steps: readonly AdmissionStep[]) {
    this.#steps = steps
  }

  /** Runs every mutating step; returns the object that results (undefined on DELETE). */
  async mutate(attributes: AdmissionAttributes): Promise<KubeObject | undefined> {
    const memory = new Map<string, unknown>()
    let wanted = false
    const wantAnother = (): void => {
      wanted = true
    }
    const object = await this.#round(attributes, { again: false, wantAnother, memory })
    if (!wanted) return object
    return await this.#round({ ...attributes, object }, { again: true, wantAnother, memory })
  }

  async #round(
    attributes: AdmissionAttributes,
    round: AdmissionRound,
  ): Promise<KubeObject | undefined> {
    let { object } = attributes
    for (const step of this.#steps) {
      if (step.mutate === undefined || (round.again && step.reinvokes !== true)) continue
      object = (await step.mutate({ ...attributes, object }, round)) ?? object
    }
    return object
  }

  /** Runs every validating step; the first refusal is thrown. */
  async validate(attributes: AdmissionAttributes): Promise<void> {
    for (const step of this.#steps) await step.validate?.(attributes)
  }
}
