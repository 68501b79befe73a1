// Copies the live objects of an embedded store into a new one, without its history, while a server
// may go on writing to it. Called by cli's backup and restore; calls data-folder.ts and tables.ts.
// The records are read and written, not the file's pages: lmdb goes back to an older state of a file
// it finds after another boot, and the pages of that one need not be whole in a copy.

import { join } from 'node:path'
import { corrupt, holdForReading, openDataFolder } from './data-folder.ts'
import { StorageError } from './errors.ts'
import * as record from './record.ts'
import { openSnapshot, openTables, type Snapshot, type Table, type Tables } from './tables.ts'

export interface CopyOptions {
  /** The folder of the store to read; nothing in it is changed. */
  readonly from: string
  /** The folder of the new store: missing or empty. */
  readonly to: string
  /**
   * How far the copy's revision is ahead of what was read: more than the writes that its clients may
   * have seen since, so that none of their resourceVersions ever comes again. Default 0.
   */
  readonly skipRevisions?: number
}

export interface CopiedStore {
  /** The copy's revision; all before it counts as compacted. */
  readonly revision: number
  readonly objects: number
  /** Of keys and values together. */
  readonly bytes: number
}

/** One transaction of the copy takes at most this much. */
const GROUP_RECORDS_MAX = 1000
const GROUP_BYTES_MAX = 8 * 1024 * 1024

/**
 * Throws StorageError: `corrupt` when `from` holds no store of this format or `to` holds something,
 * `unavailable` when `to` cannot be written.
 */
export async function copyEmbedded({
  from,
  to,
  skipRevisions = 0,
}: CopyOptions): Promise<CopiedStore> {
  const release = await holdForReading(from)
  try {
    const snapshot = await openSnapshot(join(from, 'data.mdb'))
    try {
      if (snapshot.state === undefined) throw corrupt(from, 'data.mdb holds no store')
      const revision = record.decodeState(snapshot.state).revision + skipRevisions
      return { revision, ...(await write(snapshot, to, revision)) }
    } catch (error) {
      throw error instanceof StorageError ? error : unwritable(to, error)
    } finally {
      await snapshot.close()
    }
  } finally {
    await release()
  }
}

async function write(snapshot: Snapshot, to: string, revision: number) {
  const folder = await openDataFolder(to)
  try {
    if (!folder.isNew) throw corrupt(to, 'it holds a store already')
    const tables = await openTables(folder.dataFile)
    try {
      await folder.protect()
      const copied = await copyRecords(tables, tables.latest, snapshot.latest)
      await copyRecords(tables, tables.leases, snapshot.leases)
      await tables.commit(() => {
        void tables.meta.put(record.STATE_KEY, record.encodeState(revision, revision))
      })
      await folder.created()
      return copied
    } finally {
      await tables.close()
    }
  } finally {
    await folder.close()
  }
}

async function copyRecords(tables: Tables, into: Table, records: Snapshot['latest']) {
  let objects = 0
  let bytes = 0
  let group: { readonly key: Buffer; readonly value: Buffer }[] = []
  let groupBytes = 0
  const flush = async (): Promise<void> => {
    const full = group
    group = []
    groupBytes = 0
    await tables.commit(() => {
      for (const { key, value } of full) void into.put(key, value)
    })
  }
  for (const item of records) {
    const size = item.key.length + item.value.length
    if (group.length === GROUP_RECORDS_MAX || groupBytes + size > GROUP_BYTES_MAX) await flush()
    group.push(item)
    groupBytes += size
    bytes += size
    objects++
  }
  await flush()
  return { objects, bytes }
}

function unwritable(directory: string, cause: unknown): StorageError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const message = `storage: ${directory} cannot be written, is the disk full? ${why}`
  return new StorageError('unavailable', { message, cause })
}
