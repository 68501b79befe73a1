// Bounds, multiples and number formats, with Go's distinction between integers and floating point. Called by validate.ts.
// Ref: kube-openapi/pkg/validation/validate/{validator,values}.go

import { formatGoFloat } from '../go-float.ts'
import { isInt64, type JsonNumber } from '../int64.ts'
import type { JsonValue } from '../json.ts'
import type { ValueValidation } from './node.ts'

/** A failed check. Named ones are reported at the field, others without one. */
export interface NumericFailure {
  readonly named: boolean
  readonly text: string
  readonly value: JsonValue
}

// The largest double below 2^63 and the largest float32.
const INT64_LIMIT = 2 ** 63
const INT32_MAX = 2 ** 31 - 1
const FLOAT32_MAX = (2 - 2 ** -23) * 2 ** 127

/** Checks range, multipleOf, minimum and maximum, in that order. */
export function checkNumber(
  facets: ValueValidation,
  types: readonly string[],
  format: string,
  value: JsonNumber,
  path: string,
): NumericFailure[] {
  const type = types.length === 1 ? types[0]! : ''
  const failures: NumericFailure[] = []
  const inRange = (number: JsonNumber, what: string): boolean => {
    if (fits(number, type, format)) return true
    const kind = format === '' ? `${type} (default format)` : `${type} with format ${format}`
    failures.push({
      named: false,
      text: `${what} value must be of type ${kind} in ${path}`,
      value: '',
    })
    return false
  }
  inRange(value, 'Checked')
  if (facets.multipleOf !== undefined) {
    const native = inRange(facets.multipleOf, 'MultipleOf') && isInt64(value)
    const failure = multipleOf(value, facets.multipleOf, native, path)
    if (failure !== undefined) failures.push(failure)
  }
  if (facets.minimum !== undefined) {
    const native = inRange(facets.minimum, 'Minimum boundary') && isInt64(value)
    const bound = native ? Math.trunc(facets.minimum) : facets.minimum
    const open = facets.exclusiveMinimum === true
    if (open ? value <= bound : value < bound) {
      const text = `${path} in body should be greater than ${open ? '' : 'or equal to '}${bounded(bound, native)}`
      failures.push({ named: true, text, value })
    }
  }
  if (facets.maximum !== undefined) {
    const native = inRange(facets.maximum, 'Maximum boundary') && isInt64(value)
    const bound = native ? Math.trunc(facets.maximum) : facets.maximum
    const open = facets.exclusiveMaximum === true
    if (open ? value >= bound : value > bound) {
      const text = `${path} in body should be less than ${open ? '' : 'or equal to '}${bounded(bound, native)}`
      failures.push({ named: true, text, value })
    }
  }
  return failures
}

function fits(value: JsonNumber, type: string, format: string): boolean {
  if (type === 'integer') {
    if (!isInt64(value) && !isInt64Float(Number(value))) return false
    return format !== 'int32' || (value <= INT32_MAX && value >= -INT32_MAX - 1)
  }
  return format !== 'float' || Math.abs(Number(value)) <= FLOAT32_MAX
}

/** Upstream prints the float with as few digits as tell it and reads an int64: -2^63 is -9223372036854776000 then, too low. */
function isInt64Float(value: number): boolean {
  return Number.isInteger(value) && Math.abs(value) < INT64_LIMIT
}

/** An int64 in full, or a float64. */
const bounded = (value: number, native: boolean): string =>
  native ? String(BigInt(value)) : formatGoFloat(value)

function multipleOf(
  value: JsonNumber,
  declared: number,
  native: boolean,
  path: string,
): NumericFailure | undefined {
  const factor = native ? Math.trunc(declared) : declared
  const shown = bounded(factor, native)
  if (factor <= 0) {
    const text = `factor MultipleOf declared for ${path} must be positive: ${shown}`
    return { named: true, text, value: factor }
  }
  const isMultiple = native
    ? BigInt(value) % BigInt(factor) === 0n
    : isNearMultiple(Number(value), factor)
  if (isMultiple) return undefined
  return { named: true, text: `${path} in body should be a multiple of ${shown}`, value }
}

/** Floating point quotients may miss the integer by a relative error this small. */
function isNearMultiple(value: number, factor: number): boolean {
  const quotient = factor < 1 ? (1 / factor) * value : value / factor
  const rounded = Math.round(quotient)
  const isNear = quotient === rounded || Math.abs(quotient - rounded) < 1e-9 * Math.abs(rounded)
  return Number.isSafeInteger(rounded) && isNear
}
