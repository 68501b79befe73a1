// Reads of the embedded engine: one key or a range, now or at an earlier revision, and the log for
// watches.
// Called by embedded.ts; calls the tables. Layout: record.ts.

import { assert } from '@podless/apimachinery'
import type { Transaction } from 'lmdb'
import type { Entry, Page, WatchBatch, WatchEvent } from './backend.ts'
import { StorageError } from './errors.ts'
import { prefixEnd } from './key-order.ts'
import * as record from './record.ts'
import type { Tables } from './tables.ts'

/** Entries read before the event loop gets a turn. */
const ENTRIES_PER_TURN = 500
/** Sorts after every revision pair of a key, before the next key. */
const AFTER_REVISIONS = Buffer.from([1])
const FIRST_KEY = Buffer.from([1])

interface KeyRange {
  readonly start: Buffer
  /** Exclusive; undefined: to the last key. */
  readonly end: Buffer | undefined
}

/** The entry of `key` as it was at revision `at`. */
export function readEntry(tables: Tables, key: string, at: number): Entry | undefined {
  const keyBytes = Buffer.from(key)
  const bytes = tables.latest.get(keyBytes)
  if (bytes !== undefined) {
    const { revision, value } = record.decodeVersion(bytes)
    if (revision <= at) return { key, value, revision }
  }
  const newest = tables.history.getRange({
    start: record.encodeHistoryKey(keyBytes, at + 1, 0),
    end: record.encodeHistoryKey(keyBytes, 0, 0),
    reverse: true,
    limit: 1,
  })
  for (const { key: historyKey, value } of newest) {
    const { revision, end } = record.decodeHistoryKey(historyKey)
    if (revision <= at && at < end) return { key, value, revision }
  }
  return undefined
}

export interface ListQuery {
  readonly prefix: string
  /** Only keys after this one. */
  readonly after: string | undefined
  /** 0: all. */
  readonly limit: number
  readonly at: number
  /** Whether what is left after the page is counted. */
  readonly counted: boolean
  /**
   * False when `at` is what the newest transaction shows, so that history need not be looked at.
   */
  readonly isPast: boolean
  readonly signal: AbortSignal | undefined
}

/** One page from one snapshot, giving the event loop turns on the way. */
export async function readList(tables: Tables, query: ListQuery): Promise<Omit<Page, 'revision'>> {
  const range = rangeOf(query)
  const transaction = tables.latest.useReadTransaction()
  try {
    const found = query.isPast
      ? pastEntries(tables, range, query.at, transaction)
      : liveEntries(tables, range, transaction)
    const entries: Entry[] = []
    let steps = 0
    for (const entry of found) {
      if (++steps % ENTRIES_PER_TURN === 0) {
        await new Promise<void>(resolve => setImmediate(resolve))
        query.signal?.throwIfAborted()
      }
      if (query.limit > 0 && entries.length === query.limit) {
        if (!query.counted) return { entries, more: true }
        let remaining = 1
        if (!query.isPast) remaining += countAfter(tables, range, entry, transaction)
        else for (const _ of found) remaining++
        return { entries, more: true, remaining }
      }
      entries.push(entry)
    }
    return { entries, more: false, remaining: 0 }
  } finally {
    transaction.done()
  }
}

function rangeOf({ prefix, after }: ListQuery): KeyRange {
  const prefixBytes = Buffer.from(prefix)
  const end = prefixEnd(prefixBytes)
  const first = prefix === '' ? FIRST_KEY : prefixBytes
  if (after === undefined) return { start: first, end }
  // No key is longer, so that cutting `after` off there skips none; lmdb refuses longer bounds.
  const afterBytes = Buffer.from(after).subarray(0, record.KEY_BYTES_MAX)
  const next = Buffer.concat([afterBytes, AFTER_REVISIONS])
  return { start: Buffer.compare(next, first) > 0 ? next : first, end }
}

function* liveEntries(tables: Tables, range: KeyRange, transaction: Transaction): Generator<Entry> {
  for (const { key, value: bytes } of tables.latest.getRange(lmdbRange(range, transaction))) {
    const { revision, value } = record.decodeVersion(bytes)
    yield { key: key.toString(), value, revision }
  }
}

