// What Go's decoding into a built-in type and encoding it again does to an object: unknown fields go, types are checked,
// empty fields vanish or appear, quantities and times take their canonical form. Called by decode-object.ts and patch.
// Ref: sigs.k8s.io/json (decoding), encoding/json (omitempty)

import { isJsonInteger, isJsonNumber, type JsonNumber } from '../int64.ts'
import { isObject, type JsonObject, type JsonValue, setOwn } from '../json.ts'
import { goJsonType } from '../patch/go-json-type.ts'
import { parseQuantity } from '../quantity.ts'
import type { SchemaNode } from '../schema/node.ts'
import { canonicalBase64 } from './base64.ts'
import { DecodeError, quoteGo } from './decode-error.ts'
import { inliningOf, jsonSchemaPropsSchema, objectMetaSchema } from './field-table.ts'
import { formatMicroTime, formatTime, isZeroTime, parseMicroTime, parseTime } from './go-time.ts'
import { isFiniteJson, refuseTooLarge } from './json.ts'
import { type Findings, formatPath, NO_FINDINGS } from './json-scanner.ts'

export interface TypedObject {
  /** A new object; its fields stand in the type's order, apiVersion and kind first. */
  readonly object: JsonObject
  /** `unknown field "spec.a"`, in the order of the input, each once, at most 100. */
  readonly unknownFields: readonly string[]
}

const UNKNOWN_FIELDS_MAX = 100

/**
 * Decodes and encodes as the Go type of `schema` (from builtinSchema). Null decodes to the empty object.
 * `findings` tell how numbers were written, where that is known: 1.0 is no integer to Go.
 * Throws DecodeError with Go's text: `json: cannot unmarshal array into Go struct field ConfigMap.data of type ...`.
 */
export function decodeTyped(
  value: JsonValue,
  schema: SchemaNode,
  findings: Findings = NO_FINDINGS,
): TypedObject {
  const decoder = new Decoder([], findings)
  const object = decoder.run(value, schema)
  return { object: isObject(object) ? object : {}, unknownFields: [...decoder.unknown.keys()] }
}

/**
 * Metadata of a custom resource: typed as ObjectMeta, the only typed part of such an object.
 * Paths of unknown fields begin with `metadata.`. Throws DecodeError.
 */
export function decodeObjectMeta(metadata: JsonValue): TypedObject {
  const decoder = new Decoder(['metadata'], NO_FINDINGS)
  const object = decoder.run(metadata, objectMetaSchema())
  return { object: isObject(object) ? object : {}, unknownFields: [...decoder.unknown.keys()] }
}

/** The empty value of a type, as Go writes it: `{}` with its always-present fields, `""`, `null`. */
export function zeroOf(schema: SchemaNode): JsonValue {
  if (schema.properties !== undefined) return assemble(schema, new Map())
  switch (schema.goType) {
    case 'resource.Quantity':
      return '0'
    case 'intstr.IntOrString':
      return 0
    case 'v1.JSONSchemaPropsOrBool':
      return false
  }
  if (schema.type === 'boolean') return false
  if (schema.type === 'integer' || schema.type === 'number') return 0
  const isString = schema.type === 'string' && schema.format === undefined
  return isString ? '' : null
}

/** Puts decoded fields into the type's order, dropping and adding as each field's presence says. */
function assemble(schema: SchemaNode, decoded: ReadonlyMap<string, JsonValue>): JsonObject {
  const out: JsonObject = {}
  for (const [name, field] of schema.properties ?? []) {
    const value = decoded.get(name)
    if (field.presence === 'always') setOwn(out, name, alwaysPresent(field, value))
    else if (value !== undefined && (field.presence === 'pointer' || !isEmpty(value))) {
      setOwn(out, name, value)
    }
  }
  return out
}

/** Storage is protobuf upstream, where an empty list or map is none: such a field reads null again. */
function alwaysPresent(field: SchemaNode, value: JsonValue | undefined): JsonValue {
  if (value === undefined) return field.nullable === true ? null : zeroOf(field)
  const isCollection = field.type === 'array' || field.additionalProperties !== undefined
  return isCollection && isEmpty(value) ? null : value
}

/** What omitempty drops. Structs never count as empty, but a field of struct type never has that presence. */
function isEmpty(value: JsonValue): boolean {
  if (value === null || value === '' || value === 0 || value === false) return true
  if (Array.isArray(value)) return value.length === 0
  return typeof value === 'object' && Object.keys(value).length === 0
}

