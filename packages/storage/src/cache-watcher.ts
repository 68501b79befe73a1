// One watch of the cache: what it has been sent, what waits for it, and why it ended. Made by cacher.ts, read by
// api/src/verbs/watch.ts and controllers; history.ts makes its events.

import { type LoggedEvent, project } from './history.ts'
import type { StoredObject } from './stored-object.ts'

export type CacheEventType = 'ADDED' | 'MODIFIED' | 'DELETED'

/** One change as a watcher sees it. Shared by every watcher, never changed. */
export interface CacheEvent {
  readonly type: CacheEventType
  /** DELETED: the last state (that matched), with the resourceVersion of the write that removed it from view. */
  readonly object: StoredObject
  /** The state before, with its own resourceVersion; absent on ADDED without one. */
  readonly previous: StoredObject | undefined
  readonly revision: number
}

/** Ends the initial state: everything up to `revision` has been sent. */
export interface InitialEventsEnd {
  readonly type: 'INITIAL_EVENTS_END'
  readonly revision: number
}

export type WatchItem = CacheEvent | InitialEventsEnd

/** True for objects that a watch or list shows. Pure: it is asked again for older states of the same object. */
export type Predicate = (object: StoredObject) => boolean

/**
 * Why a watch ended. aborted: its signal, or close(). slow: its queue went over queueBytesMax. expired: the cache had
 * to be loaded anew, so changes may be missing. failed: its sink threw, or the cache's feed broke.
 */
export type WatchEnd = 'aborted' | 'slow' | 'expired' | 'failed'

/** Takes events as they happen, in the same tick as the cache learns of them. */
export interface WatchSink {
  /**
   * `items` is only valid during the call. Returning false pauses: what follows waits in the queue until
   * `watcher.resume()`.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a sink that never pauses returns nothing
  onEvents(items: readonly WatchItem[]): false | void
  /** Called once, after the last onEvents. */
  onEnd?(reason: WatchEnd, error: unknown): void
}

export interface CacheWatcher extends AsyncIterable<WatchItem> {
  /** Set once the watch has ended; iteration then ends too, without an error. */
  readonly ended: WatchEnd | undefined
  readonly error: unknown
  /** Bytes of live events that wait for the consumer. */
  readonly queuedBytes: number
  /**
   * A revision safe to bookmark: the consumer has been given everything up to it. Undefined while initial or
   * replayed events are still being given.
   */
  bookmark(): number | undefined
  /** Goes on after a sink's pause. */
  resume(): void
  close(): void
}

export interface QueueWatcherOptions {
  readonly predicate: Predicate | undefined
  /** Changes up to this revision are not for this watcher. */
  readonly after: number
  /** The state or the replay that comes before live events. */
  readonly backlog: Iterator<WatchItem> | undefined
  readonly sink: WatchSink | undefined
  readonly signal: AbortSignal | undefined
  readonly queueBytesMax: number
  /** The cache's revision. */
  readonly revision: () => number
  /** Takes the watcher out of the dispatch. */
  readonly detach: (watcher: QueueWatcher) => void
  /** A sink's onEnd threw. */
  readonly onFatal: (error: unknown) => void
}

/** How much of a backlog goes to a sink in one call. */
const CHUNK_ITEMS = 256
const CHUNK_BYTES = 1024 * 1024
/** What a queued event costs besides its bytes, which are shared. */
const SLOT_BYTES = 64

/** Holds references to shared events only: per watcher and event it allocates nothing but the slot in its queue. */
export class QueueWatcher implements CacheWatcher {
  ended: WatchEnd | undefined
  error: unknown
  queuedBytes = 0
  /** True while cacher.ts has this watcher on its list of those to flush. */
  touched = false
  readonly #options: QueueWatcherOptions
  #backlog: Iterator<WatchItem> | undefined
  #queue: CacheEvent[] = []
  /** Events before this index of #queue are given. */
  #head = 0
  #paused = false
  #pumping = false
  #wake: (() => void) | undefined
  readonly #onAbort = () => this.end('aborted', this.#options.signal?.reason)

