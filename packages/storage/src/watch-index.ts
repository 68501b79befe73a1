// Which watchers an event concerns, told without asking the others: watchers by the prefix they named, and an event asks
// once for each place where its key could be cut. Called by cacher.ts.

import type { QueueWatcher } from './cache-watcher.ts'
import type { LoggedEvent } from './history.ts'

export class WatchIndex {
  readonly #root: string
  readonly #byPrefix = new Map<string, Set<QueueWatcher>>()
  #touched: QueueWatcher[] = []

  /** `root` has a trailing slash and begins every key. */
  constructor(root: string) {
    this.#root = root
  }

  add(prefix: string, watcher: QueueWatcher): void {
    const watchers = this.#byPrefix.get(prefix)
    if (watchers === undefined) this.#byPrefix.set(prefix, new Set([watcher]))
    else watchers.add(watcher)
  }

  delete(prefix: string, watcher: QueueWatcher): void {
    const watchers = this.#byPrefix.get(prefix)
    if (watchers?.delete(watcher) && watchers.size === 0) this.#byPrefix.delete(prefix)
  }

  /** All of them, as an array that ending one does not disturb. */
  all(): QueueWatcher[] {
    return [...this.#byPrefix.values()].flatMap(watchers => [...watchers])
  }

  /** Offers a change to each watcher of a prefix of its key, and of the key itself. Nothing is handed out yet. */
  offer(event: LoggedEvent): void {
    if (this.#byPrefix.size === 0) return
    const { key } = event
    this.#offerTo(key, event)
    for (let at = this.#root.length - 1; at >= 0; at = key.indexOf('/', at + 1)) {
      this.#offerTo(key.slice(0, at + 1), event)
    }
  }

  /** Hands out what was offered since the last flush. */
  flush(): void {
    if (this.#touched.length === 0) return
    const touched = this.#touched
    this.#touched = []
    for (const watcher of touched) {
      watcher.touched = false
      watcher.flush()
    }
  }

  #offerTo(prefix: string, event: LoggedEvent): void {
    const watchers = this.#byPrefix.get(prefix)
    if (watchers === undefined) return
    for (const watcher of watchers) {
      if (!watcher.offer(event) || watcher.touched) continue
      watcher.touched = true
      this.#touched.push(watcher)
    }
  }
}
