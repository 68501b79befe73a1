// Reads the whole state of a store into one index per resource. Called by cacher.ts when it opens and when it has missed
// changes; calls backend.ts page by page, so that no answer has to hold everything.

import type { Backend, Entry, Page } from './backend.ts'
import { resourcePrefixOf } from './keys.ts'
import { OrderedIndex } from './ordered-index.ts'
import type { StoredObject } from './stored-object.ts'

const LOAD_PAGE = 1000

export interface LoadOptions {
  /** The revision to read; undefined: the newest. */
  readonly at: number | undefined
  readonly signal: AbortSignal
  /** Undefined leaves the entry out. */
  readonly make: (entry: Entry) => StoredObject | undefined
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
  let revision = at
  let after: string | undefined
  for (;;) {
    const page: Page = await backend.list(root, {
      limit: LOAD_PAGE,
      signal,
      ...(revision === undefined ? {} : { revision }),
      ...(after === undefined ? {} : { after }),
    })
    revision = page.revision
    for (const entry of page.entries) {
      const stored = make(entry)
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
