// Objects over a bytes engine: reads from the cache as fresh as asked, writes through the engine. Called by api/src/verbs
// and controllers; calls cacher.ts for reads and watches, update.ts for read-modify-write, backend.ts for the bytes.

import { assert } from '@podless/apimachinery'
import type { Backend } from './backend.ts'
import type { CacheWatcher, Predicate, WatchSink } from './cache-watcher.ts'
import type { Cacher } from './cacher.ts'
import type { Consistency, WatchStart } from './consistency.ts'
import {
  ContinueExpiredError,
  type ContinueToken,
  decodeContinue,
  encodeContinue,
} from './continue.ts'
import { StorageError } from './errors.ts'
import { latestRevision } from './latest-revision.ts'
import { engineView, type ListSource, viewSource } from './list-source.ts'
import { type StoredObject, storedObject } from './stored-object.ts'
import {
  guaranteedRemove,
  guaranteedUpdate,
  type RemoveOptions,
  type TryUpdate,
  type UpdateOptions,
  type UpdateResult,
} from './update.ts'

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
  /** As get(), with the revision that this is the state of: a watch after it misses nothing. */
  getAt(
    key: string,
    consistency?: Consistency,
    options?: { signal?: AbortSignal },
  ): Promise<{ stored: StoredObject | undefined; revision: number }>
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

export interface StorageOptions {
  /** How long a read waits for the cache to be as fresh as asked. Default 3000, as kube-apiserver. */
  readonly freshTimeoutMs?: number
}

/** Objects over `backend`, read through `cacher`, which follows the same backend. */
export function createStorage(
  backend: Backend,
  cacher: Cacher,
  options: StorageOptions = {},
): Storage {
  return new CachedStorage(backend, cacher, options)
}

class CachedStorage implements Storage {
  readonly backend: Backend
  readonly cacher: Cacher
  readonly #latest: () => Promise<number>

  readonly #options: StorageOptions

  constructor(backend: Backend, cacher: Cacher, options: StorageOptions) {
    this.#options = options
    this.backend = backend
    this.cacher = cacher
    this.#latest = latestRevision(backend)
  }