  constructor(options: QueueWatcherOptions) {
    this.#options = options
    this.#backlog = options.backlog
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
    // The caller gets to know its watcher before its sink is called.
    queueMicrotask(() => {
      if (options.signal?.aborted) this.#onAbort()
      else this.#pump()
    })
  }

  /** Queues a change that this watcher sees. True when flush() has something to do. */
  offer(event: LoggedEvent): boolean {
    if (this.ended !== undefined || event.revision <= this.#options.after) return false
    const item = project(event, this.#options.predicate)
    if (item === undefined) return false
    this.#queue.push(item)
    this.queuedBytes += item.object.bytes.length + SLOT_BYTES
    return true
  }

  /** Hands out what was offered since; ends the watch when too much is left waiting. */
  flush(): void {
    this.#pump()
    if (this.queuedBytes > this.#options.queueBytesMax) this.end('slow', undefined)
  }

  bookmark(): number | undefined {
    if (this.ended !== undefined || this.#backlog !== undefined) return undefined
    const waiting = this.#queue[this.#head]
    const given = waiting === undefined ? this.#options.revision() : waiting.revision - 1
    return given < this.#options.after ? undefined : given
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#pump()
  }

  close(): void {
    this.end('aborted', undefined)
  }

  /** Ends the watch once, for the first reason given. What still waits is dropped: the client resumes. */
  end(reason: WatchEnd, error: unknown): void {
    if (this.ended !== undefined) return
    this.ended = reason
    this.error = error
    this.#queue = []
    this.#head = 0
    this.#backlog = undefined
    this.queuedBytes = 0
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#options.detach(this)
    this.#wake?.()
    try {
      this.#options.sink?.onEnd?.(reason, error)
    } catch (thrown) {
      this.#options.onFatal(thrown)
    }
  }

  /** One consumer at a time. Leaving the loop closes the watch. */
  async *[Symbol.asyncIterator](): AsyncGenerator<WatchItem, void, void> {
    try {
      for (;;) {
        const item = this.#next()
        if (item !== undefined) yield item
        else if (this.ended !== undefined) return
        else {
          await new Promise<void>(resolve => {
            this.#wake = resolve
          })
        }
      }
    } finally {
      this.close()
    }
  }

  #next(): WatchItem | undefined {
    const early = this.#backlog?.next()
    if (early !== undefined && early.done !== true) return early.value
    this.#backlog = undefined
    const item = this.#queue[this.#head]
    if (item === undefined) return undefined
    this.#head++
    this.queuedBytes -= item.object.bytes.length + SLOT_BYTES
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0
      this.#head = 0
    } else if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  #pump(): void {
    const { sink } = this.#options
    if (sink === undefined) this.#wake?.()
    if (sink === undefined || this.#pumping) return
    this.#pumping = true
    try {
      this.#give(sink)
    } catch (error) {
      this.end('failed', error)
    } finally {
      this.#pumping = false
    }
  }

  /** Gives the sink all there is until it pauses. A sink may resume or close from inside its call. */
  #give(sink: WatchSink): void {
    while (!this.#paused && this.ended === undefined) {
      const items = this.#backlog === undefined ? this.#takeQueue() : this.#takeBacklog()
      if (items.length > 0) {
        this.#paused = true
        if (sink.onEvents(items) !== false) this.#paused = false
      } else if (this.#backlog === undefined) return
    }
  }

  #takeQueue(): readonly CacheEvent[] {
    if (this.#queue.length === 0) return this.#queue
    const items = this.#queue
    this.#queue = []
    this.queuedBytes = 0
    return items
  }

  #takeBacklog(): readonly WatchItem[] {
    const items: WatchItem[] = []
    let bytes = 0
    while (items.length < CHUNK_ITEMS && bytes < CHUNK_BYTES) {
      const next = this.#backlog?.next()
      if (next === undefined || next.done === true) {
        this.#backlog = undefined
        break
      }
      items.push(next.value)
      if ('object' in next.value) bytes += next.value.object.bytes.length
    }
    return items
  }
}
