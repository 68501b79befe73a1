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

export interface AdmissionStep {
  readonly name: string
  /** Returns the object to go on with (the same one, or a changed copy). */
  readonly mutate?: (
    attributes: AdmissionAttributes,
  ) => Promise<KubeObject | undefined> | KubeObject | undefined
  readonly validate?: (attributes: AdmissionAttributes) => Promise<void> | void
}

export class AdmissionChain {
  readonly #steps: readonly AdmissionStep[]

  constructor(steps: readonly AdmissionStep[]) {
    this.#steps = steps
  }

  /** Runs every mutating step; returns the object that results (undefined on DELETE). */
  async mutate(attributes: AdmissionAttributes): Promise<KubeObject | undefined> {
    let { object } = attributes
    for (const step of this.#steps) {
      if (step.mutate === undefined) continue
      object = (await step.mutate({ ...attributes, object })) ?? object
    }
    return object
  }

  /** Runs every validating step; the first refusal is thrown. */
  async validate(attributes: AdmissionAttributes): Promise<void> {
    for (const step of this.#steps) await step.validate?.(attributes)
  }
}
