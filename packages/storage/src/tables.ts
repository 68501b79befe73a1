// The embedded engine's lmdb environment and its five tables. Layout: record.ts.
// Called by embedded.ts, embedded-copy.ts, embedded-reader.ts and group-commit.ts; the one importer of
// lmdb, which it loads only when used.

import type { Database, RootDatabase } from 'lmdb'
import { STATE_KEY } from './record.ts'

export type Table = Database<Buffer, Buffer>

export interface Tables {
  readonly latest: Table
  readonly history: Table
  readonly log: Table
  readonly leases: Table
  readonly meta: Table
  /**
   * Runs `writes` as one transaction on lmdb's own thread. Resolves once it is on disk, rejects if
   * nothing was written.
   */
  commit(writes: () => void): Promise<void>
  /** Makes reads see the last commit, also one that failed half way. */
  refresh(): void
  close(): Promise<void>
}

/**
 * Address space, not memory or disk: lmdb maps the file once. With lmdb's small default every
 * growth leaves the old mapping behind, which doubled the resident memory of a 270 MB store.
 */
const MAP_BYTES = 16 * 2 ** 30

const TABLE_OPTIONS = { encoding: 'binary', keyEncoding: 'binary' } as const

export async function openTables(dataFile: string): Promise<Tables> {
  const { open } = await import('lmdb')
  const root: RootDatabase<Buffer, Buffer> = open({
    path: dataFile,
    noSubdir: true,
    mapSize: MAP_BYTES,
    // One commit() is one transaction; nothing is gathered behind our back.
    eventTurnBatching: false,
    ...TABLE_OPTIONS,
  })
  /** True while the last commit failed. */
  let isFailed = false
  const table = (name: string): Table => root.openDB<Buffer, Buffer>(name, TABLE_OPTIONS)
  return {
    latest: table('latest'),
    history: table('history'),
    log: table('log'),
    leases: table('leases'),
    meta: table('meta'),
    commit: async writes => {
      try {
        await root.batch(writes)
        await root.flushed
        isFailed = false
      } catch (error) {
        isFailed = true
        throw await reasonOf(error)
      }
    },
    refresh: () => root.resetReadTxn(),
    close: async () => {
      const closing = root.close()
      // lmdb-js waits for the flush of the last transaction, which never comes when that one
      // failed.
      if (!isFailed) await closing
    },
  }
}

type Records = Iterable<{ readonly key: Buffer; readonly value: Buffer }>

/** What a store held at one moment, whatever is written to it meanwhile. */
export interface Snapshot {
  readonly state: Buffer | undefined
  readonly latest: Records
  readonly leases: Records
  close(): Promise<void>
}

/**
 * Reads a data file as it is now, also one that another process writes to: lmdb's readers and its
 * writer do not wait for each other.
 */
export async function openSnapshot(dataFile: string): Promise<Snapshot> {
  const { open } = await import('lmdb')
  const options = { path: dataFile, noSubdir: true, mapSize: MAP_BYTES, readOnly: true }
  const root = open<Buffer, Buffer>({ ...options, ...TABLE_OPTIONS })
  const table = (name: string): Table => root.openDB<Buffer, Buffer>(name, TABLE_OPTIONS)
  const [latest, leases, meta] = ['latest', 'leases', 'meta'].map(table) as [Table, Table, Table]
  const transaction = latest.useReadTransaction()
  return {
    state: meta.get(STATE_KEY, { transaction }),
    latest: latest.getRange({ transaction }),
    leases: leases.getRange({ transaction }),
    close: async () => {
      transaction.done()
      await root.close()
    },
  }
}

/** lmdb rejects with a wrapper whose `commitError` is a promise of the reason. */
async function reasonOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error
  try {
    await error.commitError
    return error
  } catch (reason) {
    return reason
  }
}
