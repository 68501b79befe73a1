// The contract of a bytes engine: keys, values and revisions, nothing of HTTP or objects.
// Two engines implement it (embedded.ts, etcd.ts); testing/suite.ts is its meaning. storage.ts and cacher.ts call it.

/** One key's value at a revision. */
export interface Entry {
  readonly key: string
  readonly value: Uint8Array
  /** Revision of the last write of this key (etcd's mod_revision). */
  readonly revision: number
}

export interface ReadOptions {
  /** Read the state at exactly this revision. Throws compacted | futureRevision. */
  readonly revision?: number
  readonly signal?: AbortSignal
}

export interface PageOptions extends ReadOptions {
  readonly after?: string
  readonly limit?: number
  /** False: Page.remaining is of no use to the caller. Counting costs a walk over everything that is left. */
  readonly counted?: boolean
}

export interface Page {
  readonly entries: readonly Entry[]
  /** The store's revision that the page shows (the requested one, when one was). */
  readonly revision: number
  /** True when keys are left after the last entry. */
  readonly more: boolean
  /** Keys under the prefix after the last entry, when the engine knows it. */
  readonly remaining?: number
}

/** One change of one key. `previous` is the value it had before, absent on a create. */
export interface WatchEvent {
  readonly type: 'put' | 'delete'
  readonly key: string
  /** The new value of a put; undefined on a delete. */
  readonly value?: Uint8Array
  readonly previous?: Uint8Array
  readonly previousRevision?: number
}

/** All changes of one revision. A batch without events is progress: nothing up to `revision` is missing. */
export interface WatchBatch {
  readonly revision: number
  readonly events: readonly WatchEvent[]
}

export interface Backend {
  /** Linearizable unless `revision` is given. The returned revision is the store's. */
  get(key: string, options?: ReadOptions): Promise<{ entry: Entry | undefined; revision: number }>
  /** Keys with the prefix in byte order, those after `after` when given, at most `limit` (0 or absent: all). */
  list(prefix: string, options?: PageOptions): Promise<Page>
  /** The store's current revision, linearizable: not older than any write acknowledged before the call. */
  revision(options?: { signal?: AbortSignal }): Promise<number>
  /**
   * Writes only if the key's revision is `ifRevision` (0: it must not exist). Resolves with the new revision
   * once durable. Throws exists | conflict.
   */
  put(
    key: string,
    value: Uint8Array,
    options: { ifRevision: number; ttlSeconds?: number; signal?: AbortSignal },
  ): Promise<number>
  /** Deletes only at `ifRevision`. Resolves with the deletion's revision once durable. Throws notFound | conflict. */
  delete(key: string, options: { ifRevision: number; signal?: AbortSignal }): Promise<number>
  /**
   * Every change after revision `after`: whole revisions, in order, none twice, none lost, also across the engine's own
   * reconnects. Throws compacted when `after` is older than the history. A batch without events is progress.
   */
  watch(prefix: string, options: { after: number; signal: AbortSignal }): AsyncIterable<WatchBatch>
  /** Forgets history before `revision`. */
  compact(revision: number): Promise<void>
  close(): Promise<void>
}
