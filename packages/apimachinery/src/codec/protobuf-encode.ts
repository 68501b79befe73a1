// Built-in objects to protobuf messages, driven by the field table, byte for byte as Go's generated code writes them.
// Called by protobuf.ts. Ref: k8s.io/api */generated.pb.go

import { isObject, type JsonObject, type JsonValue } from '../json.ts'
import {
  type FieldInfo,
  type ScalarBase,
  type Shape,
  type SpecialName,
  type StructInfo,
  structByOpenApiName,
} from './field-data.ts'
import { JSON_SCHEMA_PROPS } from './field-table.ts'
import { type Instant, parseMicroTime, parseTime } from './go-time.ts'
import { FIXED64, type ReverseWriter, VARINT } from './protobuf-wire.ts'

/** A struct's fields that protobuf has, last first. */
const orderedFields = new WeakMap<StructInfo, readonly FieldInfo[]>()

function fieldsBackwards(struct: StructInfo): readonly FieldInfo[] {
  const known = orderedFields.get(struct)
  if (known !== undefined) return known
  const fields = struct.fields.filter(field => field.number > 0).sort((a, b) => b.number - a.number)
  orderedFields.set(struct, fields)
  return fields
}

/** Writes the fields of a struct. The object must be in its canonical form, as decodeTyped gives it. */
export function writeStruct(writer: ReverseWriter, struct: StructInfo, obj: JsonObject): void {
  for (const field of fieldsBackwards(struct)) {
    const value = field.inline ? obj : obj[field.name]
    writeField(writer, field, value ?? undefined)
  }
}

function writeField(writer: ReverseWriter, field: FieldInfo, value: JsonValue | undefined): void {
  const { number, shape } = field
  if (shape.kind === 'map') {
    if (isObject(value)) writeMap(writer, number, shape.element, value)
  } else if (shape.kind === 'list' && !shape.wrapped) {
    if (!Array.isArray(value)) return
    for (const item of value.toReversed()) writeValue(writer, number, shape.element, item)
  } else if (value !== undefined || isWrittenWhenEmpty(field)) {
    writeValue(writer, number, shape, value ?? null)
  }
}

/** Go writes every value that is no pointer, slice or map, also an empty one. */
function isWrittenWhenEmpty({ pointer, shape }: FieldInfo): boolean {
  return !pointer && ['scalar', 'struct', 'special'].includes(shape.kind)
}

function writeMap(writer: ReverseWriter, number: number, element: Shape, map: JsonObject): void {
  const keys = Object.keys(map)
    .map(key => ({ key, bytes: Buffer.from(key) }))
    .sort((a, b) => Buffer.compare(b.bytes, a.bytes))
  for (const { key, bytes } of keys) {
    const mark = writer.length
    writeValue(writer, 2, element, map[key] ?? null)
    const keyMark = writer.length
    writer.raw(bytes)
    writer.close(1, keyMark)
    writer.close(number, mark)
  }
}

/** Writes one value with its tag; null stands for the type's zero value. */
function writeValue(writer: ReverseWriter, number: number, shape: Shape, value: JsonValue): void {
  if (shape.kind === 'scalar') {
    writeScalar(writer, number, shape.base, value)
    return
  }
  const mark = writer.length
  if (shape.kind === 'bytes') writer.raw(Buffer.from(String(value ?? ''), 'base64'))
  else if (shape.kind === 'struct') writeStruct(writer, shape.struct, isObject(value) ? value : {})
  else if (shape.kind === 'special') SPECIAL_WRITERS[shape.name](writer, value)
  else if (shape.kind === 'list') {
    const items = Array.isArray(value) ? value : []
    for (const item of items.toReversed()) writeValue(writer, 1, shape.element, item)
  }
  writer.close(number, mark)
}

function writeScalar(
  writer: ReverseWriter,
  number: number,
  base: ScalarBase,
  value: JsonValue,
): void {
  if (base === 'string') {
    writeText(writer, number, typeof value === 'string' ? value : '')
  } else if (base === 'float64') {
    writer.double(Number(value ?? 0))
    writer.tag(number, FIXED64)
  } else {
    writer.varint(typeof value === 'bigint' ? value : Number(value ?? 0))
    writer.tag(number, VARINT)
  }
}

function writeText(writer: ReverseWriter, number: number, text: string): void {
  const mark = writer.length
  writer.text(text)
  writer.close(number, mark)
}

function writeJson(writer: ReverseWriter, value: JsonValue): void {
  if (value !== null) writeText(writer, 1, JSON.stringify(value))
}

function writeInstant(writer: ReverseWriter, { seconds }: Instant, nanos: number): void {
  writer.varint(nanos)
  writer.tag(2, VARINT)
  writer.varint(seconds)
  writer.tag(1, VARINT)
}

function writeNested(writer: ReverseWriter, number: number, value: JsonObject): void {
  const struct = structByOpenApiName(JSON_SCHEMA_PROPS)
  if (struct === undefined) return
  const mark = writer.length
  writeStruct(writer, struct, value)
  writer.close(number, mark)
}

type SpecialWriter = (writer: ReverseWriter, value: JsonValue) => void

const SPECIAL_WRITERS: Record<SpecialName, SpecialWriter> = {
  // Times keep the precision that JSON has, so that both encodings hold the same value.
  Time: (writer, value) => {
    if (typeof value === 'string') writeInstant(writer, parseTime(value), 0)
  },
  MicroTime: (writer, value) => {
    if (typeof value !== 'string') return
    const time = parseMicroTime(value)
    writeInstant(writer, time, time.nanos)
  },
  Duration: (writer, value) => {
    writer.varint(typeof value === 'bigint' ? value : Number(value ?? 0))
    writer.tag(1, VARINT)
  },
  Quantity: (writer, value) => writeText(writer, 1, String(value ?? '0')),
  IntOrString: (writer, value) => {
    writeText(writer, 3, typeof value === 'string' ? value : '')
    writer.varint(typeof value === 'number' ? value : 0)
    writer.tag(2, VARINT)
    writer.varint(typeof value === 'string' ? 1 : 0)
    writer.tag(1, VARINT)
  },
  RawExtension: writeJson,
  FieldsV1: writeJson,
  JSON: writeJson,
  JSONSchemaPropsOrBool: (writer, value) => {
    if (isObject(value)) writeNested(writer, 2, value)
    writer.varint(isObject(value) || value === true ? 1 : 0)
    writer.tag(1, VARINT)
  },
  JSONSchemaPropsOrArray: (writer, value) => {
    if (isObject(value)) writeNested(writer, 1, value)
    if (!Array.isArray(value)) return
    for (const item of value.toReversed()) writeNested(writer, 2, isObject(item) ? item : {})
  },
  JSONSchemaPropsOrStringArray: (writer, value) => {
    if (isObject(value)) writeNested(writer, 1, value)
    if (!Array.isArray(value)) return
    for (const item of value.toReversed()) writeText(writer, 2, String(item))
  },
}