type SpecialDecoder = (decoder: Decoder, value: JsonValue, node: SchemaNode) => JsonValue

/** Types with an UnmarshalJSON of their own. Their errors end decoding at once. */
const SPECIAL_DECODERS: ReadonlyMap<string, SpecialDecoder> = new Map<string, SpecialDecoder>([
  [
    'v1.Time',
    (decoder, value) => {
      const time = parseTime(decoder.specialString(value))
      return isZeroTime(time) ? null : formatTime(time)
    },
  ],
  [
    'v1.MicroTime',
    (decoder, value) => {
      const time = parseMicroTime(decoder.specialString(value))
      return isZeroTime(time) ? null : formatMicroTime(time)
    },
  ],
  [
    'resource.Quantity',
    (decoder, value) => {
      const text = typeof value === 'string' ? value : decoder.literal(value)
      const parsed = parseQuantity(text.trim())
      if (!parsed.ok) throw new DecodeError(parsed.error)
      return parsed.text
    },
  ],
  [
    'intstr.IntOrString',
    (decoder, value) => (typeof value === 'string' ? value : decoder.specialInt32(value)),
  ],
  ['runtime.RawExtension', (decoder, value) => decoder.any(value)],
  ['v1.FieldsV1', (decoder, value) => decoder.any(value)],
  ['v1.JSON', (decoder, value) => decoder.any(value)],
  ['interface {}', (decoder, value) => decoder.any(value)],
  [
    'v1.JSONSchemaPropsOrBool',
    (decoder, value) => {
      if (typeof value === 'boolean') return value
      if (!isObject(value)) throw new DecodeError('boolean or JSON schema expected')
      return decoder.nested(value, jsonSchemaPropsSchema())
    },
  ],
  [
    'v1.JSONSchemaPropsOrArray',
    (decoder, value) => {
      if (isObject(value)) return decoder.nested(value, jsonSchemaPropsSchema())
      if (!Array.isArray(value) || value.length === 0) return null
      return value.map(item => decoder.nested(item, jsonSchemaPropsSchema()))
    },
  ],
  [
    'v1.JSONSchemaPropsOrStringArray',
    (decoder, value) => {
      if (isObject(value)) return decoder.nested(value, jsonSchemaPropsSchema())
      if (!Array.isArray(value) || value.length === 0) return null
      return value.map(item => decoder.specialString(item))
    },
  ],
])

class Decoder {
  readonly unknown = new Map<string, true>()
  /** The first type error; decoding goes on, as Go does, since a later error of another sort wins. */
  private mismatch: DecodeError | undefined
  private readonly path: (string | number)[]
  private fields: string[] = []
  private struct = ''
  /** Inside a type that decodes itself, strictness ends. */
  private lenient = false

  private readonly findings: Findings
  private readonly literals: ReadonlyMap<string, string>

  constructor(path: string[], findings: Findings) {
    this.path = path
    this.findings = findings
    this.literals = new Map(findings.literals.map(({ path: at, text }) => [formatPath(at), text]))
  }

  run(value: JsonValue, schema: SchemaNode): JsonValue {
    const result = value === null ? zeroOf(schema) : this.value(value, schema)
    if (this.mismatch !== undefined) throw this.mismatch
    return result
  }

  /** Decodes a value that is not null. */
  private value(value: JsonValue, node: SchemaNode): JsonValue {
    const special = SPECIAL_DECODERS.get(node.goType ?? '')
    if (special !== undefined) return special(this, value, node)
    if (Array.isArray(value)) return this.array(value, node)
    if (isObject(value)) {
      if (node.properties !== undefined) return this.object(value, node)
      return this.map(value, node)
    }
    if (typeof value === 'string') return this.string(value, node)
    if (isJsonNumber(value)) return this.number(value, node)
    return typeof value === 'boolean' && node.type === 'boolean' ? value : this.wrong('bool', node)
  }

  private object(value: JsonObject, node: SchemaNode): JsonValue {
    const { struct, fields } = this
    const decoded = new Map<string, JsonValue>()
    for (const key of Object.keys(value)) {
      const field = node.properties?.get(key)
      if (field === undefined) {
        this.addUnknown(key)
        continue
      }
      this.struct = nameOf(node)
      this.fields = [...fields, ...inliningOf(field), key]
      this.path.push(key)
      const item = value[key] ?? null
      if (item !== null) decoded.set(key, this.value(item, field))
      this.path.pop()
    }
    this.struct = struct
    this.fields = fields
    return assemble(node, decoded)
  }

