// An engine whose watch can be held back, so that a cache over it is as stale as a test wants.
// Called by tests of storage.ts and update.ts.

import type { Backend, WatchBatch } from '../backend.ts'

export interface LaggingBackend {
  readonly backend: Backend
  /** From now on watches tell nothing more. */
  hold(): void
  /** Watches tell what they held back and go on. */
  release(): void
}

export function laggingBackend(inner: Backend): LaggingBackend {
  let open = Promise.resolve()
  let release = () => {}
  async function* watch(
    prefix: string,
    options: { after: number; signal: AbortSignal },
  ): AsyncIterable<WatchBatch> {
    options.signal.addEventListener('abort', () => release())
    for await (const batch of inner.watch(prefix, options)) {
      await open
      yield batch
    }
  }
  const backend: Backend = {
    get: (key, options) => inner.get(key, options),
    list: (prefix, options) => inner.list(prefix, options),
    revision: options => inner.revision(options),
    put: (key, value, options) => inner.put(key, value, options),
    delete: (key, options) => inner.delete(key, options),
    compact: revision => inner.compact(revision),
    close: () => inner.close(),
    watch,
  }
  return {
    backend,
    hold() {
      open = new Promise(resolve => {
        release = resolve
      })
    },
    release: () => release(),
  }
}
