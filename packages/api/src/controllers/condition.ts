// A status condition, and where it stands among an object's others. Used by crd.ts, namespace.ts and others.
// Ref: apimachinery/pkg/api/meta/conditions.go

import type { JsonObject } from '@podless/apimachinery'

export interface Condition extends JsonObject {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason: string
  message: string
  lastTransitionTime?: string
}

/** Puts a condition in its place; lastTransitionTime moves only with the status. */
export function setCondition(
  conditions: readonly Condition[],
  next: Condition,
  now: string,
): Condition[] {
  const old = conditions.find(({ type }) => type === next.type)
  const lastTransitionTime =
    old !== undefined && old.status === next.status ? (old.lastTransitionTime ?? now) : now
  const placed: Condition = {
    type: next.type,
    status: next.status,
    lastTransitionTime,
    reason: next.reason,
    message: next.message,
  }
  return old === undefined
    ? [...conditions, placed]
    : conditions.map(condition => (condition === old ? placed : condition))
}
