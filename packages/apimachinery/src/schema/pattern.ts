// Patterns of schemas: RE2 expressions, compiled once. Called by validate.ts.

import { RE2JS } from 're2js'

const patterns = new Map<string, RE2JS>()
/** Bounded, so that a server that sees many CRDs come and go does not keep all their patterns. */
const PATTERNS_MAX = 1_000

/** Whether the pattern occurs in the text. The pattern has been checked when its CRD was written. */
export function patternMatches(pattern: string, text: string): boolean {
  let compiled = patterns.get(pattern)
  if (compiled === undefined) {
    if (patterns.size >= PATTERNS_MAX) patterns.clear()
    compiled = RE2JS.compile(pattern)
    patterns.set(pattern, compiled)
  }
  return compiled.matcher(text).find()
}
