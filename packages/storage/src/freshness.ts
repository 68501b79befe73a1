// How far the cache has come, and those who wait for it to come further. Called by cacher.ts.

import { StorageError } from './errors.ts'

/** kube-apiserver's patience with a revision it has not seen. Ref: apiserver/pkg/storage/cacher/watch_cache.go */
const TIMEOUT_MS = 3000

interface Waiter {
  readonly revision: number
  readonly settle: (error?: unknown) => void
}

export class Freshness {
  #revision = 0
  #closed = false
  readonly #waiters = new Set<Waiter>()

  get revision(): number {
    return this.#revision
  }

  advance(revision: number): void {
    this.#revision = revision
    for (const waiter of this.#waiters) if (waiter.revision <= revision) waiter.settle()
  }

  /** Throws futureRevision (with the current revision) after timeoutMs, unavailable once closed, or the signal's reason. */
  async wait(
    revision: number,
    options: { signal?: AbortSignal; timeoutMs?: number } = {},
  ): Promise<void> {
    const { signal, timeoutMs = TIMEOUT_MS } = options
    signal?.throwIfAborted()
    if (this.#closed) throw closed()
    if (revision <= this.#revision) return
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => waiter.settle(signal?.reason)
      const waiter: Waiter = {
        revision,
        settle: error => {
          this.#waiters.delete(waiter)
          clearTimeout(timer)
          signal?.removeEventListener('abort', onAbort)
          if (error === undefined) resolve()
          else reject(error)
        },
      }
      const timer = Number.isFinite(timeoutMs)
        ? setTimeout(() => waiter.settle(this.#tooLarge(revision)), timeoutMs)
        : undefined
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
    })
  }

  /** Everyone who waits, now or later, is told unavailable. */
  close(): void {
    this.#closed = true
    for (const waiter of this.#waiters) waiter.settle(closed())
  }

  #tooLarge(revision: number): StorageError {
    return new StorageError('futureRevision', {
      key: String(revision), // what was asked for; the answer names both
      revision: this.#revision,
      message: `Too large resource version: ${revision}, current: ${this.#revision}`,
    })
  }
}

function closed(): StorageError {
  return new StorageError('unavailable', { message: 'storage: the cache is closed' })
}
