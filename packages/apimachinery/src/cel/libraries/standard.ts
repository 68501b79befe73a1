// Functions and operators of the language; what decides which operands it evaluates is run by the
// interpreter, conversions are in conversions.ts. Called by registry.ts.
// Ref: cel-go/common/stdlib/standard.go

import type { FunctionTable, Implementation, Library } from '../function.ts'
import { matchesRegex } from '../regex.ts'
import { type CalendarField, calendarField, makeDuration, makeTimestamp } from '../time.ts'
import {
  type CelDuration,
  CelError,
  type CelList,
  type CelMap,
  type CelTimestamp,
  CelUint,
  type CelValue,
  compare,
  equal,
  fitsInt,
  fitsUint,
  textLength,
} from '../value.ts'

function int(value: bigint): CelValue {
  return fitsInt(value) ? value : new CelError('integer overflow')
}

function uint(value: bigint): CelValue {
  return fitsUint(value) ? new CelUint(value) : new CelError('unsigned integer overflow')
}

const DIVISION_BY_ZERO = new CelError('division by zero')
const MODULUS_BY_ZERO = new CelError('modulus by zero')

/** The types that can be ordered, in pairs: equal ones, and numbers of different types. */
const ORDERED_PAIRS: readonly (readonly [id: string, types: string])[] = [
  ['bool', 'bool, bool'],
  ['int64', 'int, int'],
  ['int64_double', 'int, double'],
  ['int64_uint64', 'int, uint'],
  ['uint64', 'uint, uint'],
  ['uint64_double', 'uint, double'],
  ['uint64_int64', 'uint, int'],
  ['double', 'double, double'],
  ['double_int64', 'double, int'],
  ['double_uint64', 'double, uint'],
  ['string', 'string, string'],
  ['bytes', 'bytes, bytes'],
  ['timestamp', 'timestamp, timestamp'],
  ['duration', 'duration, duration'],
]

function ordering(prefix: string, holds: (order: number) => boolean): FunctionTable {
  const run: Implementation = (a: CelValue, b: CelValue) => {
    const order = compare(a, b)
    return order instanceof CelError ? order : holds(order)
  }
  return Object.fromEntries(
    ORDERED_PAIRS.map(([id, types]) => [`${prefix}_${id}`, [`(${types}) -> bool`, run] as const]),
  )
}

/** getHours() and its like: of a timestamp, in a zone, and some of a duration. */
function calendar(
  id: string,
  field: CalendarField,
  ofDuration?: readonly [id: string, nanos: bigint],
  zoneId = `timestamp_to_${id}_with_tz`,
): FunctionTable {
  const fields: Record<string, readonly [string, Implementation]> = {
    [`timestamp_to_${id}`]: [
      'timestamp.() -> int',
      (at: CelTimestamp) => calendarField(at, field, undefined),
    ],
    [zoneId]: [
      'timestamp.(string) -> int',
      (at: CelTimestamp, zone: string) => calendarField(at, field, zone),
    ],
  }
  if (ofDuration !== undefined) {
    const run = (length: CelDuration) => length.nanos / ofDuration[1]
    fields[`duration_to_${ofDuration[0]}`] = ['duration.() -> int', run]
  }
  return fields
}

const ARITHMETIC: Library = {
  '_+_': {
    add_bytes: [
      '(bytes, bytes) -> bytes',
      (a: Uint8Array, b: Uint8Array) => new Uint8Array(Buffer.concat([a, b])),
    ],
    add_double: ['(double, double) -> double', (a: number, b: number) => a + b],
    add_duration_duration: [
      '(duration, duration) -> duration',
      (a: CelDuration, b: CelDuration) => makeDuration(a.nanos + b.nanos),
    ],
    add_duration_timestamp: [
      '(duration, timestamp) -> timestamp',
      (a: CelDuration, b: CelTimestamp) => makeTimestamp(a.nanos + b.nanos, b.offset),
    ],
    add_timestamp_duration: [
      '(timestamp, duration) -> timestamp',
      (a: CelTimestamp, b: CelDuration) => makeTimestamp(a.nanos + b.nanos, a.offset),
    ],
    add_int64: ['(int, int) -> int', (a: bigint, b: bigint) => int(a + b)],
    add_list: ['(list(A), list(A)) -> list(A)', (a: CelList, b: CelList) => a.add(b)],
    add_string: ['(string, string) -> string', (a: string, b: string) => a + b],
    add_uint64: ['(uint, uint) -> uint', (a: CelUint, b: CelUint) => uint(a.value + b.value)],
  },
  '_-_': {
    subtract_double: ['(double, double) -> double', (a: number, b: number) => a - b],
    subtract_duration_duration: [
      '(duration, duration) -> duration',
      (a: CelDuration, b: CelDuration) => makeDuration(a.nanos - b.nanos),
    ],
    subtract_int64: ['(int, int) -> int', (a: bigint, b: bigint) => int(a - b)],
    subtract_timestamp_duration: [
      '(timestamp, duration) -> timestamp',
      (a: CelTimestamp, b: CelDuration) => makeTimestamp(a.nanos - b.nanos, a.offset),
    ],
    subtract_timestamp_timestamp: [
      '(timestamp, timestamp) -> duration',
      (a: CelTimestamp, b: CelTimestamp) => makeDuration(a.nanos - b.nanos),
    ],
    subtract_uint64: ['(uint, uint) -> uint', (a: CelUint, b: CelUint) => uint(a.value - b.value)],
  },
  '_*_': {
    multiply_double: ['(double, double) -> double', (a: number, b: number) => a * b],
    multiply_int64: ['(int, int) -> int', (a: bigint, b: bigint) => int(a * b)],
    multiply_uint64: ['(uint, uint) -> uint', (a: CelUint, b: CelUint) => uint(a.value * b.value)],
  },
  '_/_': {
    divide_double: ['(double, double) -> double', (a: number, b: number) => a / b],
    divide_int64: [
      '(int, int) -> int',
      (a: bigint, b: bigint) => (b === 0n ? DIVISION_BY_ZERO : int(a / b)),
    ],
    divide_uint64: [
      '(uint, uint) -> uint',
      (a: CelUint, b: CelUint) => (b.value === 0n ? DIVISION_BY_ZERO : uint(a.value / b.value)),
    ],
  },
  '_%_': {
    modulo_int64: [
      '(int, int) -> int',
      (a: bigint, b: bigint) => (b === 0n ? MODULUS_BY_ZERO : int(a % b)),
    ],
    modulo_uint64: [
      '(uint, uint) -> uint',
      (a: CelUint, b: CelUint) => (b.value === 0n ? MODULUS_BY_ZERO : uint(a.value % b.value)),
    ],
  },
  '-_': {
    negate_double: ['(double) -> double', (a: number) => -a],
    negate_int64: ['(int) -> int', (a: bigint) => int(-a)],
  },
}

