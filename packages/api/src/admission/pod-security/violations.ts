// Which checks a level has as of a version, and what they say of a pod. Called by pod-security.ts and existing-pods.ts;
// calls the tables. Ref: pod-security-admission/policy/{checks,registry}.go

import { BASELINE } from './baseline-checks.ts'
import type { CheckRow, Violation } from './check-row.ts'
import { type LevelVersion, minorOf } from './level.ts'
import type { PodShape } from './pod-shape.ts'
import { RESTRICTED } from './restricted-checks.ts'

/** What in the pod breaks the level, in the order of messages; nothing when it keeps it. */
export function violationsOf(
  { level, version }: LevelVersion,
  pod: PodShape,
): readonly Violation[] {
  if (level === 'privileged') return []
  const minor = minorOf(version)
  const isInForce = (row: CheckRow): boolean => row.versions.some(([since]) => since <= minor)
  const restricted = level === 'restricted' ? RESTRICTED.filter(isInForce) : []
  const replaced = new Set(restricted.map(({ replaces }) => replaces))
  const baseline = BASELINE.filter(row => isInForce(row) && !replaced.has(row.id))
  return [...baseline, ...restricted].flatMap(({ versions }) => {
    const check = versions.findLast(([since]) => since <= minor)?.[1]
    return check?.(pod) ?? []
  })
}

/** `host namespaces (hostPID=true), privileged (...)`. */
export function detailsOf(violations: readonly Violation[]): string {
  return violations.map(({ reason, detail }) => `${reason} (${detail})`).join(', ')
}

/** `host namespaces, privileged`. */
export function reasonsOf(violations: readonly Violation[]): string {
  return violations.map(({ reason }) => reason).join(', ')
}
