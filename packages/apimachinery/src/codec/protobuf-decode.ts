// Protobuf messages to JSON values, driven by the field table. What comes out still needs decodeTyped, which drops and
// adds fields as JSON has them. Called by protobuf.ts. Ref: k8s.io/api */generated.pb.go

import type { JsonNumber } from '../int64.ts'
import { type JsonObject, type JsonValue, setOwn } from '../json.ts'
import { DecodeError } from './decode-error.ts'
import {
  type FieldInfo,
  type ScalarBase,
  type Shape,
  type SpecialName,
  type StructInfo,
  structByOpenApiName,
} from './field-data.ts'
import { JSON_SCHEMA_PROPS } from './field-table.ts'
import { formatMicroTime, formatTime, type Instant, isZeroTime, ZERO_TIME } from './go-time.ts'
import { parseJson } from './json.ts'
import { FIXED64, LENGTH_DELIMITED, type Reader, VARINT } from './protobuf-wire.ts'

const fieldsByNumber = new WeakMap<StructInfo, ReadonlyMap<number, FieldInfo>>()

function fieldsOf(struct: StructInfo): ReadonlyMap<number, FieldInfo> {
  const known = fieldsByNumber.get(struct)
  if (known !== undefined) return known
  const fields = new Map(struct.fields.map(field => [field.number, field]))
  fields.delete(0)
  fieldsByNumber.set(struct, fields)
  return fields
}

/** Reads a message into `out`. Unknown fields are skipped. Throws DecodeError. */
export function readStruct(reader: Reader, struct: StructInfo, out: JsonObject = {}): JsonObject {
  const fields = fieldsOf(struct)
  while (!reader.done) {
    const { field: number, wireType } = reader.tag()
    const field = fields.get(number)
    if (field === undefined) reader.skip(wireType)
    else readField(reader, field, wireType, out)
  }
  return out
}

function readField(reader: Reader, field: FieldInfo, wireType: number, out: JsonObject): void {
  const { name, shape } = field
  if (field.inline && shape.kind === 'struct') {
    expectWire(field, wireType, LENGTH_DELIMITED)
    readStruct(reader.message(), shape.struct, out)
  } else if (shape.kind === 'list' && !shape.wrapped) {
    const items = (out[name] ?? []) as JsonValue[]
    readItems(reader, field, shape.element, wireType, items)
    out[name] = items
  } else if (shape.kind === 'map') {
    expectWire(field, wireType, LENGTH_DELIMITED)
    const map = (out[name] ?? {}) as JsonObject
    readEntry(reader.message(), shape.element, map)
    out[name] = map
  } else {
    expectWire(field, wireType, wireTypeOf(shape))
    out[name] = readValue(reader, shape)
  }
}

function readItems(
  reader: Reader,
  field: FieldInfo,
  element: Shape,
  wireType: number,
  items: JsonValue[],
): void {
  const isPacked = wireType === LENGTH_DELIMITED && wireTypeOf(element) !== LENGTH_DELIMITED
  if (!isPacked) {
    expectWire(field, wireType, wireTypeOf(element))
    items.push(readValue(reader, element))
    return
  }
  const packed = reader.message()
  while (!packed.done) items.push(readValue(packed, element))
}

function readEntry(reader: Reader, element: Shape, map: JsonObject): void {
  let key = ''
  let value: JsonValue | undefined
  while (!reader.done) {
    const { field, wireType } = reader.tag()
    if (field === 1 && wireType === LENGTH_DELIMITED) key = reader.text()
    else if (field === 2 && wireType === wireTypeOf(element)) value = readValue(reader, element)
    else reader.skip(wireType)
  }
  setOwn(map, key, value ?? null)
}

function wireTypeOf(shape: Shape): number {
  if (shape.kind !== 'scalar' || shape.base === 'string') return LENGTH_DELIMITED
  return shape.base === 'float64' ? FIXED64 : VARINT
}

function expectWire(field: FieldInfo, actual: number, expected: number): void {
  if (actual === expected) return
  throw new DecodeError(`proto: wrong wireType = ${actual} for field ${field.name}`)
}

