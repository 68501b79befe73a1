// Reads the whole state of a store into one index per resource. Called by cacher.ts when it opens and when it has missed
// changes; calls backend.ts page by page, so that no answer has to hold everything.

import type { Backend, Entry, Page } from './backend.ts'
import { resourcePrefixOf } from './keys.ts'
import { OrderedIndex } from './ordered-index.ts'
import type { Allocate, StoredObject } from './stored-object.ts'

/** Small, as the pages' garbage leaves holes between what stays. */
const LOAD_PAGE = 250
/** Larger objects have buffers of their own. */
const SLAB_BYTES = 64 * 1024

/**
 * Puts the objects of a load side by side into larger buffers: a buffer of its own costs an object of 1 KiB a third more. A
 * slab lives as long as one of its objects, so what a load took at most stays until all of it is replaced.
 */
function slabs(): Allocate {
  let slab = Buffer.alloc(0)
  let used = 0
  return size => {
    if (size > SLAB_BYTES / 8) return Buffer.allocUnsafeSlow(size)
    if (used + size > slab.length) {
      slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      used = 0
    }
    used += size
    return slab.subarray(used - size, used)
  }
}

export interface LoadOptions {
  /** The revision to read; undefined: the newest. */
  readonly at: number | undefined
  readonly signal: AbortSignal
  /** Undefined leaves the entry out. */
  readonly make: (entry: Entry, allocate: Allocate) => StoredObject | undefined
}

export interface Loaded {
  readonly revision: number
  /** By resource prefix: resourcePrefixOf(). */
  readonly indexes: ReadonlyMap<string, OrderedIndex<StoredObject>>
}

/** One revision of everything under the root. Throws compacted | unavailable. */
export async function loadIndexes(
  backend: Backend,
  root: string,
  { at, signal, make }: LoadOptions,
): Promise<Loaded> {
  const indexes = new Map<string, OrderedIndex<StoredObject>>()
  const allocate = slabs()
  let revision = at
  let after: string | undefined
  for (;;) {
    const page: Page = await backend.list(root, {
      limit: LOAD_PAGE,
      counted: false,
      signal,
      ...(revision === undefined ? {} : { revision }),
      ...(after === undefined ? {} : { after }),
    })
    revision = page.revision
    for (const entry of page.entries) {
      const stored = make(entry, allocate)
      if (stored !== undefined) indexOf(indexes, root, stored.key).set(stored)
    }
    after = page.entries.at(-1)?.key
    if (!page.more || after === undefined) return { revision, indexes }
  }
}

function indexOf(
  indexes: Map<string, OrderedIndex<StoredObject>>,
  root: string,
  key: string,
): OrderedIndex<StoredObject> {
  const prefix = resourcePrefixOf(root, key) ?? key
  const known = indexes.get(prefix)
  if (known !== undefined) return known
  const index = new OrderedIndex<StoredObject>()
  indexes.set(prefix, index)
  return index
}
