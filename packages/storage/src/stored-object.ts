// An object as the cache holds it: its encoded bytes, shared by every reader, beside what selectors and loops need.
// Made by cacher.ts from backend entries and by storage.ts from what was just written; read by api/src/verbs and
// controllers. Never changed once made.

import {
  isObject,
  type JsonObject,
  type KubeObject,
  type OwnerReference,
  parseExact,
} from '@podless/apimachinery'
import { StorageError } from './errors.ts'

export interface StoredObject {
  /** The storage key, `/registry/...`. */
  readonly key: string
  /** The storage number behind metadata.resourceVersion. */
  readonly revision: number
  /** UTF-8 JSON of the object in its storage version, metadata.resourceVersion already spliced in. */
  readonly bytes: Buffer
  readonly header: ObjectHeader
  /** Derived answers (other encodings, selectable fields), by a name its maker chooses; dropped with the object. */
  readonly memo: Map<string, unknown>
}

export interface ObjectHeader {
  readonly apiVersion: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly labels: Readonly<Record<string, string>>
  readonly ownerReferences: readonly OwnerReference[]
  readonly finalizers: readonly string[]
  readonly deletionTimestamp: string | undefined
}

/** A fresh parse of the bytes; the caller owns it and may change it. */
export type ParseObject = (stored: StoredObject) => KubeObject & JsonObject

const API_VERSION = Buffer.from('{"apiVersion":"')
const KIND = Buffer.from('","kind":"')
const METADATA = Buffer.from('","metadata":{')
const RESOURCE_VERSION = Buffer.from('"resourceVersion":"')
const QUOTE = 0x22
const BACKSLASH = 0x5c
const CLOSING_BRACE = 0x7d

const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({})
const NO_OWNERS: readonly OwnerReference[] = Object.freeze([])
const NO_FINALIZERS: readonly string[] = Object.freeze([])

/** One object's bytes at one revision. The memo is made when it is first asked for: most objects never need one. */
class EncodedObject implements StoredObject {
  readonly key: string
  readonly revision: number
  readonly bytes: Buffer
  readonly header: ObjectHeader
  #memo: Map<string, unknown> | undefined

  constructor(key: string, revision: number, bytes: Buffer, header: ObjectHeader) {
    this.key = key
    this.revision = revision
    this.bytes = bytes
    this.header = header
  }

  get memo(): Map<string, unknown> {
    this.#memo ??= new Map()
    return this.#memo
  }
}

/** Where an object's bytes are put: a buffer of exactly this size. */
export type Allocate = (size: number) => Buffer

/**
 * The object that `value`, stored under `key` at `revision`, encodes. Parses it once for the header; keeps a copy of the
 * bytes of its own and nothing of `value`. Throws corrupt when it is no JSON object with metadata.
 */
export function storedObject(
  key: string,
  value: Uint8Array,
  revision: number,
  allocate?: Allocate,
): StoredObject {
  const bytes = spliceResourceVersion(value, revision, key, allocate)
  return new EncodedObject(key, revision, bytes, headerOf(parseBytes(key, bytes)))
}

/** The same state under another resourceVersion, as a watch shows an object that left. */
export function withRevision(stored: StoredObject, revision: number): StoredObject {
  const bytes = spliceResourceVersion(stored.bytes, revision, stored.key)
  return new EncodedObject(stored.key, revision, bytes, stored.header)
}

/** A fresh parse of the bytes; the caller owns it and may change it. */
export const parseObject: ParseObject = stored =>
  parseBytes(stored.key, stored.bytes, parseExact) as KubeObject & JsonObject

/** What is written: wire order (apiVersion, kind, metadata, the rest) and no resourceVersion. */
export function encodeObject(object: KubeObject): Buffer {
  const { apiVersion, kind, metadata, ...rest } = object
  const { resourceVersion: _, ...stored } = metadata
  return Buffer.from(JSON.stringify({ apiVersion, kind, metadata: stored, ...rest }))
}

/**
 * A copy of an encoded object with metadata.resourceVersion set to `revision`, first among metadata. Bytes in our wire
 * order are spliced; any other order is parsed and encoded anew. Throws corrupt when there is no metadata to put it in.
 */
export function spliceResourceVersion(
  value: Uint8Array,
  revision: number,
  key = '',
  allocate: Allocate = Buffer.allocUnsafeSlow,
): Buffer {
  const bytes = asBuffer(value)
  const at = metadataStart(bytes)
  if (at < 0) return spliceResourceVersion(reorder(key, bytes), revision, key, allocate)
  const rest = afterResourceVersion(bytes, at)
  const comma = bytes[rest] === CLOSING_BRACE ? '' : ','
  const insert = `"resourceVersion":"${revision}"${comma}`
  const spliced = allocate(at + insert.length + bytes.length - rest)
  bytes.copy(spliced, 0, 0, at)
  spliced.write(insert, at, 'latin1')
  bytes.copy(spliced, at + insert.length, rest)
  return spliced
}

