// The default engine: one folder on this machine, lmdb underneath. A write is acknowledged once it
// is on disk. Opened by cli's `up` (and by tests); calls data-folder.ts, tables.ts,
// embedded-reader.ts, group-commit.ts, watch-hub.ts and compactor.ts. Layout on disk: record.ts.

import { assert } from '@podless/apimachinery'
import type { Backend, Page, PageOptions, ReadOptions } from './backend.ts'
import { type CompactorOptions, startCompactor } from './compactor.ts'
import { corrupt, type DataFolder, openDataFolder } from './data-folder.ts'
import { readEntry, readList, readLog } from './embedded-reader.ts'
import { StorageError, type StorageErrorCode } from './errors.ts'
import { GroupCommit } from './group-commit.ts'
import * as record from './record.ts'
import { openTables, type Tables } from './tables.ts'
import { type Every, everyInterval } from './timer.ts'
import { WatchHub, type WatchHubOptions } from './watch-hub.ts'

export interface EmbeddedOptions extends WatchHubOptions {
  /** The store's own folder; made, with mode 0700, when it does not exist. */
  readonly directory: string
  /** The clock, in milliseconds since 1970: leases are kept across restarts. */
  readonly now?: () => number
  /** The timer of the lease sweep (each second) and of the compactor. */
  readonly every?: Every
  /** How much history to keep; false: compact() is the caller's. */
  readonly compaction?: Pick<CompactorOptions, 'historyMs' | 'revisionsMax' | 'intervalMs'> | false
}

/** As etcd: an empty store is at revision 1, the first write makes 2. */
const FIRST_REVISION = 1
const VALUE_BYTES_MAX = 8 * 1024 * 1024
const SWEEP_INTERVAL_MS = 1000
/** Leases, or log records, handled before the event loop gets a turn. */
const CHUNK_RECORDS = 250
/** What says that a key with a lease was deleted or written again. */
const GONE: ReadonlySet<StorageErrorCode> = new Set(['notFound', 'conflict'])

