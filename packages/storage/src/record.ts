// The bytes the embedded engine writes: how revisions, versions and log entries look on disk.
// Format version 1.
// Called by embedded.ts and its parts; calls nothing.
//
//   latest   key                          -> revision(8) value        the live objects
//   history  key 00 revision(8) end(8)    -> value                    replaced or deleted at `end`
//   log      revision(8)                  -> type(1) previous(8) key  one change
//   leases   expiry in ms(8) key          -> revision(8)              when to delete the key
//   meta     "state"                      -> revision(8) compacted(8)
//
// `previous` is 0 when the key did not exist. A lease is void once its key has another revision.
// A version is readable at every revision r with revision <= r < end, so a deletion needs no marker
// of its own. Numbers are big-endian, so that they sort. Keys hold no NUL, so that history sorts
// like latest.

export const FORMAT_VERSION = 1
export const STATE_KEY = Buffer.from('state')

const REVISION_BYTES = 8
const SUFFIX_BYTES = 1 + 2 * REVISION_BYTES
const LOG_HEADER_BYTES = 1 + REVISION_BYTES
const TYPE_PUT = 1
const TYPE_DELETE = 2

export interface Version {
  readonly revision: number
  readonly value: Buffer
}

export interface LogRecord {
  readonly type: 'put' | 'delete'
  /** The revision that the key had before; 0 when it did not exist. */
  readonly previousRevision: number
  readonly key: Buffer
}

export interface HistoryKey {
  readonly key: Buffer
  readonly revision: number
  readonly end: number
}

/** Why a key cannot be stored, or undefined when it can. */
export function keyProblem(key: string): 'empty' | 'NUL' | 'length' | undefined {
  if (key === '') return 'empty'
  if (key.includes('\0')) return 'NUL'
  return Buffer.byteLength(key) > KEY_BYTES_MAX ? 'length' : undefined
}

/** lmdb takes keys of 1,978 bytes; a history key adds 17 to the key. */
export const KEY_BYTES_MAX = 1900

export function encodeRevision(revision: number): Buffer {
  const bytes = Buffer.allocUnsafe(REVISION_BYTES)
  writeRevision(bytes, revision, 0)
  return bytes
}

/** Revisions and milliseconds stay below 2^53, so two halves are exact. */
export function decodeRevision(bytes: Buffer, offset = 0): number {
  return bytes.readUInt32BE(offset) * 2 ** 32 + bytes.readUInt32BE(offset + 4)
}

function writeRevision(bytes: Buffer, revision: number, offset: number): void {
  bytes.writeUInt32BE(Math.floor(revision / 2 ** 32), offset)
  bytes.writeUInt32BE(revision % 2 ** 32, offset + 4)
}

export function encodeVersion(revision: number, value: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(REVISION_BYTES + value.length)
  writeRevision(bytes, revision, 0)
  bytes.set(value, REVISION_BYTES)
  return bytes
}

export function decodeVersion(bytes: Buffer): Version {
  return { revision: decodeRevision(bytes), value: bytes.subarray(REVISION_BYTES) }
}

export function encodeHistoryKey(key: Buffer, revision: number, end: number): Buffer {
  const bytes = Buffer.allocUnsafe(key.length + SUFFIX_BYTES)
  key.copy(bytes)
  bytes[key.length] = 0
  writeRevision(bytes, revision, key.length + 1)
  writeRevision(bytes, end, key.length + 1 + REVISION_BYTES)
  return bytes
}

export function decodeHistoryKey(bytes: Buffer): HistoryKey {
  const length = bytes.length - SUFFIX_BYTES
  return {
    key: bytes.subarray(0, length),
    revision: decodeRevision(bytes, length + 1),
    end: decodeRevision(bytes, length + 1 + REVISION_BYTES),
  }
}

export function encodeLog({ type, previousRevision, key }: LogRecord): Buffer {
  const bytes = Buffer.allocUnsafe(LOG_HEADER_BYTES + key.length)
  bytes[0] = type === 'put' ? TYPE_PUT : TYPE_DELETE
  writeRevision(bytes, previousRevision, 1)
  key.copy(bytes, LOG_HEADER_BYTES)
  return bytes
}

export function decodeLog(bytes: Buffer): LogRecord {
  return {
    type: bytes[0] === TYPE_PUT ? 'put' : 'delete',
    previousRevision: decodeRevision(bytes, 1),
    key: bytes.subarray(LOG_HEADER_BYTES),
  }
}

export function encodeLeaseKey(expiresMs: number, key: Buffer): Buffer {
  return Buffer.concat([encodeRevision(expiresMs), key])
}

export function decodeLeaseKey(bytes: Buffer): { expiresMs: number; key: Buffer } {
  return { expiresMs: decodeRevision(bytes), key: bytes.subarray(REVISION_BYTES) }
}

export function encodeState(revision: number, compacted: number): Buffer {
  return Buffer.concat([encodeRevision(revision), encodeRevision(compacted)])
}

export function decodeState(bytes: Buffer): { revision: number; compacted: number } {
  return { revision: decodeRevision(bytes), compacted: decodeRevision(bytes, REVISION_BYTES) }
}
