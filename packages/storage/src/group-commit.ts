// Writes of the embedded engine: all writers that wait at a moment share one transaction and one
// sync of the disk.
// Called by embedded.ts; calls the tables. Layout: record.ts.

import type { WatchBatch, WatchEvent } from './backend.ts'
import { StorageError } from './errors.ts'
import * as record from './record.ts'
import type { Tables } from './tables.ts'

/** One write that waits for its turn. */
export interface WriteRequest {
  readonly key: string
  /** Undefined: delete. */
  readonly value: Uint8Array | undefined
  readonly ifRevision: number
  /** Set for a key that expires. */
  readonly expiresMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

interface Waiting extends WriteRequest {
  readonly resolve: (revision: number) => void
  readonly reject: (reason: unknown) => void
}

/** What a request becomes once it is known to apply. */
interface Change {
  readonly request: Waiting
  readonly revision: number
  readonly keyBytes: Buffer
  readonly before: record.Version | undefined
}

export interface CommitState {
  /** The last revision that is on disk and acknowledged. */
  readonly revision: number
  readonly compacted: number
}

export interface GroupCommitOptions {
  readonly tables: Tables
  readonly state: CommitState
  /** Called once a group is on disk, before its writers hear of it. */
  readonly onCommit: (batches: readonly WatchBatch[]) => void
}

/** One transaction takes at most this much, so that one large group does not make everyone wait. */
const GROUP_WRITES_MAX = 1000
const GROUP_BYTES_MAX = 8 * 1024 * 1024

export class GroupCommit {
  readonly #tables: Tables
  readonly #onCommit: GroupCommitOptions['onCommit']
  #state: CommitState
  #queue: Waiting[] = []
  #compaction: { to: number; done: PromiseWithResolvers<void> } | undefined
  #running: Promise<void> | undefined
  #committing: Promise<void> | undefined
  /** Set when lmdb may show what is not on disk: nothing can be promised any more. */
  #broken: StorageError | undefined

  constructor({ tables, state, onCommit }: GroupCommitOptions) {
    this.#tables = tables
    this.#state = state
    this.#onCommit = onCommit
  }

  get state(): CommitState {
    return this.#state
  }

  /**
   * Resolves when no transaction is visible that is not on disk yet; undefined when there is none.
   */
  get committing(): Promise<void> | undefined {
    return this.#committing
  }

  get broken(): StorageError | undefined {
    return this.#broken
  }

