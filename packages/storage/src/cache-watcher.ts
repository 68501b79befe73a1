// One watch of the cache: what it has been sent, what waits for it, and why it ended. Made by cacher.ts, read by
// api/src/verbs/watch.ts and controllers; history.ts makes its events.

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
