// Fan-out of one engine's commits to its watchers: replay from history, then live, without a gap
// between the two.
// Called by embedded.ts and testing/memory.ts; calls back into the engine's history through
// HistorySource.

import type { WatchBatch } from './backend.ts'
import { StorageError } from './errors.ts'

/**
 * What the hub needs of an engine. All calls are synchronous, so that replay and live meet in one
 * step.
 */
export interface HistorySource {
  /** The last revision that is durable and was published. */
  current(): number
  /** The oldest revision whose state can be read; watches may start after it. */
  compacted(): number
  /**
   * The changes under `prefix` after revision `after`, oldest first, reading at most `limit` log
   * records. `upTo` is the revision that the answer is complete to; it equals current() when
   * nothing is left.
   */
  replay(prefix: string, after: number, limit: number): { batches: WatchBatch[]; upTo: number }
}

export interface WatchHubOptions {
  /**
   * A watcher with more undelivered bytes than this falls back to reading the history. Default 8
   * MiB.
   */
  readonly queueBytesMax?: number
  /**
   * Log records read in one go while replaying; the event loop gets a turn in between. Default 500.
   */
  readonly replayRecords?: number
}

const QUEUE_BYTES_MAX = 8 * 1024 * 1024
const REPLAY_RECORDS = 500
/** What a batch costs besides its bytes: the arrays and objects around them. */
const BATCH_OVERHEAD_BYTES = 256

/**
 * A watcher is either *behind* (it reads history at its own pace and the hub holds nothing for it)
 * or *live* (the hub appends each commit to its queue). A live watcher whose queue grows too large
 * is put behind again: the source is never slowed, memory stays bounded and nothing is lost unless
 * compaction overtakes it.
 */
interface Watcher {
  readonly prefix: string
  /** The last revision handed to the consumer. */
  position: number
  live: boolean
  queue: WatchBatch[]
  queueBytes: number
  wake: () => void
}

export class WatchHub {
  readonly #source: HistorySource
  readonly #queueBytesMax: number
  readonly #replayRecords: number
  readonly #watchers = new Set<Watcher>()
  #closed: Error | undefined

  constructor(source: HistorySource, options: WatchHubOptions = {}) {
    this.#source = source
    this.#queueBytesMax = options.queueBytesMax ?? QUEUE_BYTES_MAX
    this.#replayRecords = options.replayRecords ?? REPLAY_RECORDS
  }

  /**
   * Hands committed revisions, in order, to all live watchers. The source's current() already
   * includes them.
   */
  publish(batches: readonly WatchBatch[]): void {
    const last = batches.at(-1)
    if (last === undefined) return
    for (const watcher of this.#watchers) {
      if (!watcher.live) continue
      for (const batch of batches) this.#offer(watcher, batch)
      if (watcher.live) this.#progress(watcher, last.revision)
      watcher.wake()
    }
  }

  /** Ends every watch with `reason`, also those that start later. */
  close(reason: Error): void {
    this.#closed = reason
    for (const watcher of this.#watchers) watcher.wake()
  }

  /** See Backend.watch. Ends without an error when `signal` aborts. */
  async *watch(
    prefix: string,
    { after, signal }: { after: number; signal: AbortSignal },
  ): AsyncGenerator<WatchBatch, void, void> {
    const watcher: Watcher = {
      prefix,
      position: after,
      live: false,
      queue: [],
      queueBytes: 0,
      wake: () => undefined,
    }
    const onAbort = () => watcher.wake()
    signal.addEventListener('abort', onAbort)
    this.#watchers.add(watcher)
    try {
      while (!signal.aborted) {
        if (this.#closed !== undefined) throw this.#closed
        const batch = watcher.queue.shift()
        if (batch !== undefined) {
          watcher.queueBytes -= batchBytes(batch)
          watcher.position = batch.revision
          yield batch
        } else if (watcher.live) {
          await new Promise<void>(resolve => {
            watcher.wake = resolve
          })
        } else if (this.#catchUp(watcher)) {
          await new Promise<void>(resolve => setImmediate(resolve))
        }
      }
    } finally {
      this.#watchers.delete(watcher)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /**
   * Queues the next stretch of history; turns the watcher live at its end. True when more is left
   * to read.
   */
  #catchUp(watcher: Watcher): boolean {
    const oldest = this.#source.compacted()
    // Revision 1 is the empty store, so nothing is missing between 0 and 1.
    if (Math.max(watcher.position, 1) < oldest) {
      throw new StorageError('compacted', { key: watcher.prefix, revision: oldest })
    }
    const { batches, upTo } = this.#source.replay(
      watcher.prefix,
      watcher.position,
      this.#replayRecords,
    )
    for (const batch of batches) {
      watcher.queue.push(batch)
      watcher.queueBytes += batchBytes(batch)
    }
    this.#progress(watcher, upTo)
    watcher.live = upTo >= this.#source.current()
    return !watcher.live
  }

  #offer(watcher: Watcher, batch: WatchBatch): void {
    if (!watcher.live || batch.revision <= watcher.position) return
    const mine = filterBatch(batch, watcher.prefix)
    if (mine.events.length === 0) return
    dropTrailingProgress(watcher)
    watcher.queue.push(mine)
    watcher.queueBytes += batchBytes(mine)
    if (watcher.queueBytes <= this.#queueBytesMax) return
    watcher.live = false
    watcher.queue = []
    watcher.queueBytes = 0
  }

  /**
   * Tells a watcher with nothing better to read how far it is. Only the newest progress is kept.
   */
  #progress(watcher: Watcher, revision: number): void {
    const reached = watcher.queue.at(-1)?.revision ?? watcher.position
    if (revision <= reached) return
    dropTrailingProgress(watcher)
    const batch: WatchBatch = { revision, events: [] }
    watcher.queue.push(batch)
    watcher.queueBytes += batchBytes(batch)
  }
}

function dropTrailingProgress(watcher: Watcher): void {
  const last = watcher.queue.at(-1)
  if (last === undefined || last.events.length > 0) return
  watcher.queue.pop()
  watcher.queueBytes -= batchBytes(last)
}

function filterBatch(batch: WatchBatch, prefix: string): WatchBatch {
  if (batch.events.every(event => event.key.startsWith(prefix))) return batch
  return {
    revision: batch.revision,
    events: batch.events.filter(event => event.key.startsWith(prefix)),
  }
}

function batchBytes(batch: WatchBatch): number {
  let bytes = BATCH_OVERHEAD_BYTES
  for (const event of batch.events) {
    bytes += event.key.length + (event.value?.length ?? 0) + (event.previous?.length ?? 0)
  }
  return bytes
}