  async get(
    key: string,
    consistency: Consistency = LATEST,
    options: { signal?: AbortSignal } = {},
  ): Promise<StoredObject | undefined> {
    assert(consistency.type !== 'exact', 'a get has no exact revision')
    if (await this.#isFresh(consistency, options.signal)) return this.cacher.get(key)
    return (await this.#read(key, options)).stored
  }

  async getAt(
    key: string,
    consistency: Consistency = LATEST,
    options: { signal?: AbortSignal } = {},
  ): Promise<{ stored: StoredObject | undefined; revision: number }> {
    assert(consistency.type !== 'exact', 'a get has no exact revision')
    if (await this.#isFresh(consistency, options.signal))
      return { stored: this.cacher.get(key), revision: this.cacher.revision }
    return await this.#read(key, options)
  }

  /** Past the cache, which is not fresh enough. */
  async #read(
    key: string,
    options: { signal?: AbortSignal },
  ): Promise<{ stored: StoredObject | undefined; revision: number }> {
    const { entry, revision } = await this.backend.get(key, options)
    return { stored: entry && storedObject(entry.key, entry.value, entry.revision), revision }
  }

  async list(request: ListRequest): Promise<ListResult> {
    const { prefix, predicate, signal } = request
    assert(prefix.endsWith('/'), `a list's prefix ends in a slash: ${prefix}`)
    const token = request.continue ? decodeContinue(prefix, request.continue) : undefined
    const consistency = token === undefined ? (request.consistency ?? LATEST) : meaningOf(token)
    // Who takes any state gets all of it: that is what caches fill themselves from.
    // Ref: apiserver/pkg/storage/cacher/cacher.go, where a resourceVersion of "0" makes a limit not count
    const limit = consistency.type === 'any' ? 0 : (request.limit ?? 0)
    const source = await this.#source(prefix, consistency, signal)
    const page = await source
      .page({ after: token?.after, limit, predicate, signal })
      .catch(error => {
        throw token === undefined ? error : continueError(prefix, token, error)
      })
    const { items, revision, last, remaining } = page
    if (last === undefined) return { items, revision }
    const goesOn = encodeContinue(prefix, { revision, after: last })
    return predicate !== undefined || remaining === undefined
      ? { items, revision, continue: goesOn }
      : { items, revision, continue: goesOn, remainingItemCount: remaining }
  }

  async watch(request: WatchRequest): Promise<CacheWatcher> {
    const { start, ...rest } = request
    if (start.type === 'after') return this.cacher.watch({ ...rest, after: start.revision })
    await this.#isFresh(start.consistency, request.signal, true)
    if (start.type === 'now') return this.cacher.watch(rest)
    const initialEvents = start.marker ? 'marked' : 'unmarked'
    return this.cacher.watch({ ...rest, initialEvents })
  }

  count(prefix: string): number {
    return this.cacher.count(prefix)
  }

  async create(
    key: string,
    bytes: Uint8Array,
    options: { ttlSeconds?: number; signal?: AbortSignal } = {},
  ): Promise<StoredObject> {
    const revision = await this.backend.put(key, bytes, { ifRevision: 0, ...options })
    return this.cacher.adopt(storedObject(key, bytes, revision))
  }

  update(key: string, tryUpdate: TryUpdate, options: UpdateOptions = {}): Promise<UpdateResult> {
    return guaranteedUpdate(this.backend, this.cacher, key, tryUpdate, options)
  }

  remove(
    key: string,
    check?: (stored: StoredObject) => void | Promise<void>,
    options: RemoveOptions = {},
  ): Promise<StoredObject> {
    return guaranteedRemove(this.backend, this.cacher, key, check, options)
  }

  async close(): Promise<void> {
    await this.cacher.close()
    await this.backend.close()
  }

  async #source(
    prefix: string,
    consistency: Consistency,
    signal: AbortSignal | undefined,
  ): Promise<ListSource> {
    if (consistency.type === 'exact') {
      const { revision } = consistency
      await this.#waitFresh(revision, signal)
      const view = this.cacher.view(prefix, revision)
      return view === undefined ? engineView(this.backend, prefix, revision) : viewSource(view)
    }
    return (await this.#isFresh(consistency, signal))
      ? viewSource(this.cacher.view(prefix))
      : engineView(this.backend, prefix, undefined)
  }

  #waitFresh(revision: number, signal: AbortSignal | undefined): Promise<void> {
    const { freshTimeoutMs: timeoutMs } = this.#options
    return this.cacher.waitFresh(revision, {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(signal === undefined ? {} : { signal }),
    })
  }

  /**
   * Waits until the cache is as fresh as asked. False when it does not get there in time for 'latest', which the engine
   * itself can answer, unless `insist`. Throws futureRevision.
   */
  async #isFresh(
    consistency: Consistency,
    signal: AbortSignal | undefined,
    insist = false,
  ): Promise<boolean> {
    if (consistency.type === 'any') return true
    const isLatest = consistency.type === 'latest'
    const revision = isLatest ? await this.#latest() : consistency.revision
    if (revision <= this.cacher.revision) return true
    try {
      await this.#waitFresh(revision, signal)
      return true
    } catch (error) {
      if (insist || !isLatest || !isStorageError(error, 'futureRevision')) throw error
      return false
    }
  }
}

const LATEST: Consistency = { type: 'latest' }

function meaningOf(token: ContinueToken): Consistency {
  return token.revision < 0 ? LATEST : { type: 'exact', revision: token.revision }
}

/** A token whose revision is gone is answered with one that goes on without it. */
function continueError(prefix: string, { after }: ContinueToken, error: unknown): unknown {
  if (!isStorageError(error, 'compacted')) return error
  return new ContinueExpiredError(encodeContinue(prefix, { revision: -1, after }), { cause: error })
}

function isStorageError(error: unknown, code: StorageError['code']): error is StorageError {
  return error instanceof StorageError && error.code === code
}