  /**
   * Resolves with the write's revision once it is on disk. Throws exists | conflict | notFound |
   * unavailable.
   */
  write(request: WriteRequest): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...request, resolve, reject })
      this.#start()
    })
  }

  /** Moves the compaction mark. What it makes unreachable is not removed here. */
  compact(to: number): Promise<void> {
    if (this.#compaction === undefined) {
      this.#compaction = { to, done: Promise.withResolvers() }
    } else {
      this.#compaction.to = Math.max(to, this.#compaction.to)
    }
    this.#start()
    return this.#compaction.done.promise
  }

  /** Resolves when every write that was waiting is done. */
  async drain(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (this.#queue.length > 0 || this.#compaction !== undefined) this.#start()
    })
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0 || this.#compaction !== undefined) {
      // One turn of the event loop: readers of the last group read, and writers join the next one.
      await new Promise<void>(resolve => setImmediate(resolve))
      this.#committing = this.#commitGroup()
      await this.#committing
      this.#committing = undefined
    }
  }

  async #commitGroup(): Promise<void> {
    const group = this.#takeGroup()
    const compaction = this.#compaction
    this.#compaction = undefined
    let changes: Change[]
    try {
      if (this.#broken !== undefined) throw this.#broken
      changes = this.#decide(group)
      if (changes.length === 0 && compaction === undefined) return
      const state: CommitState = {
        revision: this.#state.revision + changes.length,
        compacted: compaction?.to ?? this.#state.compacted,
      }
      await this.#tables.commit(() => this.#write(changes, state))
      this.#state = state
    } catch (cause) {
      const error = this.#failed(cause)
      // Rejecting what #decide has settled already does nothing.
      for (const request of group) request.reject(error)
      compaction?.done.reject(error)
      return
    }
    this.#onCommit(changes.map(batchOf))
    for (const { request, revision } of changes) request.resolve(revision)
    compaction?.done.resolve()
  }

  #takeGroup(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const request of this.#queue) {
      bytes += request.value?.length ?? 0
      if (count > 0 && (count === GROUP_WRITES_MAX || bytes > GROUP_BYTES_MAX)) break
      count++
    }
    return this.#queue.splice(0, count)
  }

  /** Settles the requests that cannot apply, one after the other, as if each were alone. */
  #decide(group: readonly Waiting[]): Change[] {
    const changes: Change[] = []
    const written = new Map<string, record.Version | undefined>()
    for (const request of group) {
      if (request.signal?.aborted === true) {
        request.reject(request.signal.reason)
        continue
      }
      const keyBytes = Buffer.from(request.key)
      const before = written.has(request.key) ? written.get(request.key) : this.#latest(keyBytes)
      const refusal = refuse(request, before?.revision ?? 0)
      if (refusal !== undefined) {
        request.reject(refusal)
        continue
      }
      const revision = this.#state.revision + changes.length + 1
      const { value } = request
      written.set(
        request.key,
        value && { revision, value: Buffer.from(value.buffer, value.byteOffset, value.byteLength) },
      )
      changes.push({ request, revision, keyBytes, before })
    }
    return changes
  }

  #latest(keyBytes: Buffer): record.Version | undefined {
    const bytes = this.#tables.latest.get(keyBytes)
    return bytes && record.decodeVersion(bytes)
  }

  /** Only queues writes: lmdb reports their failure through commit(). */
  #write(changes: readonly Change[], state: CommitState): void {
    const { latest, history, log, leases, meta } = this.#tables
    for (const { request, revision, keyBytes, before } of changes) {
      const { value, expiresMs } = request
      if (before !== undefined) {
        void history.put(record.encodeHistoryKey(keyBytes, before.revision, revision), before.value)
      }
      if (value === undefined) void latest.remove(keyBytes)
      else void latest.put(keyBytes, record.encodeVersion(revision, value))
      const type = value === undefined ? 'delete' : 'put'
      const previousRevision = before?.revision ?? 0
      void log.put(
        record.encodeRevision(revision),
        record.encodeLog({ type, previousRevision, key: keyBytes }),
      )
      if (expiresMs !== undefined) {
        void leases.put(record.encodeLeaseKey(expiresMs, keyBytes), record.encodeRevision(revision))
      }
    }
    void meta.put(record.STATE_KEY, record.encodeState(state.revision, state.compacted))
  }

  /**
   * A failed transaction usually leaves no trace. If it shows all the same, what is on disk is
   * unknown.
   */
  #failed(cause: unknown): StorageError {
    if (this.#broken !== undefined) return this.#broken
    const reason = cause instanceof Error ? cause.message : String(cause)
    const error = new StorageError('unavailable', {
      message: `storage: the data folder cannot be written, is the disk full? ${reason}`,
      cause,
    })
    this.#tables.refresh()
    const bytes = this.#tables.meta.get(record.STATE_KEY)
    const seen = bytes && record.decodeState(bytes)
    if (seen?.revision !== this.#state.revision || seen.compacted !== this.#state.compacted) {
      this.#broken = error
    }
    return error
  }
}

/** Why the write does not apply to a key at `revision` (0: there is none). */
function refuse(
  { key, value, ifRevision }: WriteRequest,
  revision: number,
): StorageError | undefined {
  if (value === undefined && revision === 0) return new StorageError('notFound', { key })
  if (revision === ifRevision) return undefined
  if (ifRevision === 0 && value !== undefined) return new StorageError('exists', { key })
  return new StorageError('conflict', { key, revision })
}

function batchOf({ request, revision, before }: Change): WatchBatch {
  const event: WatchEvent = {
    type: request.value === undefined ? 'delete' : 'put',
    key: request.key,
    ...(request.value !== undefined && { value: request.value }),
    ...(before !== undefined && { previous: before.value, previousRevision: before.revision }),
  }
  return { revision, events: [event] }
}