const LOGIC: Library = {
  '_?_:_': { conditional: ['(bool, A, A) -> A'] },
  '_&&_': { logical_and: ['(bool, bool) -> bool'] },
  '_||_': { logical_or: ['(bool, bool) -> bool'] },
  '!_': { logical_not: ['(bool) -> bool', (value: boolean) => !value] },
  '@not_strictly_false': { not_strictly_false: ['(bool) -> bool'] },
  '_==_': { equals: ['(A, A) -> bool', (a: CelValue, b: CelValue) => equal(a, b)] },
  '_!=_': {
    not_equals: [
      '(A, A) -> bool',
      (a: CelValue, b: CelValue) => {
        const same = equal(a, b)
        return same instanceof CelError ? same : !same
      },
    ],
  },
  '_<_': ordering('less', order => order < 0),
  '_<=_': ordering('less_equals', order => order <= 0),
  '_>_': ordering('greater', order => order > 0),
  '_>=_': ordering('greater_equals', order => order >= 0),
}

/** Whether a list holds a value; elements that can not be read only count when none is equal. */
function listHas(value: CelValue, list: CelList): CelValue {
  let failed: CelError | undefined
  for (let i = 0; i < list.size; i++) {
    const element = list.at(i)
    if (element instanceof CelError) failed ??= element
    else if (equal(element, value) === true) return true
  }
  return failed ?? false
}

function mapHas(key: CelValue, map: CelMap): CelValue {
  const found = map.find(key)
  return found instanceof CelError ? found : found !== undefined
}

const countText = (text: string) => BigInt(textLength(text))
const countBytes = (bytes: Uint8Array) => BigInt(bytes.length)
const countEntries = (container: CelList | CelMap) => BigInt(container.size)

const COLLECTIONS: Library = {
  '_[_]': {
    index_list: ['(list(A), int) -> A'],
    index_map: ['(map(A, B), A) -> B'],
  },
  '@in': {
    in_list: ['(A, list(A)) -> bool', listHas],
    in_map: ['(A, map(A, B)) -> bool', mapHas],
  },
  size: {
    size_bytes: ['(bytes) -> int', countBytes],
    bytes_size: ['bytes.() -> int', countBytes],
    size_list: ['(list(A)) -> int', countEntries],
    list_size: ['list(A).() -> int', countEntries],
    size_map: ['(map(A, B)) -> int', countEntries],
    map_size: ['map(A, B).() -> int', countEntries],
    size_string: ['(string) -> int', countText],
    string_size: ['string.() -> int', countText],
  },
}

const TEXT: Library = {
  contains: {
    contains_string: [
      'string.(string) -> bool',
      (text: string, part: string) => text.includes(part),
    ],
  },
  endsWith: {
    ends_with_string: [
      'string.(string) -> bool',
      (text: string, part: string) => text.endsWith(part),
    ],
  },
  startsWith: {
    starts_with_string: [
      'string.(string) -> bool',
      (text: string, part: string) => text.startsWith(part),
    ],
  },
  matches: {
    matches: ['(string, string) -> bool', matchesRegex],
    matches_string: ['string.(string) -> bool', matchesRegex],
  },
}

const CALENDAR: Library = {
  getFullYear: calendar('year', 'year'),
  getMonth: calendar('month', 'month'),
  getDayOfYear: calendar('day_of_year', 'dayOfYear'),
  getDayOfMonth: calendar('day_of_month', 'dayOfMonth'),
  getDate: calendar('day_of_month_1_based', 'date'),
  getDayOfWeek: calendar('day_of_week', 'dayOfWeek'),
  getHours: calendar('hours', 'hours', ['hours', 3_600_000_000_000n]),
  getMinutes: calendar('minutes', 'minutes', ['minutes', 60_000_000_000n]),
  getSeconds: calendar(
    'seconds',
    'seconds',
    ['seconds', 1_000_000_000n],
    'timestamp_to_seconds_tz',
  ),
  getMilliseconds: calendar('milliseconds', 'milliseconds', ['milliseconds', 1_000_000n]),
}

export const STANDARD: Library = { ...LOGIC, ...ARITHMETIC, ...COLLECTIONS, ...TEXT, ...CALENDAR }