function readValue(reader: Reader, shape: Shape): JsonValue {
  switch (shape.kind) {
    case 'scalar':
      return readScalar(reader, shape.base)
    case 'bytes':
      return reader.bytesValue().toString('base64')
    case 'struct':
      return readStruct(reader.message(), shape.struct)
    case 'special':
      return SPECIAL_READERS[shape.name](reader.message())
    case 'list':
      return readWrapped(reader.message(), shape.element)
    default:
      throw new DecodeError(`proto: a ${shape.goType} has no protobuf form`)
  }
}

function readWrapped(reader: Reader, element: Shape): JsonValue[] {
  const items: JsonValue[] = []
  while (!reader.done) {
    const { field, wireType } = reader.tag()
    if (field === 1) items.push(readValue(reader, element))
    else reader.skip(wireType)
  }
  return items
}

function readScalar(reader: Reader, base: ScalarBase): JsonValue {
  if (base === 'string') return reader.text()
  if (base === 'bool') return reader.varint() !== 0
  return base === 'float64' ? reader.double() : reader.int()
}

/** A special type's few fields, by number; each is read by what the caller expects of it. */
function readParts(
  reader: Reader,
  parts: { readonly [number: number]: (reader: Reader) => void },
): void {
  while (!reader.done) {
    const { field, wireType } = reader.tag()
    const part = parts[field]
    if (part === undefined) reader.skip(wireType)
    else part(reader)
  }
}

function readInstant(reader: Reader): Instant {
  if (reader.done) return ZERO_TIME
  let seconds = 0
  let nanos = 0
  readParts(reader, {
    1: part => {
      seconds = Number(part.int())
    },
    2: part => {
      nanos = Number(part.int())
    },
  })
  return { seconds, nanos }
}

function readText(reader: Reader): string {
  let text = ''
  readParts(reader, {
    1: part => {
      text = part.text()
    },
  })
  return text
}

function readJson(reader: Reader): JsonValue {
  let bytes: Buffer | undefined
  readParts(reader, {
    1: part => {
      bytes = part.bytesValue()
    },
  })
  return bytes === undefined || bytes.length === 0 ? null : parseJson(bytes)
}

function readNested(reader: Reader): JsonValue {
  const struct = structByOpenApiName(JSON_SCHEMA_PROPS)
  return struct === undefined ? null : readStruct(reader.message(), struct)
}

const SPECIAL_READERS: Record<SpecialName, (reader: Reader) => JsonValue> = {
  Time: reader => {
    const time = readInstant(reader)
    return isZeroTime(time) ? null : formatTime(time)
  },
  MicroTime: reader => {
    const time = readInstant(reader)
    return isZeroTime(time) ? null : formatMicroTime(time)
  },
  Duration: reader => {
    let nanos: JsonNumber = 0
    readParts(reader, {
      1: part => {
        nanos = part.int()
      },
    })
    return nanos
  },
  Quantity: reader => readText(reader) || '0',
  IntOrString: reader => {
    let isText = false
    let int: JsonNumber = 0
    let text = ''
    readParts(reader, {
      1: part => {
        isText = part.int() === 1
      },
      2: part => {
        int = part.int()
      },
      3: part => {
        text = part.text()
      },
    })
    return isText ? text : int
  },
  RawExtension: readJson,
  FieldsV1: readJson,
  JSON: readJson,
  JSONSchemaPropsOrBool: reader => {
    let allows = false
    let schema: JsonValue = null
    readParts(reader, {
      1: part => {
        allows = part.varint() !== 0
      },
      2: part => {
        schema = readNested(part)
      },
    })
    return schema ?? allows
  },
  JSONSchemaPropsOrArray: reader => readSchemaOr(reader, readNested),
  JSONSchemaPropsOrStringArray: reader => readSchemaOr(reader, part => part.text()),
}

function readSchemaOr(reader: Reader, readItem: (reader: Reader) => JsonValue): JsonValue {
  let schema: JsonValue = null
  const items: JsonValue[] = []
  readParts(reader, {
    1: part => {
      schema = readNested(part)
    },
    2: part => {
      items.push(readItem(part))
    },
  })
  return items.length > 0 ? items : schema
}
