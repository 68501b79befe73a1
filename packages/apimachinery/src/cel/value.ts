// Values while an expression runs. Integers are BigInt, doubles are numbers, errors are values too,
// because && and || may absorb them. Called by the interpreter and libraries; calls cel-type.ts.

import {
  BOOL,
  BYTES,
  CelType,
  DOUBLE,
  DURATION,
  ERROR,
  INT,
  LIST,
  MAP,
  NULL,
  OPTIONAL,
  STRING,
  TIMESTAMP,
  TYPE,
  UINT,
} from './cel-type.ts'

export type CelValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | CelUint
  | CelDuration
  | CelTimestamp
  | CelList
  | CelMap
  | CelType
  | CelOptional
  | CelOpaque
  | CelError

export class CelError {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }
}

export class CelUint {
  readonly value: bigint

  constructor(value: bigint) {
    this.value = value
  }
}

/** A length of time in nanoseconds, within 64 signed bits. */
export class CelDuration {
  readonly nanos: bigint

  constructor(nanos: bigint) {
    this.nanos = nanos
  }
}

/** An instant in nanoseconds since 1970, between the years 1 and 9999. */
export class CelTimestamp {
  readonly nanos: bigint
  /** Minutes east of UTC it was written with, and is printed with. */
  readonly offset: number

  constructor(nanos: bigint, offset = 0) {
    this.nanos = nanos
    this.offset = offset
  }
}

export class CelOptional {
  readonly value: CelValue | undefined

  constructor(value?: CelValue) {
    this.value = value
  }
}

export const NONE = new CelOptional()

/** A value of a library's type (an IP address, a quantity). */
export abstract class CelOpaque {
  abstract readonly type: CelType
  abstract equals(other: CelOpaque): boolean

  /** What size() costs are charged for; undefined when the type has no size. */
  costSize(): number | undefined {
    return undefined
  }
}

export abstract class CelList {
  abstract readonly size: number
  /** Data of a schema takes integers only; other lists also take whole doubles. */
  readonly intIndexOnly: boolean = false
  /** The element at an index known to be in range. */
  abstract at(index: number): CelValue

  /** List types of Kubernetes (set, map) compare and add in their own way. */
  equals(other: CelList): boolean | CelError {
    if (this.size !== other.size) return false
    for (let i = 0; i < this.size; i++) {
      const same = equal(this.at(i), other.at(i))
      if (same !== true) return same
    }
    return true
  }

  add(other: CelList): CelValue {
    return new ConcatList(this, other)
  }

  *[Symbol.iterator](): Iterator<CelValue> {
    for (let i = 0; i < this.size; i++) yield this.at(i)
  }
}

export class ArrayList extends CelList {
  readonly items: CelValue[]

  constructor(items: CelValue[]) {
    super()
    this.items = items
  }

  get size(): number {
    return this.items.length
  }

  at(index: number): CelValue {
    return this.items[index] as CelValue
  }
}

/** A list that a macro accumulates: adding to it changes it, so n additions take n steps. */
export class GrowingList extends ArrayList {
  override add(other: CelList): CelValue {
    for (let i = 0; i < other.size; i++) this.items.push(other.at(i))
    return this
  }
}

class ConcatList extends CelList {
  readonly #first: CelList
  readonly #second: CelList
  readonly size: number
  #flat: CelValue[] | undefined

  constructor(first: CelList, second: CelList) {
    super()
    this.#first = first
    this.#second = second
    this.size = first.size + second.size
  }

  at(index: number): CelValue {
    this.#flat ??= [...this.#first, ...this.#second]
    return this.#flat[index] as CelValue
  }
}

export abstract class CelMap {
  abstract readonly size: number
  /** The value at a key, undefined when absent, an error when the key can not be one. */
  abstract find(key: CelValue): CelValue | undefined
  abstract keys(): Iterable<CelValue>

  equals(other: CelMap): boolean | CelError {
    if (this.size !== other.size) return false
    for (const key of this.keys()) {
      const theirs = other.find(key)
      if (theirs === undefined) return false
      const same = equal(this.find(key) as CelValue, theirs)
      if (same !== true) return same
    }
    return true
  }
}

/**
 * A map made by an expression. Keys are strings, booleans and numbers; 1, 1u and 1.0 are one key.
 */
export class ValueMap extends CelMap {
  readonly #entries = new Map<unknown, readonly [CelValue, CelValue]>()

  get size(): number {
    return this.#entries.size
  }

  find(key: CelValue): CelValue | undefined {
    return this.#entries.get(normalKey(key))?.[1]
  }