  private map(value: JsonObject, node: SchemaNode): JsonValue {
    const { additionalProperties } = node
    if (additionalProperties === undefined) return this.wrong('object', node)
    const out: JsonObject = {}
    for (const key of Object.keys(value)) {
      this.path.push(key)
      setOwn(out, key, this.element(value[key] ?? null, additionalProperties))
      this.path.pop()
    }
    return out
  }

  private array(value: readonly JsonValue[], node: SchemaNode): JsonValue {
    const { items } = node
    if (items === undefined) return this.wrong('array', node)
    return value.map((item, i) => {
      this.path.push(i)
      const element = this.element(item, items)
      this.path.pop()
      return element
    })
  }

  private element(value: JsonValue, node: SchemaNode): JsonValue {
    if (value !== null) return this.value(value, node)
    // Storage gives back no difference between no bytes and none at all.
    return node.format === 'byte' ? '' : zeroOf(node)
  }

  private string(value: string, node: SchemaNode): JsonValue {
    if (node.format === 'byte') return this.bytes(value)
    return node.type === 'string' ? value : this.wrong('string', node)
  }

  private bytes(value: string): JsonValue {
    try {
      return canonicalBase64(value)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.mismatch ??= error
      return ''
    }
  }

  private number(value: JsonNumber, node: SchemaNode): JsonValue {
    if (node.type !== 'number' && node.type !== 'integer') return this.wrong('number', node)
    if (node.type === 'number') {
      const rounded = Number(value)
      return Number.isFinite(rounded) ? rounded : this.wrong(`number ${this.literal(value)}`, node)
    }
    const fits = this.isInteger(value, node.format === 'int32' ? 32 : 64)
    return fits ? value : this.wrong(`number ${this.literal(value)}`, node)
  }

  /** Whether Go reads the number here into an integer of so many bits. */
  private isInteger(value: JsonNumber, bits: number): boolean {
    if (!isJsonInteger(value) || this.writtenHere() !== undefined) return false
    const limit = 2 ** (bits - 1)
    return typeof value === 'bigint' ? bits === 64 : value < limit && value >= -limit
  }

  private writtenHere(): string | undefined {
    return this.literals.size === 0 ? undefined : this.literals.get(formatPath(this.path))
  }

  /** The number here as it was written. */
  literal(value: JsonValue): string {
    return this.writtenHere() ?? JSON.stringify(value)
  }

  /** A value of any type, which holds no number that is too large. */
  any(value: JsonValue): JsonValue {
    if (this.findings.tooLarge !== undefined && !isFiniteJson(value)) refuseTooLarge(this.findings)
    return value
  }

  private wrong(value: string, node: SchemaNode): JsonValue {
    this.mismatch ??= this.typeError(value, node.goType ?? 'interface {}')
    return zeroOf(node)
  }

  private typeError(value: string, goType: string): DecodeError {
    const where =
      this.struct === ''
        ? `Go value of type ${goType}`
        : `Go struct field ${this.struct}.${this.fields.join('.')} of type ${goType}`
    return new DecodeError(`json: cannot unmarshal ${value} into ${where}`)
  }

  private addUnknown(key: string): void {
    if (this.lenient || this.unknown.size >= UNKNOWN_FIELDS_MAX) return
    this.unknown.set(`unknown field ${quoteGo(formatPath([...this.path, key]))}`, true)
  }

  /** A string inside a type that decodes itself: any other value ends decoding. */
  specialString(value: JsonValue): string {
    if (typeof value === 'string') return value
    if (value === null) return ''
    throw this.typeError(goJsonType(value), 'string')
  }

  specialInt32(value: JsonValue): JsonNumber {
    if (!isJsonNumber(value)) throw this.typeError(goJsonType(value), 'int32')
    if (this.isInteger(value, 32)) return value
    throw this.typeError(`number ${this.literal(value)}`, 'int32')
  }

  /** A type that decodes a part of itself with a decoder of its own, which is not strict and whose errors are final. */
  nested(value: JsonValue, schema: SchemaNode): JsonValue {
    const { lenient, mismatch } = this
    this.lenient = true
    this.mismatch = undefined
    const result = value === null ? zeroOf(schema) : this.value(value, schema)
    if (this.mismatch !== undefined) throw this.mismatch
    this.lenient = lenient
    this.mismatch = mismatch
    return result
  }
}

function nameOf(node: SchemaNode): string {
  const goType = node.goType ?? ''
  return goType.slice(goType.lastIndexOf('.') + 1)
}
