// The last changes of one resource: what a watch that resumes is replayed, and how the state at an earlier revision is
// told. Called by cacher.ts; makes the events that cache-watcher.ts hands out.
// Ref: apiserver/pkg/storage/cacher/watch_cache_history.go

import type { CacheEvent, CacheEventType, Predicate } from './cache-watcher.ts'
import { type StoredObject, withRevision } from './stored-object.ts'

export interface HistoryLimits {
  /** Changes kept per resource. */
  readonly eventsMax: number
  /** Encoded bytes of objects kept per resource for its history. */
  readonly bytesMax: number
  /** Changes older than this are dropped. */
  readonly windowMs: number
}

/** One change as it was logged. It is itself the event of a watch without a predicate. */
export class LoggedEvent implements CacheEvent {
  readonly key: string
  readonly revision: number
  readonly type: CacheEventType
  readonly previous: StoredObject | undefined
  /** Undefined on a deletion. */
  readonly current: StoredObject | undefined
  /** When the cache learned of it, in milliseconds of its clock. */
  readonly atMs: number
  #removed: StoredObject | undefined
  #left: CacheEvent | undefined
  #entered: CacheEvent | undefined

  /** One of `current` and `previous` is given. */
  constructor(
    revision: number,
    current: StoredObject | undefined,
    previous: StoredObject | undefined,
    atMs: number,
  ) {
    this.key = (current ?? previous)?.key ?? ''
    this.revision = revision
    this.current = current
    this.previous = previous
    this.atMs = atMs
    this.type = current === undefined ? 'DELETED' : previous === undefined ? 'ADDED' : 'MODIFIED'
  }

  get object(): StoredObject {
    return this.current ?? this.removed
  }

  /** The last state under this change's resourceVersion; made once, for every watcher. */
  get removed(): StoredObject {
    if (this.#removed === undefined) {
      if (this.previous === undefined) throw new RangeError(`${this.key} has no earlier state`)
      this.#removed = withRevision(this.previous, this.revision)
    }
    return this.#removed
  }

  /** For a watch whose predicate the object no longer meets. */
  get left(): CacheEvent {
    const { removed: object, previous, revision } = this
    this.#left ??= { type: 'DELETED', object, previous, revision }
    return this.#left
  }

  /** For a watch whose predicate the object meets from now on. */
  get entered(): CacheEvent {
    const { object, previous, revision } = this
    this.#entered ??= { type: 'ADDED', object, previous, revision }
    return this.#entered
  }
}

/** The change as a watch with this predicate sees it; undefined when it sees none. */
export function project(
  event: LoggedEvent,
  predicate: Predicate | undefined,
): CacheEvent | undefined {
  if (predicate === undefined) return event
  const { current, previous } = event
  const matches = current !== undefined && predicate(current)
  const matched = previous !== undefined && predicate(previous)
  if (matches) return matched || previous === undefined ? event : event.entered
  if (!matched) return undefined
  return current === undefined ? event : event.left
}

export class History {
  #events: LoggedEvent[] = []
  /** Events before this index are dropped; the array is cut when half of it is. */
  #head = 0
  #bytes = 0
  #start: number
  readonly #limits: HistoryLimits

  /** `start`: the revision whose state the history begins from. */
  constructor(start: number, limits: HistoryLimits) {
    this.#start = start
    this.#limits = limits
  }

  /** Every change after this revision is here. */
  get start(): number {
    return this.#start
  }

  get size(): number {
    return this.#events.length - this.#head
  }

  append(event: LoggedEvent): void {
    this.#events.push(event)
    this.#bytes += bytesOf(event)
    this.trim(event.atMs)
  }

  /** Drops what is over the limits, whole revisions at a time. */
  trim(nowMs: number): void {
    const { eventsMax, bytesMax, windowMs } = this.#limits
    for (;;) {
      const oldest = this.#events[this.#head]
      if (oldest === undefined) return
      const over = this.size > eventsMax || this.#bytes > bytesMax
      if (!over && oldest.revision > this.#start && nowMs - oldest.atMs <= windowMs) return
      this.#start = oldest.revision
      this.#bytes -= bytesOf(oldest)
      this.#head++
      if (this.#head > 64 && this.#head * 2 > this.#events.length) {
        this.#events = this.#events.slice(this.#head)
        this.#head = 0
      }
    }
  }

  /** The changes after `revision`, oldest first; undefined when some of them are no longer here. */
  since(revision: number): readonly LoggedEvent[] | undefined {
    if (revision < this.#start) return undefined
    return this.#events.slice(this.#firstAfter(revision))
  }

  /**
   * What differs between the state at `revision` and now: each key that changed since, with the object it had then
   * (undefined: none). Undefined when the history does not reach back.
   */
  differences(revision: number): Map<string, StoredObject | undefined> | undefined {
    if (revision < this.#start) return undefined
    const earlier = new Map<string, StoredObject | undefined>()
    for (let i = this.#firstAfter(revision); i < this.#events.length; i++) {
      const event = this.#events[i]
      if (event !== undefined && !earlier.has(event.key)) earlier.set(event.key, event.previous)
    }
    return earlier
  }

  #firstAfter(revision: number): number {
    let low = this.#head
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#events[middle]?.revision ?? 0) <= revision) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** What an event keeps alive: the state it replaced. The one it made belongs to the index or to the next event. */
function bytesOf(event: LoggedEvent): number {
  return (event.previous?.bytes.length ?? 0) + EVENT_OVERHEAD_BYTES
}

const EVENT_OVERHEAD_BYTES = 256