  *keys(): Iterable<CelValue> {
    for (const [key] of this.#entries.values()) yield key
  }

  set(key: CelValue, value: CelValue): void {
    this.#entries.set(normalKey(key), [key, value])
  }

  delete(key: CelValue): void {
    this.#entries.delete(normalKey(key))
  }
}

/** A map that a macro accumulates: inserting changes it. */
export class GrowingMap extends ValueMap {}

/** Numbers by value; anything that is no proper key by identity, as upstream does not refuse it. */
function normalKey(key: CelValue): unknown {
  if (typeof key === 'number') return Number.isInteger(key) ? BigInt(key) : key
  return key instanceof CelUint ? key.value : key
}

/** What a macro accumulated can be seen by others, so it must no longer change. */
export function settle(value: CelValue): CelValue {
  if (value instanceof GrowingList) return new ArrayList(value.items)
  if (!(value instanceof GrowingMap)) return value
  const settled = new ValueMap()
  for (const key of value.keys()) settled.set(key, value.find(key) as CelValue)
  return settled
}

export function noSuchOverload(): CelError {
  return new CelError('no such overload')
}

const INT_MIN = -(2n ** 63n)
const INT_MAX = 2n ** 63n - 1n
const UINT_MAX = 2n ** 64n - 1n

export function fitsInt(value: bigint): boolean {
  return value >= INT_MIN && value <= INT_MAX
}

export function fitsUint(value: bigint): boolean {
  return value >= 0n && value <= UINT_MAX
}

/** The value's type without parameters: `list`, `kubernetes.URL`. */
export function typeOf(value: CelValue): CelType {
  switch (typeof value) {
    case 'string':
      return STRING
    case 'boolean':
      return BOOL
    case 'bigint':
      return INT
    case 'number':
      return DOUBLE
    default:
      return value === null ? NULL : typeOfObject(value)
  }
}

function typeOfObject(
  value: Exclude<CelValue, string | boolean | bigint | number | null>,
): CelType {
  if (value instanceof CelList) return LIST
  if (value instanceof CelMap) return MAP
  if (value instanceof CelUint) return UINT
  if (value instanceof CelDuration) return DURATION
  if (value instanceof CelTimestamp) return TIMESTAMP
  if (value instanceof CelOptional) return OPTIONAL
  if (value instanceof CelType) return TYPE
  if (value instanceof CelOpaque) return value.type
  return value instanceof CelError ? ERROR : BYTES
}

/** Equality of the language: numbers by value across types, otherwise false for unlike types. */
export function equal(a: CelValue, b: CelValue): boolean | CelError {
  if (a === b) return true
  const left = plainNumber(a)
  if (left !== undefined) {
    const right = plainNumber(b)
    return right !== undefined && orderNumbers(left, right) === 0
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  return equalObjects(a, b)
}

function equalObjects(a: object, b: object): boolean | CelError {
  if (a instanceof CelList) return b instanceof CelList && a.equals(b)
  if (a instanceof CelMap) return b instanceof CelMap && a.equals(b)
  if (a instanceof CelDuration) return b instanceof CelDuration && a.nanos === b.nanos
  if (a instanceof CelTimestamp) return b instanceof CelTimestamp && a.nanos === b.nanos
  if (a instanceof CelType) return b instanceof CelType && a.name === b.name
  if (a instanceof CelOpaque) return b instanceof CelOpaque && a.equals(b)
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0
  if (a instanceof CelOptional && b instanceof CelOptional) {
    if (a.value === undefined || b.value === undefined) return a.value === b.value
    return equal(a.value, b.value)
  }
  return false
}

/** The number inside an int, uint or double. */
function plainNumber(value: CelValue): bigint | number | undefined {
  if (typeof value === 'bigint' || typeof value === 'number') return value
  return value instanceof CelUint ? value.value : undefined
}

/** -1, 0 or 1; an error for values without an order between them. */
export function compare(a: CelValue, b: CelValue): number | CelError {
  const left = plainNumber(a)
  if (left !== undefined) {
    const right = plainNumber(b)
    if (right === undefined) return noSuchOverload()
    if (Number.isNaN(left) || Number.isNaN(right)) {
      return new CelError('NaN values cannot be ordered')
    }
    return orderNumbers(left, right)
  }
  if (typeof a === 'string') return typeof b === 'string' ? compareText(a, b) : noSuchOverload()
  if (typeof a === 'boolean') {
    return typeof b === 'boolean' ? Number(a) - Number(b) : noSuchOverload()
  }
  if (a instanceof CelDuration && b instanceof CelDuration) return order(a.nanos, b.nanos)
  if (a instanceof CelTimestamp && b instanceof CelTimestamp) return order(a.nanos, b.nanos)
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b)
  return noSuchOverload()
}

/**
 * An integer next to a double counts as the double nearest to it, as in cel-go. NaN equals nothing.
 */
function orderNumbers(a: bigint | number, b: bigint | number): number {
  if (typeof a === typeof b) return a < b ? -1 : a === b ? 0 : 1
  const [left, right] = [Number(a), Number(b)]
  return left < right ? -1 : left === right ? 0 : 1
}

function order(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}

const SURROGATE = /[\ud800-\udfff]/

/** By code point, as bytes of UTF-8 order; UTF-16 orders surrogate pairs before U+E000. */
function compareText(a: string, b: string): number {
  if (a === b) return 0
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b))
  return a < b ? -1 : 1
}

/** Code points of a string. */
export function textLength(text: string): number {
  let count = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0xd800 && unit < 0xdc00) count--
  }
  return count
}

/** size() of a value as costs see it: 1 for everything without a size. */
export function sizeOf(value: CelValue): number {
  if (typeof value === 'string') return textLength(value)
  if (typeof value !== 'object' || value === null) return 1
  if (value instanceof CelList || value instanceof CelMap) return value.size
  if (value instanceof Uint8Array) return value.length
  if (value instanceof CelOptional && value.value !== undefined) return sizeOf(value.value)
  return value instanceof CelOpaque ? (value.costSize() ?? 1) : 1
}
