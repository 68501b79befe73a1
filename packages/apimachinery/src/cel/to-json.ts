// What a program answered, as JSON. Called by api/src/admission for what policies make; reads every kind of value.
// Ref: apiserver/pkg/admission/plugin/policy/mutating/patch/json_patch.go, cel-go/common/types ConvertToNative

import { jsonInteger } from '../int64.ts'
import { type JsonObject, type JsonValue, setOwn } from '../json.ts'
import { PatchObject } from './patch-types.ts'
import { printDuration, printTimestamp } from './time.ts'
import {
  CelDuration,
  CelList,
  CelMap,
  CelOptional,
  CelTimestamp,
  CelUint,
  type CelValue,
  typeOf,
} from './value.ts'

/** A value has no JSON form. */
export class NotJsonError extends Error {
  override readonly name = 'NotJsonError'
}

/** Makes the JSON of an integer. */
type FromInteger = (value: bigint) => JsonValue

/** The JSON of a value that a program returned. Throws NotJsonError. Integers that doubles cannot hold are texts. */
export function toJson(value: unknown): JsonValue {
  return convert(value as CelValue, fromInteger)
}

/** The same with every int64 as it is: configurations are native values upstream, which no JSON decoder has seen. */
export function toExactJson(value: unknown): JsonValue {
  return convert(value as CelValue, jsonInteger)
}

function convert(value: CelValue, integer: FromInteger): JsonValue {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'number':
      return value
    case 'bigint':
      return integer(value)
    default:
      return value === null ? null : fromObject(value, integer)
  }
}

function fromInteger(value: bigint): JsonValue {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : String(value)
}

function fromObject(
  value: Exclude<CelValue, string | boolean | number | bigint | null>,
  integer: FromInteger,
): JsonValue {
  if (value instanceof PatchObject) {
    return fromEntries([...value.fields].map(([name, field]) => [name, convert(field, integer)]))
  }
  if (value instanceof CelMap) return fromMap(value, integer)
  if (value instanceof CelList) return [...value].map(item => convert(item, integer))
  if (value instanceof CelOptional)
    return value.value === undefined ? null : convert(value.value, integer)
  if (value instanceof CelUint) return integer(value.value)
  if (value instanceof CelTimestamp) return printTimestamp(value)
  if (value instanceof CelDuration) return printDuration(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  throw new NotJsonError(`unsupported type: ${typeOf(value).name}`)
}

function fromMap(map: CelMap, integer: FromInteger): JsonObject {
  const entries: [string, JsonValue][] = []
  for (const key of map.keys()) {
    if (typeof key !== 'string') {
      throw new NotJsonError(`map key of type ${typeOf(key).name}, not string`)
    }
    entries.push([key, convert(map.find(key) ?? null, integer)])
  }
  return fromEntries(entries)
}

function fromEntries(entries: readonly (readonly [string, JsonValue])[]): JsonObject {
  const object: JsonObject = {}
  for (const [name, value] of entries) setOwn(object, name, value)
  return object
}
