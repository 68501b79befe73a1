// One thing wrong with one field of an object, and the cause it becomes in a 422 Status.
// Made by validation, turned into a Status by status.ts `invalid`. Ref: apimachinery/pkg/util/validation/field/errors.go

import { quoteGo } from './codec/decode-error.ts'
import { formatGoFloat } from './go-float.ts'
import type { JsonValue } from './json.ts'

export type FieldErrorType =
  | 'FieldValueNotFound'
  | 'FieldValueRequired'
  | 'FieldValueDuplicate'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'InternalError'
  | 'FieldValueTypeInvalid'

export interface FieldError {
  readonly type: FieldErrorType
  /** The path as upstream prints it: `spec.ports[0].name`, `data[a/b]`; '<nil>' for none. */
  readonly field: string
  /** The value as it stands in the message; ignored by Required, Forbidden and InternalError. */
  readonly badValue?: JsonValue | undefined
  /** Leaves the value out of the message, as failed CEL rules on objects and lists do. */
  readonly omitValue?: boolean
  readonly detail: string
}

const TITLES: Record<FieldErrorType, string> = {
  FieldValueNotFound: 'Not found',
  FieldValueRequired: 'Required value',
  FieldValueDuplicate: 'Duplicate value',
  FieldValueInvalid: 'Invalid value',
  FieldValueNotSupported: 'Unsupported value',
  FieldValueForbidden: 'Forbidden',
  FieldValueTooLong: 'Too long',
  FieldValueTooMany: 'Too many',
  InternalError: 'Internal error',
  FieldValueTypeInvalid: 'Invalid value',
}
const WITHOUT_VALUE: ReadonlySet<FieldErrorType> = new Set([
  'FieldValueRequired',
  'FieldValueForbidden',
  'FieldValueTooLong',
  'InternalError',
])

/** Everything after the field: `Invalid value: "x": must be ...`. It is a cause's message. */
export function fieldErrorBody(error: FieldError): string {
  const title = TITLES[error.type]
  const bare = error.omitValue === true || WITHOUT_VALUE.has(error.type)
  const head = bare ? title : `${title}: ${formatValue(error.badValue)}`
  return error.detail === '' ? head : `${head}: ${error.detail}`
}

/** The whole text: `metadata.name: Invalid value: "x": must be ...`. */
export function formatFieldError(error: FieldError): string {
  return `${error.field}: ${fieldErrorBody(error)}`
}

function formatValue(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return 'null'
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return formatGoFloat(value)
  if (typeof value === 'string') return quoteGo(value)
  const text = JSON.stringify(value)
  // Go's encoder escapes these in objects and lists; strings are printed by other means.
  return typeof value === 'object' ? text.replace(/[<>&]/g, escapeHtml) : text
}

function escapeHtml(char: string): string {
  return `\\u00${char.charCodeAt(0).toString(16)}`
}

export const required = (field: string, detail = ''): FieldError => ({
  type: 'FieldValueRequired',
  field,
  detail,
})
export const invalidValue = (
  field: string,
  badValue: JsonValue | undefined,
  detail: string,
): FieldError => ({ type: 'FieldValueInvalid', field, badValue, detail })
export const typeInvalid = (
  field: string,
  badValue: JsonValue | undefined,
  detail: string,
): FieldError => ({ type: 'FieldValueTypeInvalid', field, badValue, detail })
export const duplicate = (field: string, badValue: JsonValue | undefined): FieldError => ({
  type: 'FieldValueDuplicate',
  field,
  badValue,
  detail: '',
})
export const forbiddenField = (field: string, detail: string): FieldError => ({
  type: 'FieldValueForbidden',
  field,
  detail,
})
export const notFoundField = (field: string, badValue: JsonValue | undefined): FieldError => ({
  type: 'FieldValueNotFound',
  field,
  badValue,
  detail: '',
})

/** `Unsupported value: "x": supported values: "a", "b"`. */
export function notSupported(
  field: string,
  badValue: JsonValue | undefined,
  supported: readonly string[],
): FieldError {
  const list = supported.map(value => JSON.stringify(value)).join(', ')
  return { type: 'FieldValueNotSupported', field, badValue, detail: `supported values: ${list}` }
}

/** `Too long: may not be more than N bytes`. */
export function tooLong(field: string, maxLength: number): FieldError {
  return {
    type: 'FieldValueTooLong',
    field,
    detail: `may not be more than ${maxLength} byte${maxLength === 1 ? '' : 's'}`,
  }
}

/** `Too many: N: must have at most M items`. */
export function tooMany(field: string, actual: number, max: number): FieldError {
  return {
    type: 'FieldValueTooMany',
    field,
    badValue: actual,
    detail: `must have at most ${max} item${max === 1 ? '' : 's'}`,
  }
}
