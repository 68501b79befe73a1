// metav1.Status and the one error class whose body reaches a client. One constructor per reason, with upstream's text.
// Called by everything that refuses a request; api/src/errors.ts maps storage errors to these.
// Ref: apimachinery/pkg/api/errors/errors.go

import { type FieldError, fieldErrorBody, formatFieldError } from './field-error.ts'
import { formatGroupKind, formatGroupResource, type GroupKind, type GroupResource } from './gvk.ts'
import type { JsonObject } from './json.ts'

export interface StatusCause extends JsonObject {
  reason?: string
  message?: string
  field?: string
}

export interface StatusDetails extends JsonObject {
  name?: string
  group?: string
  kind?: string
  uid?: string
  causes?: StatusCause[]
  retryAfterSeconds?: number
}

export interface Status extends JsonObject {
  kind: 'Status'
  apiVersion: 'v1'
  metadata: JsonObject
  status: 'Success' | 'Failure'
  message?: string
  reason?: string
  details?: StatusDetails
  code?: number
}

/** An error that a client sees: its `body` is sent as it stands with HTTP status `body.code`. */
export class StatusError extends Error {
  override readonly name = 'StatusError'
  readonly code: number
  readonly body: Status

  constructor(body: Status, options?: ErrorOptions) {
    super(body.message ?? body.reason ?? 'unknown', options)
    this.body = body
    this.code = body.code ?? 500
  }
}

interface Failure {
  readonly code: number
  readonly reason?: string
  readonly message: string
  readonly details?: StatusDetails
  readonly cause?: unknown
}

/** Any failure that has no constructor of its own below. An empty `details` object is kept, as upstream prints it. */
export function failure({ code, reason, message, details, cause }: Failure): StatusError {
  const body: Status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
  }
  if (reason !== undefined && reason !== '') body.reason = reason
  if (details !== undefined) body.details = details
  body.code = code
  return new StatusError(body, cause === undefined ? undefined : { cause })
}

const ofResource = (gr: GroupResource, name: string): StatusDetails => ({
  ...(name === '' ? {} : { name }),
  ...(gr.group === '' ? {} : { group: gr.group }),
  ...(gr.resource === '' ? {} : { kind: gr.resource }),
})

export function notFound(gr: GroupResource, name: string): StatusError {
  const message = `${formatGroupResource(gr)} ${JSON.stringify(name)} not found`
  return failure({ code: 404, reason: 'NotFound', message, details: ofResource(gr, name) })
}

export function alreadyExists(gr: GroupResource, name: string): StatusError {
  const message = `${formatGroupResource(gr)} ${JSON.stringify(name)} already exists`
  return failure({ code: 409, reason: 'AlreadyExists', message, details: ofResource(gr, name) })
}

export function conflict(gr: GroupResource, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${formatGroupResource(gr)} ${JSON.stringify(name)}: ${why}`
  return failure({ code: 409, reason: 'Conflict', message, details: ofResource(gr, name) })
}

/** The text of every optimistic-lock conflict. Ref: apiserver/pkg/registry/generic/registry/store.go */
export const OPTIMISTIC_LOCK_MESSAGE =
  'the object has been modified; please apply your changes to the latest version and try again'

/** 422 with one cause per field error. */
export function invalid(gk: GroupKind, name: string, errors: readonly FieldError[]): StatusError {
  const texts = [...new Set(errors.map(formatFieldError))]
  const list = texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`
  const message = `${formatGroupKind(gk)} ${JSON.stringify(name)} is invalid: ${texts.length === 0 ? '<nil>' : list}`
  const causes = errors.map(error => ({
    reason: error.type,
    message: fieldErrorBody(error),
    field: error.field,
  }))
  const details: StatusDetails = ofResource({ group: gk.group, resource: gk.kind }, name)
  if (causes.length > 0) details.causes = causes
  return failure({ code: 422, reason: 'Invalid', message, details })
}

export function forbidden(gr: GroupResource, name: string, why: string): StatusError {
  const subject =
    gr.resource === ''
      ? `forbidden: ${why}`
      : `${formatGroupResource(gr)}${name === '' ? '' : ` ${JSON.stringify(name)}`} is forbidden: ${why}`
  return failure({
    code: 403,
    reason: 'Forbidden',
    message: subject,
    details: ofResource(gr, name),
  })
}

export function unauthorized(message = 'Unauthorized'): StatusError {
  return failure({ code: 401, reason: 'Unauthorized', message })
}

export function badRequest(message: string): StatusError {
  return failure({ code: 400, reason: 'BadRequest', message })
}

export function methodNotSupported(gr: GroupResource, action: string): StatusError {
  const message = `${action} is not supported on resources of kind ${JSON.stringify(formatGroupResource(gr))}`
  return failure({ code: 405, reason: 'MethodNotAllowed', message, details: ofResource(gr, '') })
}

/** 410: a resourceVersion or continue token older than the history kept. */
export function expired(message: string): StatusError {
  return failure({ code: 410, reason: 'Expired', message })
}

export function unsupportedMediaType(message: string): StatusError {
  return failure({ code: 415, reason: 'UnsupportedMediaType', message })
}

export function notAcceptable(message: string): StatusError {
  return failure({ code: 406, reason: 'NotAcceptable', message })
}

export function requestEntityTooLarge(message: string): StatusError {
  const text = `Request entity too large: ${message}`
  return failure({ code: 413, reason: 'RequestEntityTooLarge', message: text })
}

export function tooManyRequests(message: string, retryAfterSeconds: number): StatusError {
  return failure({ code: 429, reason: 'TooManyRequests', message, details: { retryAfterSeconds } })
}

export function timeout(message: string, retryAfterSeconds: number): StatusError {
  const details: StatusDetails = retryAfterSeconds > 0 ? { retryAfterSeconds } : {}
  return failure({ code: 504, reason: 'Timeout', message: `Timeout: ${message}`, details })
}

/** A resourceVersion the store has not reached. Ref: apiserver/pkg/storage/errors.go NewTooLargeResourceVersionError */
export function tooLargeResourceVersion(
  minimum: number,
  current: number,
  retryAfterSeconds: number,
): StatusError {
  const error = timeout(
    `Too large resource version: ${minimum}, current: ${current}`,
    retryAfterSeconds,
  )
  error.body.details = {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    ...error.body.details,
  }
  return error
}

export function serverTimeout(
  gr: GroupResource,
  verb: string,
  retryAfterSeconds: number,
): StatusError {
  const message = `The ${verb} operation against ${formatGroupResource(gr)} could not be completed at this time, please try again.`
  return failure({
    code: 500,
    reason: 'ServerTimeout',
    message,
    details: { ...ofResource(gr, verb), retryAfterSeconds },
  })
}

export function serviceUnavailable(message: string): StatusError {
  return failure({ code: 503, reason: 'ServiceUnavailable', message })
}

/** 500. The client sees only the message given; keep inner details in `cause`. */
export function internalError(message: string, cause?: unknown): StatusError {
  return failure({
    code: 500,
    reason: 'InternalError',
    message: `Internal error occurred: ${message}`,
    details: { causes: [{ message }] },
    cause,
  })
}

/** metav1.Status of a success, as delete answers it. */
export function successStatus(details?: StatusDetails): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    ...(details === undefined ? {} : { details }),
  }
}
