// A Backend in memory, for unit tests of what sits above an engine. It keeps every version of every
// key in an array.
// Called by tests; passes the same suite (suite.ts) as the real engines; calls watch-hub.ts for its
// watches.

import type { Backend, Entry, Page, ReadOptions, WatchBatch, WatchEvent } from '../backend.ts'
import { StorageError } from '../errors.ts'
import { compareKeys } from '../key-order.ts'
import { type Every, everyInterval } from '../timer.ts'
import { WatchHub } from '../watch-hub.ts'

export interface MemoryOptions {
  /** The clock, in milliseconds. Only ttlSeconds needs it. */
  readonly now?: () => number
  /** The timer of the sweep that expires keys, once a second. */
  readonly every?: Every
  /** See WatchHubOptions. */
  readonly queueBytesMax?: number
  readonly replayRecords?: number
}

interface Version {
  readonly revision: number
  /** Undefined: deleted at this revision. */
  readonly value: Uint8Array | undefined
  readonly expiresMs: number | undefined
}

const SWEEP_INTERVAL_MS = 1000

/** A new, empty store at revision 1. Nothing survives close(). */
export function openMemory(options: MemoryOptions = {}): Backend {
  return new MemoryBackend(options)
}

class MemoryBackend implements Backend {
  /** Oldest version first. */
  readonly #versions = new Map<string, Version[]>()
  /** The keys of #versions, sorted. */
  readonly #keys: string[] = []
  #log: WatchBatch[] = []
  #revision = 1
  #compacted = 0
  #closed: StorageError | undefined
  readonly #now: () => number
  readonly #stopSweep: () => void
  readonly #hub: WatchHub

