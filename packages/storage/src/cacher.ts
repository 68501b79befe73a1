// The watch cache: one feed of changes over the root in, many lists and watches out. JavaScript's single thread is its lock:
// a batch of one revision is applied and handed out in one synchronous step. Opened by api/src/server.ts; read by
// storage.ts and controllers; calls backend.ts for the feed, history.ts, cache-watcher.ts.

import type { Backend } from './backend.ts'
import type { CacheWatcher, Predicate, WatchSink } from './cache-watcher.ts'
import type { StoredObject } from './stored-object.ts'

export interface HistoryLimits {
  /** Changes kept per resource. */
  readonly eventsMax: number
  /** Encoded bytes of objects kept per resource for its history. */
  readonly bytesMax: number
  /** Changes older than this are dropped. */
  readonly windowMs: number
}

export interface CacherOptions {
  /** Default '/registry/'. */
  readonly root?: string
  /** Milliseconds of a clock that does not jump. */
  readonly now: () => number
  readonly history?: Partial<HistoryLimits>
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

export interface Cacher {
  /** Everything up to here has been applied. */
  readonly revision: number
  /** Resolves once `revision` is applied. Throws futureRevision after timeoutMs (default 3000), unavailable after close. */
  waitFresh(revision: number, options?: { signal?: AbortSignal; timeoutMs?: number }): Promise<void>
  get(key: string): StoredObject | undefined
  /** Key order, as of this call: later writes do not show. */
  list(prefix: string, options?: { after?: string }): Iterable<StoredObject>
  /** The state at an earlier revision, undefined when the history does not reach back to it. */
  listAt(
    prefix: string,
    revision: number,
    options?: { after?: string },
  ): Iterable<StoredObject> | undefined
  count(prefix: string): number
  watch(options: CacheWatchOptions): CacheWatcher
  close(): Promise<void>
}

export type OpenCacher = (backend: Backend, options: CacherOptions) => Promise<Cacher>
