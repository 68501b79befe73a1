// Reads JSON as ObjectMeta the way Go's decoder and encoder would in one turn: unknown fields are dropped and named,
// empty values left out, times brought to UTC seconds, and a wrong type is an error in Go's words.
// Called by metadata.ts; walks the field table's ObjectMeta.
// Ref: apiextensions-apiserver/pkg/apiserver/schema/objectmeta/coerce.go

import { objectMetaSchema } from '../codec/field-table.ts'
import { isJsonInteger } from '../int64.ts'
import { isObject, type JsonObject, type JsonValue, setOwn } from '../json.ts'
import type { ObjectMeta } from '../meta.ts'
import { goJsonType } from '../patch/go-json-type.ts'
import type { SchemaNode } from './node.ts'

export type DecodedObjectMeta =
  | { readonly metadata: ObjectMeta; readonly unknown: readonly string[] }
  | { readonly error: string }

/** Decodes metadata into a new object. Paths of unknown fields are relative to it: `ownerReferences[0].x`. */
export function decodeObjectMeta(value: JsonValue): DecodedObjectMeta {
  const decoder = new Decoder()
  const decoded = decoder.struct(objectMetaSchema(), value, '', [])
  if (decoder.error !== undefined) return { error: decoder.error }
  const metadata = (decoded ?? {}) as ObjectMeta
  return { metadata, unknown: decoder.unknown }
}

class Decoder {
  readonly unknown: string[] = []
  error: string | undefined

  /** `path` names the place for unknown fields; `fields` are the Go field names that errors print. */
  struct(
    node: SchemaNode,
    value: JsonValue,
    path: string,
    fields: readonly string[],
  ): JsonObject | undefined {
    if (value === null) return undefined
    if (!isObject(value)) return this.#mismatch(node, value, undefined, fields)
    const out: JsonObject = {}
    for (const [name, child] of node.properties ?? []) {
      const sent = Object.hasOwn(value, name) ? value[name] : undefined
      const decoded =
        sent === undefined
          ? undefined
          : this.#value(child, sent, join(path, name), node, [...fields, name])
      if (decoded !== undefined && !(isEmpty(decoded) && child.presence === 'omitempty')) {
        setOwn(out, name, decoded)
      } else if (child.presence === 'always' && child.type === 'string' && !isTime(child)) {
        setOwn(out, name, '')
      }
    }
    for (const key of Object.keys(value)) {
      if (!node.properties?.has(key)) this.unknown.push(join(path, key))
    }
    return out
  }

  #value(
    node: SchemaNode,
    value: JsonValue,
    path: string,
    owner: SchemaNode | undefined,
    fields: readonly string[],
  ): JsonValue | undefined {
    if (value === null) return undefined
    if (node.preserveUnknownFields) return value
    if (node.properties !== undefined) return this.struct(node, value, path, fields)
    if (isTime(node)) return this.#time(value)
    if (!hasGoKind(node, value)) return this.#mismatch(node, value, owner, fields)
    if (Array.isArray(value) && node.items !== undefined) {
      const items = node.items
      return value.map(
        (item, i) =>
          this.#value(items, item, `${path}[${i}]`, owner, fields) ??
          (items.properties === undefined ? '' : {}),
      )
    }
    if (isObject(value) && node.additionalProperties !== undefined) {
      const out: JsonObject = {}
      for (const key of Object.keys(value)) {
        const child = node.additionalProperties
        const decoded = this.#value(child, value[key] ?? null, path, owner, fields)
        setOwn(out, key, decoded ?? '')
      }
      return out
    }
    return value
  }

  #time(value: JsonValue): JsonValue | undefined {
    if (typeof value !== 'string') {
      this.error ??= `json: cannot unmarshal ${goJsonType(value)} into Go value of type string`
      return undefined
    }
    const match = RFC3339.exec(value)
    const epochMs = match === null ? Number.NaN : Date.parse(value)
    if (Number.isNaN(epochMs)) {
      const layout = '2006-01-02T15:04:05Z07:00'
      const shown = JSON.stringify(value)
      this.error ??= `parsing time ${shown} as "${layout}": cannot parse ${shown} as "2006"`
      return undefined
    }
    return `${new Date(epochMs).toISOString().slice(0, 19)}Z`
  }

  #mismatch(
    node: SchemaNode,
    value: JsonValue,
    owner: SchemaNode | undefined,
    fields: readonly string[],
  ): undefined {
    const field =
      fields.length === 0 ? 'value' : `struct field ${typeName(owner)}.${fields.join('.')}`
    this.error ??= `json: cannot unmarshal ${goJsonType(value)} into Go ${field} of type ${node.goType}`
    return undefined
  }
}

const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/

const isTime = (node: SchemaNode): boolean => node.format === 'date-time'
const typeName = (node: SchemaNode | undefined): string => (node?.goType ?? '').replace(/^.*\./, '')
const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)

function hasGoKind(node: SchemaNode, value: JsonValue): boolean {
  switch (node.type) {
    case 'string':
      return typeof value === 'string'
    case 'boolean':
      return typeof value === 'boolean'
    case 'integer':
      return isJsonInteger(value)
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isObject(value)
    default:
      return true
  }
}

function isEmpty(value: JsonValue): boolean {
  if (value === '' || value === 0 || value === false) return true
  if (Array.isArray(value)) return value.length === 0
  return isObject(value) && Object.keys(value).length === 0
}