  constructor(options: MemoryOptions) {
    this.#now = options.now ?? Date.now
    const every = options.every ?? everyInterval
    this.#stopSweep = every(SWEEP_INTERVAL_MS, () => this.#sweep())
    this.#hub = new WatchHub(
      {
        current: () => this.#revision,
        compacted: () => this.#compacted,
        replay: (prefix, after, limit) => this.#replay(prefix, after, limit),
      },
      options,
    )
  }

  async get(key: string, options: ReadOptions = {}) {
    const at = this.#readable(options)
    return { entry: this.#entryAt(key, at), revision: at }
  }

  async list(
    prefix: string,
    options: ReadOptions & { after?: string; limit?: number } = {},
  ): Promise<Page> {
    const at = this.#readable(options)
    const { after, limit = 0 } = options
    const entries: Entry[] = []
    let remaining = 0
    const start = after !== undefined && compareKeys(after, prefix) >= 0 ? after : prefix
    for (let i = this.#indexOf(start); i < this.#keys.length; i++) {
      const key = this.#keys[i] ?? ''
      if (key === after) continue
      if (!key.startsWith(prefix)) break
      const entry = this.#entryAt(key, at)
      if (entry === undefined) continue
      if (limit > 0 && entries.length === limit) remaining++
      else entries.push(entry)
    }
    return { entries, revision: at, more: remaining > 0, remaining }
  }

  async revision(options: { signal?: AbortSignal } = {}): Promise<number> {
    return this.#readable(options)
  }

  async put(
    key: string,
    value: Uint8Array,
    options: { ifRevision: number; ttlSeconds?: number; signal?: AbortSignal },
  ): Promise<number> {
    this.#readable(options.signal === undefined ? {} : { signal: options.signal })
    const live = this.#entryAt(key, this.#revision)
    const revision = live?.revision ?? 0
    if (revision !== options.ifRevision) {
      if (options.ifRevision === 0) throw new StorageError('exists', { key })
      throw new StorageError('conflict', { key, revision })
    }
    const { ttlSeconds } = options
    const expiresMs = ttlSeconds === undefined ? undefined : this.#now() + ttlSeconds * 1000
    return this.#commit(key, value, live, expiresMs)
  }

  async delete(
    key: string,
    options: { ifRevision: number; signal?: AbortSignal },
  ): Promise<number> {
    this.#readable(options.signal === undefined ? {} : { signal: options.signal })
    const live = this.#entryAt(key, this.#revision)
    if (live === undefined) throw new StorageError('notFound', { key })
    if (live.revision !== options.ifRevision) {
      throw new StorageError('conflict', { key, revision: live.revision })
    }
    return this.#commit(key, undefined, live, undefined)
  }

  watch(prefix: string, options: { after: number; signal: AbortSignal }) {
    return this.#hub.watch(prefix, options)
  }

  async compact(revision: number): Promise<void> {
    this.#readable({})
    if (revision > this.#revision) {
      throw new StorageError('futureRevision', { revision: this.#revision })
    }
    if (revision <= this.#compacted) return
    this.#compacted = revision
    this.#log = this.#log.filter(batch => batch.revision > revision)
    for (const [key, versions] of this.#versions) {
      const readable = versions.findLastIndex(version => version.revision <= revision)
      if (readable > 0) versions.splice(0, readable)
      const only = versions.length === 1 ? versions[0] : undefined
      if (only === undefined || only.value !== undefined || only.revision > revision) continue
      this.#versions.delete(key)
      this.#keys.splice(this.#indexOf(key), 1)
    }
  }

  async close(): Promise<void> {
    this.#stopSweep()
    this.#closed = new StorageError('unavailable', { message: 'storage: the store is closed' })
    this.#hub.close(this.#closed)
  }

  /** The revision a read is about. Throws what every call may throw. */
  #readable(options: ReadOptions): number {
    options.signal?.throwIfAborted()
    if (this.#closed !== undefined) throw this.#closed
    const at = options.revision ?? this.#revision
    if (at > this.#revision) throw new StorageError('futureRevision', { revision: this.#revision })
    if (at < this.#compacted) throw new StorageError('compacted', { revision: this.#compacted })
    return at
  }

  #entryAt(key: string, at: number): Entry | undefined {
    const version = this.#versions.get(key)?.findLast(candidate => candidate.revision <= at)
    if (version?.value === undefined) return undefined
    return { key, value: version.value, revision: version.revision }
  }

  #commit(
    key: string,
    value: Uint8Array | undefined,
    live: Entry | undefined,
    expiresMs: number | undefined,
  ): number {
    const revision = this.#revision + 1
    this.#revision = revision
    const versions = this.#versions.get(key)
    if (versions === undefined) {
      this.#keys.splice(this.#indexOf(key), 0, key)
      this.#versions.set(key, [{ revision, value, expiresMs }])
    } else {
      versions.push({ revision, value, expiresMs })
    }
    const event: WatchEvent = {
      type: value === undefined ? 'delete' : 'put',
      key,
      ...(value !== undefined && { value }),
      ...(live !== undefined && { previous: live.value, previousRevision: live.revision }),
    }
    const batch = { revision, events: [event] }
    this.#log.push(batch)
    this.#hub.publish([batch])
    return revision
  }

  #replay(prefix: string, after: number, limit: number) {
    const first = this.#log.findIndex(batch => batch.revision > after)
    const records = first === -1 ? [] : this.#log.slice(first, first + limit)
    const batches = records.filter(batch => batch.events.some(e => e.key.startsWith(prefix)))
    const upTo = records.length < limit ? this.#revision : (records.at(-1)?.revision ?? after)
    return { batches, upTo }
  }

  #sweep(): void {
    const now = this.#now()
    for (const [key, versions] of this.#versions) {
      const last = versions.at(-1)
      if (last?.expiresMs === undefined || last.expiresMs > now) continue
      this.#commit(key, undefined, this.#entryAt(key, this.#revision), undefined)
    }
  }

  /** Where `key` is in the sorted keys, or where it would be. */
  #indexOf(key: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareKeys(this.#keys[middle] ?? '', key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
