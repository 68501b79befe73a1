// The watch cache: one feed of changes over the root in, many lists and watches out. JavaScript's single thread is its lock:
// the changes of one revision are applied and handed out in one synchronous step. Opened by the api server; read by
// storage.ts and controllers; calls backend.ts for the feed, ordered-index.ts, history.ts and cache-watcher.ts.
// Ref: apiserver/pkg/storage/cacher/cacher.go

import { setTimeout as sleep } from 'node:timers/promises'
import { AssertionError, assert } from '@podless/apimachinery'
import type { Backend, Entry, WatchBatch, WatchEvent } from './backend.ts'
import { loadIndexes } from './cache-load.ts'
import {
  type CacheWatcher,
  type Predicate,
  QueueWatcher,
  type WatchItem,
  type WatchSink,
} from './cache-watcher.ts'
import { StorageError } from './errors.ts'
import { Freshness } from './freshness.ts'
import { History, type HistoryLimits, LoggedEvent } from './history.ts'
import { compareKeys } from './key-order.ts'
import { resourcePrefixOf } from './keys.ts'
import { OrderedIndex } from './ordered-index.ts'
import { type StateView, stateView } from './state-view.ts'
import { type Allocate, type StoredObject, storedObject } from './stored-object.ts'
import { WatchIndex } from './watch-index.ts'
import { initialItems, mergeLogs, replayedItems } from './watch-items.ts'

export interface CacherOptions {
  /** Default '/registry/'. */
  readonly root?: string
  /** Milliseconds of a clock that does not jump. */
  readonly now: () => number
  readonly history?: Partial<HistoryLimits>
  /**
   * How many revisions before the current one the cache starts from, so that watches resume across a restart. Less where
   * the engine has compacted them. Default 1000.
   */
  readonly replayRevisions?: number
  /** The cache can no longer be trusted: the process has to end. All watches have ended as 'failed'. */
  readonly onFatal: (error: unknown) => void
  /** A stored value that is no object; the cache goes on as if the key did not exist. */
  readonly onCorrupt?: (key: string, error: unknown) => void
}

export interface CacheWatchOptions {
  /** With trailing slash, or one object's whole key. */
  readonly prefix: string
  /** Changes after this revision. Throws compacted when the history does not reach back to it. */
  readonly after?: number
  /** Instead of `after`: the current state as ADDED, then INITIAL_EVENTS_END when 'marked', then changes. */
  readonly initialEvents?: 'marked' | 'unmarked'
  readonly predicate?: Predicate
  /** Without a sink the watcher is iterated. */
  readonly sink?: WatchSink
  readonly signal?: AbortSignal
  /** Default 8 MiB. Counts live events only: state and replay wait in the cache itself. */
  readonly queueBytesMax?: number
}

const ROOT = '/registry/'
const REPLAY_REVISIONS = 1000
const QUEUE_BYTES_MAX = 8 * 1024 * 1024
/** Five minutes are what kube-apiserver keeps between compactions, and ten times a lost connection's timeout. */
const HISTORY: HistoryLimits = {
  eventsMax: 16_384,
  bytesMax: 16 * 1024 * 1024,
  windowMs: 5 * 60 * 1000,
}
const RETRY_FIRST_MS = 20
const RETRY_MAX_MS = 2000
/** Own writes that the feed has not shown yet; each saves one parse, so the oldest may be forgotten. */
const WRITTEN_MAX = 1024

interface ResourceCache {
  readonly prefix: string
  readonly index: OrderedIndex<StoredObject>
  readonly history: History
}

/** Loads the state and starts the feed. Resolves once the cache is as new as the store was at the call. */
export async function openCacher(backend: Backend, options: CacherOptions): Promise<Cacher> {
  const cacher = new Cacher(backend, options)
  await cacher.start()
  return cacher
}

