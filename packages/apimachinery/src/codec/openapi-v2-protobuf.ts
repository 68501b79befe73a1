// An OpenAPI v2 document as the message that Go clients ask for, gnostic's openapi.v2.Document.
// Called by the api package's OpenAPI pages; calls openapi-v2-messages.ts. Ref: gnostic-models/openapiv2/OpenAPIv2.go

import { isObject, type JsonObject, type JsonValue } from '../json.ts'
import { keysUnder, memberOf, messageOf } from './openapi-v2-messages.ts'
import { FIXED64, ReverseWriter, VARINT } from './protobuf-wire.ts'
import { encodeYaml } from './yaml.ts'

/** Encodes a document, given as JSON. What OpenAPI v2 has no field for is left out. */
export function encodeOpenApiV2(document: JsonObject): Buffer {
  const writer = new ReverseWriter()
  writeBody(writer, 'Document', document)
  return writer.finish()
}

/** What a message or a union holds, without its prefix. */
function writeBody(writer: ReverseWriter, type: string, value: JsonValue): void {
  const member = memberOf(type, value)
  if (member !== undefined) writeField(writer, ...member, value)
  const message = messageOf(type)
  if (message === undefined || !isObject(value)) return
  for (const field of message) {
    const { number, key, type: fieldType, isPrefix } = field
    const item = value[key]
    if (isPrefix)
      for (const name of keysUnder(message, field, value).reverse())
        writePair(writer, field, name, value[name] ?? null)
    else if (isWritten(fieldType, item)) writeField(writer, number, fieldType, item)
  }
}

/** proto3 writes no field that holds its scalar's zero value. */
function isWritten(type: string, value: JsonValue | undefined): value is JsonValue {
  if (value === undefined || type === 'Any') return value !== undefined
  const isZero = value === '' || value === 0 || value === false
  return value !== null && !(isZero && SCALARS[type] !== undefined)
}

function writePair(
  writer: ReverseWriter,
  { number, type }: { readonly number: number; readonly type: string },
  name: string,
  value: JsonValue,
): void {
  const mark = writer.length
  writeField(writer, 2, type, value)
  writeText(writer, 1, name)
  writer.close(number, mark)
}

function writeField(writer: ReverseWriter, number: number, type: string, value: JsonValue): void {
  if (type.startsWith('[]')) {
    const items = Array.isArray(value) ? value : [value]
    for (const item of items.toReversed()) writeField(writer, number, type.slice(2), item)
    return
  }
  const scalar = SCALARS[type]
  if (scalar !== undefined) scalar(writer, number, value)
  else writeMessage(writer, number, type, value)
}

function writeMessage(writer: ReverseWriter, number: number, type: string, value: JsonValue): void {
  const mark = writer.length
  writeBody(writer, type, value)
  writer.close(number, mark)
}

function writeText(writer: ReverseWriter, number: number, text: string): void {
  const mark = writer.length
  writer.text(text)
  writer.close(number, mark)
}

type ScalarWriter = (writer: ReverseWriter, number: number, value: JsonValue) => void

const SCALARS: Readonly<Record<string, ScalarWriter>> = {
  string: (writer, number, value) => writeText(writer, number, String(value)),
  bool: (writer, number, value) => {
    writer.varint(value === true ? 1 : 0)
    writer.tag(number, VARINT)
  },
  int: (writer, number, value) => {
    writer.varint(typeof value === 'bigint' ? value : Number(value))
    writer.tag(number, VARINT)
  },
  double: (writer, number, value) => {
    writer.double(Number(value))
    writer.tag(number, FIXED64)
  },
  // A value of any shape travels as YAML text, in a message's second field.
  Any: (writer, number, value) => {
    const mark = writer.length
    writeText(writer, 2, encodeYaml(value))
    writer.close(number, mark)
  },
}
