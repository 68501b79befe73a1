// What upstream objects to when the result of a strategic merge does not fit its Go type: it is converted by reflection,
// field by field, with words of its own. Called by the patch verb before decodeTyped does the conversion.
// Ref: apimachinery/pkg/runtime/converter.go fromUnstructured

import { DecodeError } from '../codec/decode-error.ts'
import { decodeTyped } from '../codec/typed.ts'
import { isObject, type JsonValue } from '../json.ts'
import type { SchemaNode } from '../schema/node.ts'

/** Types that unmarshal themselves; their own decoder speaks. */
const SELF_DECODING: ReadonlySet<string> = new Set([
  'v1.Time',
  'v1.MicroTime',
  'resource.Quantity',
  'intstr.IntOrString',
  'runtime.RawExtension',
  'v1.FieldsV1',
  'v1.JSON',
  'interface {}',
  'v1.JSONSchemaPropsOrBool',
  'v1.JSONSchemaPropsOrArray',
])

/** Throws DecodeError for the first field, in the type's order, whose value cannot become its type. */
export function checkConvertible(value: JsonValue, schema: SchemaNode): void {
  if (value === null) return
  if (SELF_DECODING.has(schema.goType ?? '')) decodeTyped(value, schema)
  else if (schema.properties !== undefined) checkStruct(value, schema.properties)
  else if (schema.additionalProperties !== undefined) checkMap(value, schema.additionalProperties)
  else if (schema.items !== undefined) checkSlice(value, schema.items)
  else if (schema.format === 'byte') checkBytes(value, schema)
  else checkScalar(value, schema)
}

function checkStruct(value: JsonValue, fields: ReadonlyMap<string, SchemaNode>): void {
  if (!isObject(value)) throw new DecodeError(`cannot restore struct from: ${reflectKind(value)}`)
  for (const [name, field] of fields) checkConvertible(value[name] ?? null, field)
}

function checkMap(value: JsonValue, element: SchemaNode): void {
  if (!isObject(value)) throw new DecodeError(`cannot restore map from ${reflectKind(value)}`)
  for (const key of Object.keys(value)) checkConvertible(value[key] ?? null, element)
}

function checkSlice(value: JsonValue, element: SchemaNode): void {
  if (!Array.isArray(value))
    throw new DecodeError(`cannot restore slice from ${reflectKind(value)}`)
  for (const item of value) checkConvertible(item, element)
}

function checkBytes(value: JsonValue, schema: SchemaNode): void {
  if (typeof value !== 'string')
    throw new DecodeError(`cannot restore slice from ${reflectKind(value)}`)
  try {
    decodeTyped(value, schema)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw new DecodeError(`error decoding from json: ${error.message}`)
  }
}

/** Go converts between integers and floats, and says so where it could between integers and strings. */
function checkScalar(value: JsonValue, schema: SchemaNode): void {
  const from = reflectKind(value)
  const to = scalarKind(schema)
  const isNumber = to !== 'string' && to !== 'bool'
  if (from === to || (isNumber && from === 'int64')) return
  if (isNumber && from === 'float64') {
    if (to === 'float64') return
    throw new DecodeError(`cannot convert float64 to ${schema.goType ?? to}`)
  }
  if (to === 'string' && from === 'int64')
    throw new DecodeError(`cannot convert int64 to ${schema.goType ?? to}`)
  throw new DecodeError(`unrecognized type: ${to}`)
}

function scalarKind({ type, format }: SchemaNode): string {
  if (type === 'integer') return format ?? 'int64'
  if (type === 'number') return 'float64'
  return type === 'boolean' ? 'bool' : 'string'
}

/** reflect.Kind of a decoded JSON value. */
function reflectKind(value: JsonValue): string {
  if (Array.isArray(value)) return 'slice'
  if (isObject(value)) return 'map'
  if (typeof value === 'bigint') return 'int64'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64'
  return typeof value === 'boolean' ? 'bool' : 'string'
}