function countAfter(
  tables: Tables,
  range: KeyRange,
  entry: Entry,
  transaction: Transaction,
): number {
  const start = Buffer.concat([Buffer.from(entry.key), AFTER_REVISIONS])
  return tables.latest.getKeysCount(lmdbRange({ start, end: range.end }, transaction))
}

/**
 * Merges the live keys that are old enough with the versions of history that were readable at `at`.
 */
function* pastEntries(
  tables: Tables,
  range: KeyRange,
  at: number,
  transaction: Transaction,
): Generator<Entry> {
  const past = pastVersions(tables, range, at, transaction)
  let older = past.next()
  for (const { key, value: bytes } of tables.latest.getRange(lmdbRange(range, transaction))) {
    const { revision, value } = record.decodeVersion(bytes)
    while (!older.done && Buffer.compare(older.value.key, key) < 0) {
      yield entryOf(tables, older.value, transaction)
      older = past.next()
    }
    if (revision <= at) yield { key: key.toString(), value, revision }
  }
  while (!older.done) {
    yield entryOf(tables, older.value, transaction)
    older = past.next()
  }
}

function* pastVersions(
  tables: Tables,
  range: KeyRange,
  at: number,
  transaction: Transaction,
): Generator<record.HistoryKey> {
  for (const bytes of tables.history.getKeys(lmdbRange(range, transaction))) {
    const version = record.decodeHistoryKey(bytes)
    if (version.revision <= at && at < version.end) yield version
  }
}

function entryOf(tables: Tables, version: record.HistoryKey, transaction: Transaction): Entry {
  const historyKey = record.encodeHistoryKey(version.key, version.revision, version.end)
  const value = tables.history.get(historyKey, { transaction })
  assert(value !== undefined, 'storage: a version vanished from a snapshot')
  return { key: version.key.toString(), value, revision: version.revision }
}

function lmdbRange({ start, end }: KeyRange, transaction: Transaction) {
  return end === undefined ? { start, transaction } : { start, end, transaction }
}

/** See HistorySource.replay in watch-hub.ts. `current` is the last durable revision. */
export function readLog(
  tables: Tables,
  query: { prefix: string; after: number; limit: number; current: number },
): { batches: WatchBatch[]; upTo: number } {
  const batches: WatchBatch[] = []
  let records = 0
  let upTo = query.current
  const range = tables.log.getRange({
    start: record.encodeRevision(query.after + 1),
    end: record.encodeRevision(query.current + 1),
    limit: query.limit,
  })
  const prefix = Buffer.from(query.prefix)
  for (const { key: revisionBytes, value: bytes } of range) {
    const revision = record.decodeRevision(revisionBytes)
    const change = record.decodeLog(bytes)
    if (++records === query.limit) upTo = revision
    if (prefix.compare(change.key, 0, Math.min(prefix.length, change.key.length)) !== 0) continue
    batches.push({ revision, events: [eventOf(tables, change, revision)] })
  }
  return { batches, upTo }
}

function eventOf(tables: Tables, change: record.LogRecord, revision: number): WatchEvent {
  const { key, previousRevision } = change
  const value = change.type === 'put' ? valueAt(tables, key, revision) : undefined
  const event = { type: change.type, key: key.toString(), ...(value !== undefined && { value }) }
  if (previousRevision === 0) return event
  const previous = tables.history.get(record.encodeHistoryKey(key, previousRevision, revision))
  if (previous === undefined) throw damagedLog(revision)
  return { ...event, previous, previousRevision }
}

/** The value that the write at exactly `revision` put. */
function valueAt(tables: Tables, key: Buffer, revision: number): Buffer {
  const bytes = tables.latest.get(key)
  if (bytes !== undefined && record.decodeRevision(bytes) === revision) {
    return record.decodeVersion(bytes).value
  }
  const range = tables.history.getRange({
    start: record.encodeHistoryKey(key, revision, 0),
    end: record.encodeHistoryKey(key, revision + 1, 0),
    limit: 1,
  })
  for (const { value } of range) return value
  throw damagedLog(revision)
}

function damagedLog(revision: number): StorageError {
  return new StorageError('corrupt', {
    revision,
    message:
      `storage: the log names a version at revision ${revision} that is not there. ` +
      'Restore the data folder from a backup.',
  })
}
