// The form of a row in the tables of checks. Used by baseline-checks.ts, restricted-checks.ts and violations.ts.

import type { PodShape } from './pod-shape.ts'

export interface Violation {
  /** All that is said where many pods are looked at. */
  readonly reason: string
  /** Who does what, for the one who wrote the pod. */
  readonly detail: string
}

/** What is wrong with the pod, if anything is. */
export type Check = (pod: PodShape) => Violation | undefined

export interface CheckRow {
  readonly id: string
  /** The check from a minor version of the standards on, up to the next one's. */
  readonly versions: readonly (readonly [since: number, check: Check])[]
  /** The baseline check that a restricted one makes superfluous. */
  readonly replaces?: string
}

/** The check, for pods that it is not waived for. */
export function unless(isWaived: (pod: PodShape) => boolean, check: Check): Check {
  return pod => (isWaived(pod) ? undefined : check(pod))
}
