// Warns of the pods that a namespace has already, when a stricter level is to be enforced there: nothing is done to them.
// Called by pod-security.ts. Ref: pod-security-admission/admission/admission.go EvaluatePodsInNamespace

import { setImmediate } from 'node:timers/promises'
import type { KubeObject } from '@podless/apimachinery'
import { objectsAt, textAt } from '../../resources/reading.ts'
import { formatLevel, type LevelVersion } from './level.ts'
import { podShape } from './pod-shape.ts'
import { reasonsOf, violationsOf } from './violations.ts'

const PODS_MAX = 3000
const TIME_MAX_MS = 1000
/** A pod takes some 20 µs: others wait for 2 ms at most. */
const PODS_AT_ONCE = 100

export interface ExistingPods {
  /** In any order, decoded one by one as they are asked for. */
  readonly list: (namespace: string) => Iterable<KubeObject>
  readonly count: (namespace: string) => number
  /** Milliseconds on a clock that never goes back. */
  readonly elapsedMs: () => number
}

/** The texts of the warnings, in the order of their headers. */
export async function existingPodWarnings(
  pods: ExistingPods,
  namespace: string,
  enforce: LevelVersion,
): Promise<readonly string[]> {
  const total = pods.count(namespace)
  const deadline = pods.elapsedMs() + TIME_MAX_MS
  const offenders = new Map<string, string[]>()
  let checked = 0
  for (const pod of originalsFirst(pods.list(namespace))) {
    const reasons = reasonsOf(violationsOf(enforce, podShape(pod)))
    const alike = offenders.get(reasons) ?? []
    alike.push(pod.metadata.name ?? '')
    if (reasons !== '') offenders.set(reasons, alike)
    checked += 1
    if (checked >= PODS_MAX || pods.elapsedMs() >= deadline) break
    if (checked % PODS_AT_ONCE === 0) await setImmediate()
  }
  const told = [...offenders].map(([reasons, names]) => `${firstOf(names)}: ${reasons}`).sort()
  return [
    ...(checked < total
      ? [
          `new PodSecurity enforce level only checked against the first ${checked} of ${total} existing pods`,
        ]
      : []),
    ...(told.length > 0
      ? [
          `existing pods in namespace "${namespace}" violate the new PodSecurity enforce level "${formatLevel(enforce)}"`,
        ]
      : []),
    ...told,
  ]
}

/** One pod of each controller comes first: the others are most likely alike. */
function* originalsFirst(pods: Iterable<KubeObject>): Generator<KubeObject> {
  const controllers = new Set<string>()
  const copies: KubeObject[] = []
  for (const pod of pods) {
    const owner = objectsAt(pod, 'metadata.ownerReferences').find(
      ({ controller }) => controller === true,
    )
    const uid = textAt(owner, 'uid')
    if (owner === undefined || !controllers.has(uid)) yield pod
    else if (copies.length < PODS_MAX) copies.push(pod)
    if (owner !== undefined) controllers.add(uid)
  }
  yield* copies
}

/** `a`, `a (and 1 other pod)`, `a (and 2 other pods)`. */
function firstOf(names: readonly string[]): string {
  const [first = '', ...others] = [...names].sort()
  if (others.length === 0) return first
  return `${first} (and ${others.length} other pod${others.length === 1 ? '' : 's'})`
}
