// JSON values as expressions see them: by the declared schema, converted only where one looks.
// Called by compile.ts for each variable that is read; calls list-type.ts and time.ts.
// Ref: apiserver/pkg/cel/common/valuesunstructured.go

import { goTypeName } from '../go-value.ts'
import { isInt64, isJsonNumber } from '../int64.ts'
import { equalJson, isObject, type JsonObject, type JsonValue } from '../json.ts'
import type { SchemaNode } from '../schema/node.ts'
import { CelType } from './cel-type.ts'
import { formatOf, withTypeAndObjectMeta } from './declaration.ts'
import { escapeFieldName, unescapeFieldName } from './field-name.ts'
import { keyIdentifiers, MapList, SetList } from './list-type.ts'
import { type Instant, readGoDuration, readInstant } from './time.ts'
import {
  CelDuration,
  CelError,
  CelList,
  CelMap,
  CelOpaque,
  CelTimestamp,
  type CelValue,
  equal,
  noSuchOverload,
} from './value.ts'

/** Converts a value that follows `node`; data that does not is an error value. */
export function fromSchema(json: JsonValue, node: SchemaNode): CelValue {
  if (json === null) {
    return node.nullable === true
      ? null
      : new CelError('invalid data, got null for schema with nullable=false')
  }
  if (node.intOrString === true) return fromIntOrString(json)
  switch (node.type) {
    case 'object':
      if (!isObject(json)) {
        return new CelError('invalid data, expected a map for the provided schema with type=object')
      }
      return new SchemaMap(
        json,
        node.embeddedResource === true ? withTypeAndObjectMeta(node) : node,
      )
    case 'array':
      return fromArray(json, node)
    case 'string':
      return typeof json === 'string' ? fromString(json, node) : wrongType('string', json)
    case 'number':
      return isJsonNumber(json) ? Number(json) : wrongType('float', json)
    case 'integer':
      return isInt64(json) ? BigInt(json) : wrongType('int', json)
    case 'boolean':
      return typeof json === 'boolean' ? json : wrongType('bool', json)
    default:
      return new PreservedValue(json)
  }
}

/**
 * Converts a value of unknown shape: whole numbers are ints, as decoders of Kubernetes read them.
 */
export function fromJson(json: JsonValue): CelValue {
  if (typeof json === 'number') return isInt64(json) ? BigInt(json) : json
  if (Array.isArray(json)) return new JsonList(json)
  return isObject(json) ? new JsonMap(json) : json
}

function wrongType(expected: string, json: JsonValue): CelError {
  return new CelError(`invalid data, expected ${expected}, got ${goTypeName(json)}`)
}

function fromIntOrString(json: JsonValue): CelValue {
  if (typeof json === 'string') return json
  if (isInt64(json)) return BigInt(json)
  return new CelError('invalid data, expected XIntOrString value to be either a string or integer')
}

function fromArray(json: JsonValue, node: SchemaNode): CelValue {
  if (!Array.isArray(json)) {
    return new CelError('invalid data, expected an array for the provided schema with type=array')
  }
  if (node.items === undefined) {
    return new CelError('invalid array type, expected Items with a non-empty Schema')
  }
  const list = new SchemaList(json, node.items)
  if (node.listType === 'map') return new MapList(list, keyIdentifiers(node.listMapKeys ?? []))
  return node.listType === 'set' ? new SetList(list) : list
}

function fromString(text: string, node: SchemaNode): CelValue {
  switch (formatOf(node)) {
    case 'duration': {
      const nanos = readGoDuration(text) ?? readLooseDuration(text)
      if (nanos !== undefined) return new CelDuration(nanos)
      return new CelError(`Invalid duration ${text}: unable to parse ${text} as duration`)
    }
    case 'date':
      return fromInstant(text, readInstant(`${text}T00:00:00Z`), 'date')
    case 'date-time':
      return fromInstant(text, readLooseInstant(text), 'date-time')
    case 'byte':
      return fromBase64(text)
    default:
      return text
  }
}

function fromInstant(text: string, instant: Instant | undefined, format: string): CelValue {
  if (instant !== undefined) return new CelTimestamp(instant.nanos, instant.offset)
  return new CelError(
    `Invalid ${format} formatted string ${text}: cannot parse ${JSON.stringify(text)}`,
  )
}

/** date-time without a zone is UTC, seconds may be missing. Ref: kube-openapi strfmt/time.go */
function readLooseInstant(text: string): Instant | undefined {
  if (text === '') return readInstant('1970-01-01T00:00:00Z')
  const match =
    /^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?$/.exec(
      text,
    )
  if (match === null) return undefined
  const zone = (match[3] ?? 'Z').replace(/^([+-][0-9]{2})([0-9]{2})$/, '$1:$2')
  return readInstant(`${match[1]}${match[2] ?? ':00'}${zone}`)
}

const LOOSE_UNITS: readonly (readonly [nanos: bigint, names: readonly string[], prefix: string])[] =
  [
    [1n, ['ns'], 'nano'],
    [1_000n, ['us', 'µs'], 'micro'],
    [1_000_000n, ['ms'], 'milli'],
    [1_000_000_000n, ['s'], 'sec'],
    [60_000_000_000n, ['m'], 'min'],
    [3_600_000_000_000n, ['h', 'hr'], 'hour'],
    [86_400_000_000_000n, ['d'], 'day'],
    [604_800_000_000_000n, ['w', 'wk'], 'week'],
  ]

