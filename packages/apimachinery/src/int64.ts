// The integers that a double cannot hold: beyond Number's safe ones and within int64 they are bigint, all other numbers
// are number. Used by whatever reads, writes or compares JSON; calls nothing.
// Ref: sigs.k8s.io/json json.go (an integer literal is an int64 where it fits, else a float64)

import type { JsonValue } from './json.ts'

declare global {
  interface BigInt {
    toJSON(): unknown
  }
  interface JSON {
    rawJSON(text: string): unknown
  }
}

/**
 * JSON.stringify refuses a bigint, and every writer of every package would have to know. As the language provides, the
 * type says once how it is written: with its digits. Values without one are written as fast as ever.
 */
BigInt.prototype.toJSON = function (this: bigint): unknown {
  return JSON.rawJSON(this.toString())
}

/** A number of a JSON value. A number that is no safe integer is a float64 upstream, a bigint always an int64. */
export type JsonNumber = number | bigint

const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)
/** A shorter integer is safe: 2^53 has 16 digits. */
const UNSAFE_DIGITS = 16
const INTEGER = /^-?[0-9]+$/

/** The JSON value of an integer: a bigint only where no number is exact, and beyond int64 the nearest double. */
export function jsonInteger(value: bigint): JsonNumber {
  const rounded = Number(value)
  return Number.isSafeInteger(rounded) || !fitsInt64(value) ? rounded : value
}

/** Whether a number literal is one that Go reads into an int64. */
export function isInt64Literal(text: string): boolean {
  if (!INTEGER.test(text)) return false
  return text.length < UNSAFE_DIGITS || (text.length <= 20 && fitsInt64(BigInt(text)))
}

function fitsInt64(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX
}

export function isJsonNumber(value: unknown): value is JsonNumber {
  return typeof value === 'number' || typeof value === 'bigint'
}

/** True for what is an int64 upstream. Numbers beyond the safe ones are floats: read from JSON, an int64 is a bigint there. */
export function isInt64(value: unknown): value is JsonNumber {
  return typeof value === 'bigint' || Number.isSafeInteger(value)
}

/** True for a number without a fraction, of whatever size. */
export function isJsonInteger(value: unknown): value is JsonNumber {
  return typeof value === 'bigint' || Number.isInteger(value)
}

/** The sum, wrapped around as Go's int64 does it. */
export function addInt64(value: JsonNumber, by: number): JsonNumber {
  const sum = Number(value) + by
  if (Number.isSafeInteger(sum)) return sum
  return jsonInteger(BigInt.asIntN(64, BigInt(value) + BigInt(by)))
}

/** JSON.parse with exact int64. Throws SyntaxError. */
export function parseExact(text: string): JsonValue {
  return (hasLongInteger(text) ? JSON.parse(text, revive) : JSON.parse(text)) as JsonValue
}

/** Called with a third argument, which says how the value was written. */
function revive(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const { source = '' } = context ?? {}
  return INTEGER.test(source) ? jsonInteger(BigInt(source)) : value
}

/**
 * Whether a number literal of JSON text may be an integer that is not safe. As so many digits in a row cover a position
 * that is a multiple of their count, only these are looked at: next to parsing, it costs nothing.
 */
function hasLongInteger(text: string): boolean {
  for (let at = UNSAFE_DIGITS - 1; at < text.length; at += UNSAFE_DIGITS) {
    if (!isDigit(text, at)) continue
    let start = at
    while (isDigit(text, start - 1)) start--
    let end = at + 1
    while (isDigit(text, end)) end++
    if (end - start >= UNSAFE_DIGITS && !isInText(text, start)) return true
    at = Math.max(at, end - (end % UNSAFE_DIGITS) - 1)
  }
  return false
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= 0x30 && code <= 0x39
}

/** Digits after a quote, a letter or a point are text or a fraction; those of an integer follow what comes before values. */
function isInText(text: string, start: number): boolean {
  const before = start > 0 && text[start - 1] === '-' ? start - 2 : start - 1
  return before >= 0 && !' \t\r\n:,['.includes(text[before] ?? '')
}
