// Regular expressions of users, in RE2's syntax and with its guarantee of linear time.
// Called by libraries; the only file of cel/ that uses re2js.

import { RE2JS, RE2JSException } from 're2js'
import { CelError, type CelValue } from './value.ts'

/** Compiled patterns are kept; rules repeat them for every object. The oldest goes first. */
const MAX_CACHED = 1000
const cache = new Map<string, RE2JS | CelError>()

/** The pattern compiled, or an error value that says what is wrong with it. */
export function compileRegex(pattern: string): RE2JS | CelError {
  const known = cache.get(pattern)
  if (known !== undefined) return known
  const compiled = tryCompile(pattern)
  const oldest = cache.size >= MAX_CACHED ? cache.keys().next().value : undefined
  if (oldest !== undefined) cache.delete(oldest)
  cache.set(pattern, compiled)
  return compiled
}

function tryCompile(pattern: string): RE2JS | CelError {
  try {
    return RE2JS.compile(pattern)
  } catch (error) {
    if (error instanceof RE2JSException) return new CelError(error.message)
    throw error
  }
}

/** Whether the pattern occurs anywhere in the text. */
export function matchesRegex(text: string, pattern: string): CelValue {
  const regex = compileRegex(pattern)
  return regex instanceof CelError ? regex : regex.matcher(text).find()
}