/** `3 weeks 2 days`. Ref: kube-openapi strfmt/duration.go */
function readLooseDuration(text: string): bigint | undefined {
  let total: bigint | undefined
  for (const [, count, word] of text.matchAll(/(\d+)\s*([A-Za-zµ]+)/g)) {
    const unit = (word as string).toLowerCase()
    for (const [nanos, names, prefix] of LOOSE_UNITS) {
      if (names.includes(unit) || unit.startsWith(prefix)) {
        total = (total ?? 0n) + BigInt(count as string) * nanos
      }
    }
  }
  return total
}

function fromBase64(text: string): CelValue {
  const compact = text.replace(/[\r\n]/g, '')
  if (compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) {
    return new CelError(`Invalid byte formatted string ${text}: illegal base64 data`)
  }
  return new Uint8Array(Buffer.from(compact, 'base64'))
}

const PRESERVED = new CelType('opaque', 'unknown')

/** Data without a schema inside a typed object: it can only be compared. */
class PreservedValue extends CelOpaque {
  readonly type = PRESERVED
  readonly json: JsonValue

  constructor(json: JsonValue) {
    super()
    this.json = json
  }

  equals(other: CelOpaque): boolean {
    return other instanceof PreservedValue && equalJson(this.json, other.json)
  }

  override toString(): string {
    return JSON.stringify(this.json)
  }
}

/** An object, or a map when the schema has free keys. */
class SchemaMap extends CelMap {
  readonly #value: JsonObject
  readonly #node: SchemaNode
  readonly #cache = new Map<string, CelValue>()

  constructor(value: JsonObject, node: SchemaNode) {
    super()
    this.#value = value
    this.#node = node
  }

  get size(): number {
    let count = 0
    for (const key of Object.keys(this.#value)) if (this.#value[key] !== undefined) count++
    return count
  }

  find(key: CelValue): CelValue | undefined {
    if (typeof key !== 'string') return noSuchOverload()
    const cached = this.#cache.get(key)
    if (cached !== undefined) return cached
    const found = this.#read(key)
    if (found !== undefined) this.#cache.set(key, found)
    return found
  }

  *keys(): Iterable<CelValue> {
    for (const key of Object.keys(this.#value)) {
      if (this.#value[key] === undefined || this.#schemaOf(key) === undefined) continue
      yield this.#isObject ? (escapeFieldName(key) ?? key) : key
    }
  }

  override equals(other: CelMap): boolean | CelError {
    if (this.size !== other.size) return false
    for (const key of Object.keys(this.#value)) {
      if (this.#value[key] === undefined) continue
      const same = this.#sameAt(key, other)
      if (same !== true) return same
    }
    return true
  }

  #sameAt(key: string, other: CelMap): boolean | CelError {
    if (this.#schemaOf(key) === undefined) {
      // Fields without a schema are compared as data; one that only one side has does not count.
      if (!(other instanceof SchemaMap)) return noSuchOverload()
      const theirs = Object.hasOwn(other.#value, key) ? other.#value[key] : undefined
      return theirs === undefined || equalJson(this.#value[key], theirs)
    }
    const mine = this.find(key)
    const theirs = other.find(key)
    if (mine === undefined || theirs === undefined) return mine === theirs
    if (mine instanceof CelError) return mine
    return theirs instanceof CelError ? theirs : equal(mine, theirs)
  }

  get #isObject(): boolean {
    return this.#node.properties !== undefined
  }

  #schemaOf(key: string): SchemaNode | undefined {
    return this.#node.properties === undefined
      ? this.#node.additionalProperties
      : this.#node.properties.get(key)
  }

  #read(identifier: string): CelValue | undefined {
    const key = this.#isObject ? unescapeFieldName(identifier) : identifier
    if (key === undefined || !Object.hasOwn(this.#value, key)) return undefined
    const json = this.#value[key]
    // A null field of an object counts as absent; in a map with free keys it is a value.
    if (json === undefined || (json === null && this.#isObject)) return undefined
    const node = this.#schemaOf(key)
    return node && fromSchema(json, node)
  }
}

class SchemaList extends CelList {
  override readonly intIndexOnly = true
  readonly #items: readonly JsonValue[]
  readonly #itemSchema: SchemaNode
  readonly #cache: CelValue[] = []

  constructor(items: readonly JsonValue[], itemSchema: SchemaNode) {
    super()
    this.#items = items
    this.#itemSchema = itemSchema
  }

  get size(): number {
    return this.#items.length
  }

  at(index: number): CelValue {
    const cached = this.#cache[index]
    if (cached !== undefined) return cached
    const value = fromSchema(this.#items[index] as JsonValue, this.#itemSchema)
    this.#cache[index] = value
    return value
  }
}

class JsonMap extends CelMap {
  readonly #value: JsonObject

  constructor(value: JsonObject) {
    super()
    this.#value = value
  }

  get size(): number {
    return Object.keys(this.#value).length
  }

  find(key: CelValue): CelValue | undefined {
    if (typeof key !== 'string' || !Object.hasOwn(this.#value, key)) return undefined
    const json = this.#value[key]
    return json === undefined ? undefined : fromJson(json)
  }

  keys(): Iterable<CelValue> {
    return Object.keys(this.#value)
  }
}

class JsonList extends CelList {
  readonly #items: readonly JsonValue[]

  constructor(items: readonly JsonValue[]) {
    super()
    this.#items = items
  }

  get size(): number {
    return this.#items.length
  }

  at(index: number): CelValue {
    return fromJson(this.#items[index] as JsonValue)
  }
}