export class Cacher {
  readonly root: string
  readonly #backend: Backend
  readonly #options: CacherOptions
  readonly #limits: HistoryLimits
  readonly #closing = new AbortController()
  readonly #watchers: WatchIndex
  readonly #freshness = new Freshness()
  readonly #written = new Map<string, StoredObject>()
  #resources = new Map<string, ResourceCache>()
  /** The revision the cache was loaded at: histories of resources not seen before begin here. */
  #loadedAt = 0
  #trimmedAtMs = 0
  #feed: Promise<void> | undefined

  constructor(backend: Backend, options: CacherOptions) {
    this.#backend = backend
    this.#options = options
    this.root = options.root ?? ROOT
    this.#limits = { ...HISTORY, ...options.history }
    this.#watchers = new WatchIndex(this.root)
  }

  /** See openCacher. */
  async start(): Promise<void> {
    const current = await this.#backend.revision()
    const replay = this.#options.replayRevisions ?? REPLAY_REVISIONS
    await this.#loadFrom(Math.max(current - replay, 1), current)
    this.#feed = this.#run()
    await this.waitFresh(current, { timeoutMs: Number.POSITIVE_INFINITY })
  }

  async close(): Promise<void> {
    if (!this.#closing.signal.aborted) this.#closing.abort()
    this.#freshness.close()
    for (const watcher of this.#watchers.all()) watcher.close()
    await this.#feed
  }

  /** Everything up to here has been applied. */
  get revision(): number {
    return this.#freshness.revision
  }

  /** Resolves once `revision` is applied. Throws futureRevision after timeoutMs (default 3000), unavailable after close. */
  waitFresh(
    revision: number,
    options: { signal?: AbortSignal; timeoutMs?: number } = {},
  ): Promise<void> {
    return this.#freshness.wait(revision, options)
  }

  get(key: string): StoredObject | undefined {
    return this.#resources.get(resourcePrefixOf(this.root, key) ?? key)?.index.get(key)
  }

  /** Key order, as of this call: later writes do not show. Before a write most (webhooks, quotas) are of nothing. */
  list(prefix: string, options: { after?: string } = {}): Iterable<StoredObject> {
    if (this.#span(prefix).every(({ index }) => index.size === 0)) return []
    return this.#viewNow(prefix).items(options.after)
  }

  count(prefix: string): number {
    return this.#viewNow(prefix).count()
  }

  /**
   * The objects under a prefix now, or at an earlier revision: undefined then when the history does not reach back to it.
   * `prefix` has a trailing slash.
   */
  view(prefix: string): StateView
  view(prefix: string, revision: number): StateView | undefined
  view(prefix: string, revision?: number): StateView | undefined {
    if (revision === undefined || revision === this.revision) return this.#viewNow(prefix)
    if (revision > this.revision || revision < this.#loadedAt) return undefined
    const parts = []
    for (const { index, history } of this.#span(prefix)) {
      const earlier = history.differences(revision)
      if (earlier === undefined) return undefined
      parts.push({ now: index.snapshot(), earlier })
    }
    return stateView(prefix, revision, parts)
  }

  /** Registers, replays and goes live in one step: no gap, no double. See CacheWatchOptions for what it throws. */
  watch(options: CacheWatchOptions): CacheWatcher {
    const { prefix, initialEvents, sink, predicate, signal } = options
    const live = initialEvents !== undefined
    const after = live ? this.revision : (options.after ?? this.revision)
    const backlog = live ? this.#initial(options) : this.#replay(prefix, after, predicate)
    const watcher = new QueueWatcher({
      predicate,
      after,
      backlog,
      sink,
      signal,
      queueBytesMax: options.queueBytesMax ?? QUEUE_BYTES_MAX,
      revision: () => this.revision,
      detach: ended => this.#watchers.delete(prefix, ended),
      onFatal: error => this.#options.onFatal(error),
    })
    if (this.#closing.signal.aborted) watcher.close()
    else this.#watchers.add(prefix, watcher)
    return watcher
  }

  /** Tells the cache of an object just written, so that it need not be made again when the feed shows it. */
  adopt(stored: StoredObject): StoredObject {
    const cached = this.get(stored.key)
    if (cached?.revision === stored.revision) return cached
    if (stored.revision <= this.revision) return stored
    if (this.#written.size >= WRITTEN_MAX) {
      for (const oldest of this.#written.keys()) {
        this.#written.delete(oldest)
        break
      }
    }
    this.#written.set(stored.key, stored)
    return stored
  }

  /** The current state as the start of a watch; read here and now, made into events as the watcher takes them. */
  #initial({ prefix, predicate, initialEvents }: CacheWatchOptions): Iterator<WatchItem> {
    const single = prefix.endsWith('/') ? undefined : this.get(prefix)
    const objects = prefix.endsWith('/') ? this.#viewNow(prefix).items() : single ? [single] : []
    return initialItems(objects, predicate, initialEvents === 'marked' ? this.revision : undefined)
  }

  /** What happened after `after`, as references into the histories. Throws compacted. */
  #replay(prefix: string, after: number, predicate: Predicate | undefined) {
    if (after >= this.revision) return undefined
    const histories = this.#span(prefix).map(resource => resource.history)
    const start = Math.max(this.#loadedAt, ...histories.map(history => history.start))
    if (after < start) throw new StorageError('compacted', { key: prefix, revision: start })
    const logs = histories.map(history => history.since(after) ?? [])
    return replayedItems(mergeLogs(prefix, logs), predicate)
  }

  #viewNow(prefix: string): StateView {
    const parts = this.#span(prefix).map(({ index }) => ({
      now: index.snapshot(),
      earlier: undefined,
    }))
    return stateView(prefix, this.revision, parts)
  }

