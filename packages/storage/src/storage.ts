// Objects over a bytes engine: reads from the cache as fresh as asked, writes through the engine. Called by api/src/verbs
// and controllers; calls cacher.ts for reads and watches, update.ts for read-modify-write, backend.ts for the bytes.

import type { Backend } from './backend.ts'
import type { CacheWatcher, Predicate, WatchSink } from './cache-watcher.ts'
import type { Cacher } from './cacher.ts'
import type { Consistency, WatchStart } from './consistency.ts'
import type { StoredObject } from './stored-object.ts'
import type { RemoveOptions, TryUpdate, UpdateOptions, UpdateResult } from './update.ts'

export interface ListRequest {
  /** With trailing slash: keys.ts listPrefix(). */
  readonly prefix: string
  /** Default: latest. Ignored when `continue` is given. */
  readonly consistency?: Consistency
  /** 0 or absent: no limit. */
  readonly limit?: number
  readonly continue?: string
  readonly predicate?: Predicate
  readonly signal?: AbortSignal
}

export interface ListResult {
  readonly items: readonly StoredObject[]
  readonly revision: number
  /** Set when more is left. */
  readonly continue?: string
  /** Objects after this page; only without a predicate and when more is left. */
  readonly remainingItemCount?: number
}

export interface WatchRequest {
  /** With trailing slash, or one object's whole key. */
  readonly prefix: string
  readonly start: WatchStart
  readonly predicate?: Predicate
  readonly sink?: WatchSink
  readonly signal?: AbortSignal
  readonly queueBytesMax?: number
}

export interface Storage {
  readonly backend: Backend
  readonly cacher: Cacher
  /** Default consistency: latest. 'exact' is not for get. Throws futureRevision | unavailable. */
  get(
    key: string,
    consistency?: Consistency,
    options?: { signal?: AbortSignal },
  ): Promise<StoredObject | undefined>
  /** Throws compacted | futureRevision | unavailable, ContinueError, ContinueExpiredError. */
  list(request: ListRequest): Promise<ListResult>
  /** Throws compacted (410) | futureRevision | unavailable. */
  watch(request: WatchRequest): Promise<CacheWatcher>
  /** Objects under a prefix, as the cache has it. */
  count(prefix: string): number
  /** `bytes` without metadata.resourceVersion: encodeObject(). Throws exists | tooLarge | unavailable. */
  create(
    key: string,
    bytes: Uint8Array,
    options?: { ttlSeconds?: number; signal?: AbortSignal },
  ): Promise<StoredObject>
  /** Read, change, write if still the same, again if not. See update.ts. */
  update(key: string, tryUpdate: TryUpdate, options?: UpdateOptions): Promise<UpdateResult>
  /**
   * Deletes what is there, after `check` has agreed to exactly that state (it throws to refuse). Resolves with the last
   * state under the deletion's resourceVersion. Throws notFound | conflict (ifRevision, or retry: false) | unavailable.
   */
  remove(
    key: string,
    check?: (stored: StoredObject) => void | Promise<void>,
    options?: RemoveOptions,
  ): Promise<StoredObject>
  close(): Promise<void>
}