/**
 * Opens the store in a folder, creating it when there is none. Throws StorageError `unavailable`
 * when another process has the folder or it cannot be written, `corrupt` when it holds something
 * else or damaged data.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<Backend> {
  const folder = await openDataFolder(options.directory)
  let tables: Tables | undefined
  try {
    tables = await openTables(folder.dataFile)
    await folder.protect()
    if (folder.isNew) await create(folder, tables)
    return new EmbeddedBackend(options, folder, tables, readState(options.directory, tables))
  } catch (error) {
    await tables?.close()
    await folder.close()
    if (error instanceof StorageError) throw error
    throw corrupt(options.directory, 'lmdb does not accept data.mdb', error)
  }
}

async function create(folder: DataFolder, tables: Tables): Promise<void> {
  await tables.commit(() => {
    void tables.meta.put(record.STATE_KEY, record.encodeState(FIRST_REVISION, 0))
  })
  await folder.created()
}

function readState(directory: string, tables: Tables) {
  const bytes = tables.meta.get(record.STATE_KEY)
  if (bytes === undefined) throw corrupt(directory, 'data.mdb holds no store')
  const state = record.decodeState(bytes)
  for (const last of tables.log.getKeys({ reverse: true, limit: 1 })) {
    if (record.decodeRevision(last) > state.revision) {
      throw corrupt(directory, 'the log in data.mdb is ahead of its revision')
    }
  }
  return state
}

class EmbeddedBackend implements Backend {
  readonly #folder: DataFolder
  readonly #tables: Tables
  readonly #commits: GroupCommit
  readonly #hub: WatchHub
  readonly #now: () => number
  readonly #stops: (() => void)[]
  #sweeping: Promise<void> | undefined
  /** Lists that are between two turns: lmdb must not be closed under them. */
  readonly #lists = new Set<Promise<unknown>>()
  /** Removal of what compaction made unreachable; one at a time. */
  #cleaning: Promise<void> = Promise.resolve()
  #closed: StorageError | undefined
  #closing: Promise<void> | undefined

  constructor(
    options: EmbeddedOptions,
    folder: DataFolder,
    tables: Tables,
    state: { revision: number; compacted: number },
  ) {
    this.#folder = folder
    this.#tables = tables
    this.#now = options.now ?? Date.now
    const every = options.every ?? everyInterval
    this.#commits = new GroupCommit({
      tables,
      state,
      onCommit: batches => this.#hub.publish(batches),
    })
    this.#hub = new WatchHub(
      {
        current: () => this.#commits.state.revision,
        compacted: () => this.#commits.state.compacted,
        replay: (prefix, after, limit) =>
          readLog(tables, { prefix, after, limit, current: this.#commits.state.revision }),
      },
      options,
    )
    this.#stops = [every(SWEEP_INTERVAL_MS, () => this.#startSweep())]
    if (options.compaction !== false) {
      const compactor = startCompactor(this, { ...options.compaction, now: this.#now, every })
      this.#stops.push(compactor.stop)
    }
    if (state.compacted > 0) void this.#clean()
  }

  async get(key: string, options: ReadOptions = {}) {
    const at = this.#readable(options)
    if (record.keyProblem(key) !== undefined) return { entry: undefined, revision: at }
    return { entry: readEntry(this.#tables, key, at), revision: at }
  }

  async list(prefix: string, options: PageOptions = {}): Promise<Page> {
    this.#readable(options)
    // What lmdb shows while a group is on its way to the disk could still be lost; after it, both
    // are the same.
    if (options.revision === undefined) await this.#commits.committing
    const at = this.#readable(options)
    if (Buffer.byteLength(prefix) > record.KEY_BYTES_MAX) {
      return { entries: [], revision: at, more: false, remaining: 0 }
    }
    const reading = readList(this.#tables, {
      prefix,
      after: options.after,
      limit: options.limit ?? 0,
      at,
      counted: options.counted !== false,
      isPast: at < this.#commits.state.revision || this.#commits.committing !== undefined,
      signal: options.signal,
    })
    this.#lists.add(reading)
    const page = await reading.finally(() => this.#lists.delete(reading))
    return { ...page, revision: at }
  }

  async revision(options: { signal?: AbortSignal } = {}): Promise<number> {
    return this.#readable(options)
  }

  async put(
    key: string,
    value: Uint8Array,
    options: { ifRevision: number; ttlSeconds?: number; signal?: AbortSignal },
  ): Promise<number> {
    this.#writable(key, options.signal)
    if (value.length > VALUE_BYTES_MAX) throw tooLarge(key, 'value', value.length, VALUE_BYTES_MAX)
    const { ifRevision, ttlSeconds, signal } = options
    const expiresMs = ttlSeconds === undefined ? undefined : this.#now() + ttlSeconds * 1000
    return this.#commits.write({ key, value, ifRevision, expiresMs, signal })
  }

  async delete(
    key: string,
    options: { ifRevision: number; signal?: AbortSignal },
  ): Promise<number> {
    this.#writable(key, options.signal)
    const { ifRevision, signal } = options
    return this.#commits.write({ key, value: undefined, ifRevision, signal })
  }

  watch(prefix: string, options: { after: number; signal: AbortSignal }) {
    return this.#hub.watch(prefix, options)
  }

  async compact(revision: number): Promise<void> {
    this.#readable({})
    const { state } = this.#commits
    if (revision > state.revision) {
      throw new StorageError('futureRevision', { revision: state.revision })
    }
    if (revision <= state.compacted) return
    await this.#commits.compact(revision)
    await this.#clean()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    for (const stop of this.#stops) stop()
    this.#closed = new StorageError('unavailable', { message: 'storage: the store is closed' })
    this.#hub.close(this.#closed)
    await this.#commits.drain()
    await this.#cleaning
    await this.#sweeping
    await Promise.allSettled(this.#lists)
    await this.#tables.close()
    await this.#folder.close()
  }

  /** The revision that a read shows. Throws what every call may throw. */
  #readable({ signal, revision }: ReadOptions): number {
    signal?.throwIfAborted()
    const problem = this.#closed ?? this.#commits.broken
    if (problem !== undefined) throw problem
    const { state } = this.#commits
    const at = revision ?? state.revision
    if (at > state.revision) throw new StorageError('futureRevision', { revision: state.revision })
    if (at < state.compacted) throw new StorageError('compacted', { revision: state.compacted })
    return at
  }

  #writable(key: string, signal: AbortSignal | undefined): void {
    this.#readable(signal === undefined ? {} : { signal })
    const problem = record.keyProblem(key)
    if (problem === undefined) return
    assert(problem === 'length', `storage: a key must not be ${problem}`)
    throw tooLarge(key, 'key', Buffer.byteLength(key), record.KEY_BYTES_MAX)
  }

  /** Removes versions and log records that no reader can reach any more, a chunk at a time. */
  #clean(): Promise<void> {
    this.#cleaning = this.#cleaning.then(async () => {
      while (this.#closed === undefined && (await this.#cleanChunk())) {
        await new Promise<void>(resolve => setImmediate(resolve))
      }
    })
    return this.#cleaning
  }

  /** True when there may be more. What a failure leaves behind is found by the next compaction. */
  async #cleanChunk(): Promise<boolean> {
    const { log, history } = this.#tables
    const records = [
      ...log.getRange({
        start: record.encodeRevision(0),
        end: record.encodeRevision(this.#commits.state.compacted + 1),
        limit: CHUNK_RECORDS,
      }),
    ]
    if (records.length === 0) return false
    try {
      await this.#tables.commit(() => {
        for (const { key: revisionBytes, value } of records) {
          const { key, previousRevision } = record.decodeLog(value)
          const end = record.decodeRevision(revisionBytes)
          void log.remove(revisionBytes)
          if (previousRevision === 0) continue
          void history.remove(record.encodeHistoryKey(key, previousRevision, end))
        }
      })
    } catch {
      return false
    }
    return records.length === CHUNK_RECORDS
  }

  #startSweep(): void {
    this.#sweeping ??= this.#sweep().finally(() => {
      this.#sweeping = undefined
    })
  }

  /** Deletes keys whose time has come, unless they were written again since. */
  async #sweep(): Promise<void> {
    while (this.#closed === undefined && (await this.#sweepChunk())) {
      await new Promise<void>(resolve => setImmediate(resolve))
    }
  }

  /** True when there may be more. */
  async #sweepChunk(): Promise<boolean> {
    const { leases } = this.#tables
    const end = record.encodeRevision(this.#now() + 1)
    const due = [...leases.getRange({ start: record.encodeRevision(0), end, limit: CHUNK_RECORDS })]
    if (due.length === 0) return false
    try {
      await Promise.all(due.map(({ key, value }) => this.#expire(key, value)))
      await this.#tables.commit(() => {
        for (const { key } of due) void leases.remove(key)
      })
    } catch (error) {
      // The folder cannot be written right now. The leases are still there for the next tick.
      if (error instanceof StorageError && error.code !== 'unavailable') throw error
      return false
    }
    return due.length === CHUNK_RECORDS
  }

  async #expire(leaseKey: Buffer, revisionBytes: Buffer): Promise<void> {
    const key = record.decodeLeaseKey(leaseKey).key.toString()
    const ifRevision = record.decodeRevision(revisionBytes)
    try {
      await this.#commits.write({ key, value: undefined, ifRevision })
    } catch (error) {
      const isGone = error instanceof StorageError && GONE.has(error.code)
      if (!isGone) throw error
    }
  }
}

function tooLarge(key: string, what: 'key' | 'value', size: number, limit: number): StorageError {
  const message = `storage: a ${what} of ${size} bytes is over the limit of ${limit}`
  return new StorageError('tooLarge', { key, message })
}