  /** The resources that a prefix reaches into, in key order. */
  #span(prefix: string): ResourceCache[] {
    const name = resourcePrefixOf(this.root, prefix)
    if (name !== undefined) {
      const only = this.#resources.get(name)
      return only === undefined ? [] : [only]
    }
    return [...this.#resources.values()]
      .filter(resource => resource.prefix.startsWith(prefix))
      .sort((a, b) => compareKeys(a.prefix, b.prefix))
  }

  #resource(key: string): ResourceCache {
    const prefix = resourcePrefixOf(this.root, key) ?? key
    const known = this.#resources.get(prefix)
    if (known !== undefined) return known
    const history = new History(this.#loadedAt, this.#limits)
    const made = { prefix, index: new OrderedIndex<StoredObject>(), history }
    this.#resources.set(prefix, made)
    return made
  }

  /** Follows the engine's changes until close(). Never throws. */
  async #run(): Promise<void> {
    const { signal } = this.#closing
    let retryMs = RETRY_FIRST_MS
    let reload = false
    while (!signal.aborted) {
      const before = this.revision
      try {
        if (reload) await this.#reload()
        reload = false
        const batches = this.#backend.watch(this.root, { after: this.revision, signal })
        for await (const batch of batches) {
          if (signal.aborted) return
          this.#apply(batch)
        }
      } catch (error) {
        if (signal.aborted) return
        const code = error instanceof StorageError ? error.code : undefined
        if (code === 'compacted') reload = true
        else if (code !== 'unavailable') return this.#fail(error)
      }
      // An engine reconnects by itself: whatever ends its watch is worth a pause.
      retryMs = this.revision > before ? RETRY_FIRST_MS : Math.min(retryMs * 2, RETRY_MAX_MS)
      await sleep(retryMs, undefined, { signal }).catch(ignoreAbort)
    }
  }

  #apply(batch: WatchBatch): void {
    const { revision, events } = batch
    if (events.length === 0 && revision <= this.revision) return
    if (revision <= this.revision) {
      throw new AssertionError(`revision ${revision} came after ${this.revision}`)
    }
    const nowMs = this.#options.now()
    for (const event of events) this.#applyEvent(event, revision, nowMs)
    this.#trim(nowMs)
    this.#freshness.advance(revision)
    this.#watchers.flush()
  }

  #applyEvent(event: WatchEvent, revision: number, nowMs: number): void {
    const resource = this.#resource(event.key)
    const current = this.#decode(event, revision)
    const previous =
      current === undefined ? resource.index.delete(event.key) : resource.index.set(current)
    checkReplaced(event, previous, revision)
    // Deleting what was never there: a corrupt value that went away.
    if (current === undefined && previous === undefined) return
    const logged = new LoggedEvent(revision, current, previous, nowMs)
    resource.history.append(logged)
    this.#watchers.offer(logged)
  }

  /** The object that a put made; undefined on a delete, and where the value is corrupt. */
  #decode(event: WatchEvent, revision: number): StoredObject | undefined {
    const { key, value } = event
    const written = this.#written.get(key)
    if (written !== undefined && written.revision <= revision) this.#written.delete(key)
    if (event.type === 'delete' || value === undefined) return undefined
    return written?.revision === revision ? written : this.#make({ key, value, revision })
  }

  #make({ key, value, revision }: Entry, allocate?: Allocate): StoredObject | undefined {
    try {
      return storedObject(key, value, revision, allocate)
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      this.#options.onCorrupt?.(key, error)
      return undefined
    }
  }

  /** Drops what is too old also where nothing happens any more, ten times a window. */
  #trim(nowMs: number): void {
    if (nowMs - this.#trimmedAtMs < this.#limits.windowMs / 10) return
    this.#trimmedAtMs = nowMs
    for (const { history } of this.#resources.values()) history.trim(nowMs)
  }

  /** The changes between are lost to the watchers, so they end and their clients list again. */
  async #reload(): Promise<void> {
    const revision = await this.#load(undefined)
    assert(revision >= this.revision, `the store went back to revision ${revision}`)
    for (const watcher of this.#watchers.all()) watcher.end('expired', undefined)
    this.#freshness.advance(revision)
  }

  /** Loads the state at `revision`, or the oldest one that can be read and is newer. */
  async #loadFrom(revision: number, current: number): Promise<void> {
    let from: number | undefined = revision
    for (;;) {
      try {
        this.#freshness.advance(await this.#load(from))
        return
      } catch (error) {
        const compacted = error instanceof StorageError && error.code === 'compacted'
        if (!compacted) throw error
        const oldest: number = error.revision
        from = from !== undefined && oldest > from && oldest <= current ? oldest : undefined
      }
    }
  }

  /** Replaces all state by that at `at` (undefined: the newest). Returns its revision. */
  async #load(at: number | undefined): Promise<number> {
    const { revision, indexes } = await loadIndexes(this.#backend, this.root, {
      at,
      signal: this.#closing.signal,
      make: (entry, allocate) => {
        const cached = this.get(entry.key)
        return cached?.revision === entry.revision ? cached : this.#make(entry, allocate)
      },
    })
    this.#resources = new Map()
    for (const [prefix, index] of indexes) {
      const history = new History(revision, this.#limits)
      this.#resources.set(prefix, { prefix, index, history })
    }
    this.#loadedAt = revision
    this.#written.clear()
    return revision
  }

  #fail(error: unknown): void {
    for (const watcher of this.#watchers.all()) watcher.end('failed', error)
    this.#closing.abort(error)
    this.#freshness.close()
    this.#options.onFatal(error)
  }
}

/** A previous state that is not the cache's would mean that a change was lost. */
function checkReplaced(event: WatchEvent, previous: StoredObject | undefined, revision: number) {
  const { previousRevision } = event
  // Nothing is cached in the place of a corrupt value.
  if (previous === undefined || previousRevision === undefined) return
  if (previous.revision !== previousRevision) {
    throw new AssertionError(
      `${event.key} at ${revision} replaced ${previousRevision}, the cache has ${previous.revision}`,
    )
  }
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error
}
