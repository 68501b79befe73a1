// The only place where a storage error becomes a Status, and where an unexpected error loses its details.
// Called by verbs (toStatus) and by the edge (statusOf).

import {
  alreadyExists,
  badRequest,
  conflict,
  expired,
  failure,
  type GroupResource,
  internalError,
  notFound,
  OPTIMISTIC_LOCK_MESSAGE,
  requestEntityTooLarge,
  StatusError,
  serverTimeout,
  tooLargeResourceVersion,
} from '@podless/apimachinery'
import { ContinueError, ContinueExpiredError, StorageError } from '@podless/storage'

interface Subject {
  readonly gr: GroupResource
  readonly name: string
  readonly verb: string
}

/** Retry hint of a resourceVersion from the future. Ref: apiserver/pkg/storage/errors.go */
const FUTURE_RETRY_SECONDS = 1

/** Turns what storage threw into what the client sees; anything else passes unchanged. */
export function toStatus(error: unknown, { gr, name, verb }: Subject): unknown {
  if (error instanceof ContinueError) return badRequest(error.message)
  if (error instanceof ContinueExpiredError) return expiredToken(error)
  if (!(error instanceof StorageError)) return error
  switch (error.code) {
    case 'notFound':
      return notFound(gr, name)
    case 'exists':
      return alreadyExists(gr, name)
    case 'conflict':
      return conflict(gr, name, OPTIMISTIC_LOCK_MESSAGE)
    case 'compacted':
      return expired(error.message)
    case 'futureRevision':
      return tooLargeResourceVersion(Number(error.key) || 0, error.revision, FUTURE_RETRY_SECONDS)
    case 'unavailable':
      return serverTimeout(gr, verb, 0)
    case 'tooLarge':
      return requestEntityTooLarge(error.message)
    case 'corrupt':
      return internalError('the stored object cannot be read', error)
    default:
      return error.code satisfies never
  }
}

function expiredToken(error: ContinueExpiredError): StatusError {
  const status = expired(error.message)
  status.body.metadata = { continue: error.continue }
  return status
}

/** The Status of any error. An unexpected one becomes a bare 500; the caller logs the original. */
export function statusOf(error: unknown): StatusError {
  if (error instanceof StatusError) return error
  return internalError('an unexpected error occurred; the server log has the details', error)
}

/** 404 for a path under a served group version that names nothing served. */
export function unknownResource(): StatusError {
  return failure({
    code: 404,
    reason: 'NotFound',
    message: 'the server could not find the requested resource',
    details: {},
  })
}

/** 405 for a method that this path does not take. */
export function methodNotAllowed(): StatusError {
  return failure({
    code: 405,
    reason: 'MethodNotAllowed',
    message: 'the server does not allow this method on the requested resource',
    details: {},
  })
}
