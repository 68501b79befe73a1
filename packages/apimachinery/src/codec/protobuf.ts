// The protobuf encoding of built-in objects: the `k8s\0` envelope around a message, and the frames of a watch.
// Called by respond.ts, the watch verb and decode-object.ts. Custom resources and Tables have no protobuf form.
// Ref: apimachinery/pkg/runtime/serializer/protobuf/protobuf.go

import { apiVersionOf, type GroupVersionKind, parseApiVersion } from '../gvk.ts'
import type { JsonObject } from '../json.ts'
import { DecodeError, quoteGo } from './decode-error.ts'
import { builtinStruct, type StructInfo } from './field-data.ts'
import { structSchema } from './field-table.ts'
import { readStruct } from './protobuf-decode.ts'
import { writeStruct } from './protobuf-encode.ts'
import { LENGTH_DELIMITED, Reader, ReverseWriter } from './protobuf-wire.ts'
import { decodeTyped } from './typed.ts'

const MAGIC = Buffer.from('k8s\0')
const META_GROUP = 'meta.k8s.io'

/** True when an object of this kind can be encoded at all. */
export function hasProtobuf(gvk: GroupVersionKind): boolean {
  return protobufStruct(gvk) !== undefined && gvk.kind !== 'Table'
}

/** meta.k8s.io/v1beta1 kinds are laid out as those of v1. */
function protobufStruct(gvk: GroupVersionKind): StructInfo | undefined {
  return builtinStruct(gvk.group === META_GROUP ? { ...gvk, version: 'v1' } : gvk)
}

/**
 * Encodes a built-in object, list or Status in its envelope. The object must be in canonical form, as decodeTyped
 * gives it. Its type is that of its apiVersion and kind, or `gvk` for a kind whose objects carry none (WatchEvent).
 * Throws DecodeError when there is no such built-in kind.
 */
export function encodeProtobuf(obj: JsonObject, gvk?: GroupVersionKind): Buffer {
  const apiVersion = typeof obj.apiVersion === 'string' ? obj.apiVersion : ''
  const kind = typeof obj.kind === 'string' ? obj.kind : ''
  const type = gvk ?? { ...(parseApiVersion(apiVersion) ?? { group: '', version: '' }), kind }
  const struct = structOf(type)
  const writer = new ReverseWriter()
  writer.close(4, writer.length) // contentType
  writer.close(3, writer.length) // contentEncoding
  const raw = writer.length
  writeStruct(writer, struct, obj)
  writer.close(2, raw)
  const meta = writer.length
  writeText(writer, 2, kind)
  writeText(writer, 1, apiVersion)
  writer.close(1, meta)
  writer.raw(MAGIC)
  return writer.finish()
}

function structOf(gvk: GroupVersionKind): StructInfo {
  const struct = protobufStruct(gvk)
  if (struct !== undefined) return struct
  throw new DecodeError(
    `no kind ${quoteGo(gvk.kind)} is registered for version ${quoteGo(apiVersionOf(gvk))} in scheme "pkg/api/legacyscheme/scheme.go:30"`,
  )
}

function writeText(writer: ReverseWriter, field: number, text: string): void {
  const mark = writer.length
  writer.text(text)
  writer.close(field, mark)
}

/**
 * Decodes an envelope. Kind and version left empty in it are taken from `expected`. The object comes back canonical,
 * with apiVersion and kind. Throws DecodeError.
 */
export function decodeProtobuf(bytes: Uint8Array, expected: GroupVersionKind): JsonObject {
  const { apiVersion, kind, raw } = readEnvelope(bytes)
  const gv = apiVersion === '' ? expected : parseApiVersion(apiVersion)
  if (gv === undefined) throw new DecodeError(`unexpected GroupVersion string: ${apiVersion}`)
  const gvk = { group: gv.group, version: gv.version, kind: kind === '' ? expected.kind : kind }
  const struct = structOf(gvk)
  const { object } = decodeTyped(readStruct(new Reader(raw), struct), structSchema(struct))
  const hasTypeMeta = struct.fields.some(
    field => field.inline && field.shape.goType === 'v1.TypeMeta',
  )
  return hasTypeMeta ? { apiVersion: apiVersionOf(gvk), kind: gvk.kind, ...object } : object
}

interface Envelope {
  apiVersion: string
  kind: string
  raw: Buffer
}

function readEnvelope(bytes: Uint8Array): Envelope {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.length === 0) throw new DecodeError('empty data')
  if (!buffer.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new DecodeError(
      `provided data does not appear to be a protobuf message, expected prefix [${[...MAGIC].join(' ')}]`,
    )
  }
  const envelope: Envelope = { apiVersion: '', kind: '', raw: Buffer.alloc(0) }
  const reader = new Reader(buffer, MAGIC.length)
  while (!reader.done) {
    const { field, wireType } = reader.tag()
    if (field === 1 && wireType === LENGTH_DELIMITED) readTypeMeta(reader.message(), envelope)
    else if (field === 2 && wireType === LENGTH_DELIMITED) envelope.raw = reader.bytesValue()
    else reader.skip(wireType)
  }
  return envelope
}

function readTypeMeta(reader: Reader, out: { apiVersion: string; kind: string }): void {
  while (!reader.done) {
    const { field, wireType } = reader.tag()
    if (field === 1 && wireType === LENGTH_DELIMITED) out.apiVersion = reader.text()
    else if (field === 2 && wireType === LENGTH_DELIMITED) out.kind = reader.text()
    else reader.skip(wireType)
  }
}

/**
 * One frame of a protobuf watch: a length of four bytes and a WatchEvent without envelope, around an object that is
 * already encoded with one.
 */
export function encodeWatchFrame(type: string, object: Uint8Array): Buffer {
  const writer = new ReverseWriter()
  const extension = writer.length
  writer.raw(object)
  writer.close(1, extension)
  writer.close(2, extension)
  writeText(writer, 1, type)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(writer.length)
  writer.raw(length)
  return writer.finish()
}
