// The shape of every controller: a queue of keys fed by the cache, worked off one at a time, retried with back-off.
// Used by the other controllers; calls cacher.watch. Ref: client-go/util/workqueue

import type { CacheEvent, Cacher, StoredObject, WatchItem } from '@podless/storage'
import type { Log } from '../log.ts'

export interface LoopOptions {
  readonly name: string
  readonly cacher: Cacher
  /** Key prefixes whose changes concern this loop. */
  readonly prefixes: readonly string[]
  /** The queue keys a change touches; default: the object's own key. */
  readonly keysOf?: (event: CacheEvent) => readonly string[]
  /** True for a loop whose keysOf has to hear of deletions also when the cache lost its place and saw none. */
  readonly tracksDeletions?: boolean
  /** Brings the world in line with what is stored under `key`. Throwing tries again later. */
  readonly reconcile: (key: string) => Promise<void>
  readonly log: Log
}

export interface Loop {
  /** Queues a key as if it had changed. */
  enqueue(key: string, delayMs?: number): void
  /** Looks at everything anew, as something besides the objects has changed. */
  resync(): void
  /** Resolves when the queue is empty; for start-up and tests. */
  idle(): Promise<void>
  close(): Promise<void>
}

const RETRY_MS_MIN = 5
const RETRY_MS_MAX = 60_000

/** Starts a loop: first everything that exists, then every change. */
export function startLoop(options: LoopOptions): Loop {
  return new KeyedLoop(options)
}

class KeyedLoop implements Loop {
  readonly #options: LoopOptions
  readonly #queue = new Set<string>()
  readonly #attempts = new Map<string, number>()
  readonly #known = new Map<string, StoredObject>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined

  constructor(options: LoopOptions) {
    this.#options = options
    for (const prefix of options.prefixes) this.#watch(prefix)
  }

  enqueue(key: string, delayMs = 0): void {
    if (this.#stop.signal.aborted) return
    clearTimeout(this.#timers.get(key))
    this.#timers.delete(key)
    if (delayMs > 0) {
      const timer = setTimeout(() => this.enqueue(key), delayMs)
      timer.unref()
      this.#timers.set(key, timer)
      return
    }
    this.#queue.add(key)
    this.#running ??= this.#work()
  }

  resync(): void {
    const { cacher, prefixes } = this.#options
    for (const prefix of prefixes) {
      for (const object of cacher.list(prefix)) {
        this.#take([{ type: 'ADDED', object, previous: undefined, revision: object.revision }])
      }
    }
  }

  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async close(): Promise<void> {
    this.#stop.abort()
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#queue.clear()
    await this.#running
  }

  #watch(prefix: string): void {
    this.#options.cacher.watch({
      prefix,
      initialEvents: 'unmarked',
      signal: this.#stop.signal,
      sink: {
        onEvents: items => this.#take(items),
        onEnd: reason => {
          if (reason === 'aborted' || reason === 'failed') return
          // The cache was loaded anew: begin again from its state.
          this.#forgetLost(prefix)
          this.#watch(prefix)
        },
      },
    })
  }

  #take(items: readonly WatchItem[]): void {
    for (const item of items) {
      if (item.type === 'INITIAL_EVENTS_END') continue
      if (this.#options.tracksDeletions === true) this.#track(item)
      for (const key of this.#keysOf(item)) this.enqueue(key)
    }
  }

  /** An object that cannot be read must not end the loop for all others. */
  #keysOf(event: CacheEvent): readonly string[] {
    const { keysOf, log, name } = this.#options
    const { key } = event.object
    try {
      return keysOf?.(event) ?? [key]
    } catch (error) {
      log.error(`${name}: a change was passed over`, error, { key })
      return []
    }
  }

  #track({ type, object }: CacheEvent): void {
    if (type === 'DELETED') this.#known.delete(object.key)
    else this.#known.set(object.key, object)
  }

  #forgetLost(prefix: string): void {
    const { cacher } = this.#options
    for (const object of this.#known.values()) {
      const isThere = cacher.get(object.key)?.header.uid === object.header.uid
      if (isThere || !object.key.startsWith(prefix)) continue
      this.#take([{ type: 'DELETED', object, previous: object, revision: cacher.revision }])
    }
  }

  async #work(): Promise<void> {
    await Promise.resolve()
    for (const key of this.#queue) {
      this.#queue.delete(key)
      await this.#once(key)
    }
    this.#running = undefined
  }

  async #once(key: string): Promise<void> {
    try {
      await this.#options.reconcile(key)
      this.#attempts.delete(key)
    } catch (error) {
      if (this.#stop.signal.aborted) return
      const attempt = (this.#attempts.get(key) ?? 0) + 1
      this.#attempts.set(key, attempt)
      if (attempt > 3)
        this.#options.log.error(`${this.#options.name}: will try again`, error, { key, attempt })
      this.enqueue(key, Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** attempt))
    }
  }
}