/** Where the first member of metadata begins, or -1 when the bytes are not in wire order. */
function metadataStart(bytes: Buffer): number {
  if (!matchesAt(bytes, 0, API_VERSION)) return -1
  const kind = plainStringEnd(bytes, API_VERSION.length)
  if (kind < 0 || !matchesAt(bytes, kind, KIND)) return -1
  const metadata = plainStringEnd(bytes, kind + KIND.length)
  if (metadata < 0 || !matchesAt(bytes, metadata, METADATA)) return -1
  return metadata + METADATA.length
}

/** Where metadata goes on after a resourceVersion that stands first in it; `at` when none does. */
function afterResourceVersion(bytes: Buffer, at: number): number {
  if (!matchesAt(bytes, at, RESOURCE_VERSION)) return at
  const quote = plainStringEnd(bytes, at + RESOURCE_VERSION.length)
  if (quote < 0) return at
  return bytes[quote + 1] === CLOSING_BRACE ? quote + 1 : quote + 2
}

function matchesAt(bytes: Buffer, at: number, pattern: Buffer): boolean {
  if (at + pattern.length > bytes.length) return false
  for (let i = 0; i < pattern.length; i++) if (bytes[at + i] !== pattern[i]) return false
  return true
}

/** The position of the quote that ends a string without escapes, or -1. */
function plainStringEnd(bytes: Buffer, from: number): number {
  for (let i = from; i < bytes.length; i++) {
    if (bytes[i] === QUOTE) return i
    if (bytes[i] === BACKSLASH) return -1
  }
  return -1
}

/** Wire order for bytes that another server wrote. */
function reorder(key: string, bytes: Buffer): Buffer {
  const object = parseBytes(key, bytes, parseExact)
  const { apiVersion, kind } = object
  if (typeof apiVersion !== 'string' || typeof kind !== 'string' || !isObject(object.metadata)) {
    throw corrupt(key, 'apiVersion, kind or metadata is missing')
  }
  const encoded = encodeObject(object as KubeObject)
  if (metadataStart(encoded) < 0) throw corrupt(key, 'apiVersion or kind is not plain text')
  return encoded
}

/** A header holds no numbers; where all of the object counts, `parse` is to be exact. */
function parseBytes(
  key: string,
  bytes: Buffer,
  parse: (text: string) => unknown = JSON.parse,
): JsonObject {
  let value: unknown
  try {
    value = parse(bytes.toString('utf8'))
  } catch (cause) {
    throw corrupt(key, 'not JSON', cause)
  }
  if (!isObject(value)) throw corrupt(key, 'not a JSON object')
  return value
}

function headerOf(object: JsonObject): ObjectHeader {
  const metadata = isObject(object.metadata) ? object.metadata : {}
  const { labels, ownerReferences, finalizers, deletionTimestamp } = metadata
  return {
    apiVersion: interned(textOf(object.apiVersion)),
    kind: interned(textOf(object.kind)),
    namespace: interned(textOf(metadata.namespace)),
    name: textOf(metadata.name),
    uid: textOf(metadata.uid),
    labels: isObject(labels) ? (labels as Record<string, string>) : NO_LABELS,
    ownerReferences:
      Array.isArray(ownerReferences) && ownerReferences.length > 0
        ? (ownerReferences as OwnerReference[])
        : NO_OWNERS,
    finalizers:
      Array.isArray(finalizers) && finalizers.length > 0 ? (finalizers as string[]) : NO_FINALIZERS,
    deletionTimestamp: typeof deletionTimestamp === 'string' ? deletionTimestamp : undefined,
  }
}

/** Words that nearly every object repeats, kept once. Emptied when it grows large, as sharing is only a saving. */
const words = new Map<string, string>()
const WORDS_MAX = 10_000

function interned(word: string): string {
  const known = words.get(word)
  if (known !== undefined) return known
  if (words.size >= WORDS_MAX) words.clear()
  words.set(word, word)
  return word
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function asBuffer(value: Uint8Array): Buffer {
  return Buffer.isBuffer(value)
    ? value
    : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

function corrupt(key: string, why: string, cause?: unknown): StorageError {
  return new StorageError('corrupt', { key, message: `storage: corrupt ${key}: ${why}`, cause })
}
