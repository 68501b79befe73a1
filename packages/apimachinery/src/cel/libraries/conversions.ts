// Conversions between types: int(x), string(x), type(x) and so on. Called by compile.ts.
// Ref: cel-go/common/types, ConvertToType of each

import type { Library } from '../function.ts'
import { printDouble } from '../number-text.ts'
import {
  printDuration,
  printTimestamp,
  readDuration,
  readTimestamp,
  secondsOf,
  timestampOfSeconds,
} from '../time.ts'
import {
  type CelDuration,
  CelError,
  type CelTimestamp,
  CelUint,
  type CelValue,
  fitsInt,
  fitsUint,
  typeOf,
} from '../value.ts'

const same = (value: CelValue) => value

function doubleToInt(value: number): CelValue {
  // Doubles next to the limits are not whole 64-bit numbers any more.
  if (!(value > -(2 ** 63) && value < 2 ** 63)) return new CelError('integer overflow')
  return BigInt(Math.trunc(value))
}

function doubleToUint(value: number): CelValue {
  if (!(value >= 0 && value < 2 ** 64)) return new CelError('unsigned integer overflow')
  return new CelUint(BigInt(Math.trunc(value)))
}

function invalid(type: string): CelError {
  return new CelError(`type conversion error from 'string' to '${type}'`)
}

function textToInt(text: string): CelValue {
  if (!/^[+-]?[0-9]+$/.test(text)) return invalid('int')
  const value = BigInt(text.replace(/^\+/, ''))
  return fitsInt(value) ? value : invalid('int')
}

function textToUint(text: string): CelValue {
  if (!/^[0-9]+$/.test(text)) return invalid('uint')
  const value = BigInt(text)
  return fitsUint(value) ? new CelUint(value) : invalid('uint')
}

const SPECIAL_DOUBLES: Readonly<Record<string, number>> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  infinity: Number.POSITIVE_INFINITY,
}

function textToDouble(text: string): CelValue {
  const special = SPECIAL_DOUBLES[text.toLowerCase().replace(/^[+-]/, '')]
  if (special !== undefined) return text.startsWith('-') ? -special : special
  if (!/^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(text)) {
    return invalid('double')
  }
  const value = Number(text)
  return Number.isFinite(value) ? value : invalid('double')
}

const TRUE_WORDS: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True'])
const FALSE_WORDS: ReadonlySet<string> = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False'])

function textToBool(text: string): CelValue {
  if (TRUE_WORDS.has(text)) return true
  if (FALSE_WORDS.has(text)) return false
  return invalid('bool')
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function bytesToText(bytes: Uint8Array): CelValue {
  try {
    return UTF8.decode(bytes)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return new CelError('invalid UTF-8 in bytes, cannot convert to string')
  }
}

function typeOfValue(value: CelValue): CelValue {
  return typeOf(value)
}

export const CONVERSIONS: Library = {
  type: { type: ['(A) -> type(A)', typeOfValue] },
  dyn: { to_dyn: ['(A) -> dyn', same] },
  bool: {
    bool_to_bool: ['(bool) -> bool', same],
    string_to_bool: ['(string) -> bool', textToBool],
  },
  bytes: {
    bytes_to_bytes: ['(bytes) -> bytes', same],
    string_to_bytes: ['(string) -> bytes', (text: string) => new Uint8Array(Buffer.from(text))],
  },
  double: {
    double_to_double: ['(double) -> double', same],
    int64_to_double: ['(int) -> double', (value: bigint) => Number(value)],
    string_to_double: ['(string) -> double', textToDouble],
    uint64_to_double: ['(uint) -> double', (value: CelUint) => Number(value.value)],
  },
  duration: {
    duration_to_duration: ['(duration) -> duration', same],
    // Declared upstream, but no integer converts.
    int64_to_duration: [
      '(int) -> duration',
      () => new CelError("type conversion error from 'int' to 'google.protobuf.Duration'"),
    ],
    string_to_duration: ['(string) -> duration', readDuration],
  },
  int: {
    int64_to_int64: ['(int) -> int', same],
    double_to_int64: ['(double) -> int', doubleToInt],
    duration_to_int64: ['(duration) -> int', (value: CelDuration) => value.nanos],
    string_to_int64: ['(string) -> int', textToInt],
    timestamp_to_int64: ['(timestamp) -> int', (value: CelTimestamp) => secondsOf(value)],
    uint64_to_int64: [
      '(uint) -> int',
      (value: CelUint) => (fitsInt(value.value) ? value.value : new CelError('integer overflow')),
    ],
  },
  string: {
    string_to_string: ['(string) -> string', same],
    bool_to_string: ['(bool) -> string', (value: boolean) => String(value)],
    bytes_to_string: ['(bytes) -> string', bytesToText],
    double_to_string: ['(double) -> string', (value: number) => printDouble(value)],
    duration_to_string: ['(duration) -> string', (value: CelDuration) => printDuration(value)],
    int64_to_string: ['(int) -> string', (value: bigint) => String(value)],
    timestamp_to_string: ['(timestamp) -> string', (value: CelTimestamp) => printTimestamp(value)],
    uint64_to_string: ['(uint) -> string', (value: CelUint) => String(value.value)],
  },
  timestamp: {
    timestamp_to_timestamp: ['(timestamp) -> timestamp', same],
    int64_to_timestamp: ['(int) -> timestamp', timestampOfSeconds],
    string_to_timestamp: ['(string) -> timestamp', readTimestamp],
  },
  uint: {
    uint64_to_uint64: ['(uint) -> uint', same],
    double_to_uint64: ['(double) -> uint', doubleToUint],
    int64_to_uint64: [
      '(int) -> uint',
      (value: bigint) =>
        value < 0n ? new CelError('unsigned integer overflow') : new CelUint(value),
    ],
    string_to_uint64: ['(string) -> uint', textToUint],
  },
}

/** Functions whose calls on literals are computed once, when a program is made. */
export const CONVERSION_NAMES: ReadonlySet<string> = new Set(Object.keys(CONVERSIONS))
