// The wire's resourceVersion string and the store's revision number, and nothing else knows how one becomes the other.
// Called by verbs and the cacher's consistency rules. Ref: apiserver/pkg/storage/api_object_versioner.go

import { fieldErrorBody, invalidValue } from './field-error.ts'
import { badRequest, failure, type StatusError } from './status.ts'
import { ParseError, parseUint64 } from './strconv.ts'

/** The wire string of a revision. */
export function formatResourceVersion(revision: number): string {
  return String(revision)
}

/**
 * The revision a request's resourceVersion names; "" and "0" are 0. Throws a StatusError whose code depends on who
 * asks: a list answers 400, a get, a watch and a write answer 500 without a reason.
 */
export function parseResourceVersion(
  text: string,
  use: 'list' | 'get' | 'watch' | 'write',
): number {
  if (text === '' || text === '0') return 0
  try {
    const revision = Number(parseUint64(text))
    // No store counts past 2^53; a larger one is simply "from the future" whichever number it is.
    return Math.min(revision, Number.MAX_SAFE_INTEGER)
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    throw refusal(text, use, error)
  }
}

function refusal(text: string, use: 'list' | 'get' | 'watch' | 'write', cause: ParseError) {
  if (use === 'write') return failure({ code: 500, message: cause.message, cause })
  const message = `resourceVersion: ${fieldErrorBody(
    invalidValue('resourceVersion', text, cause.message),
  )}`
  const status: StatusError =
    use === 'list'
      ? badRequest(`invalid resource version: ${message}`)
      : failure({ code: 500, message, cause })
  return status
}
