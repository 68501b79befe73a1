// The objects under one prefix at one revision, now or earlier, undisturbed by later writes. Made by cacher.ts for
// storage.ts, whose pages are slices of it; calls ordered-index.ts and the differences that history.ts tells.

import type { IndexSnapshot } from './ordered-index.ts'
import type { StoredObject } from './stored-object.ts'

export interface StateView {
  readonly revision: number
  /** In key order, those after the key `after` when given. */
  items(after?: string): Iterable<StoredObject>
  /** How many items(after) gives. */
  count(after?: string): number
}

/** One resource's share of a view: its objects now, and what was different then. */
export interface ViewPart {
  readonly now: IndexSnapshot<StoredObject>
  /** Objects by key as they were (undefined: not there), where they were not as they are now. */
  readonly earlier: ReadonlyMap<string, StoredObject | undefined> | undefined
}

/** `parts` are in key order. */
export function stateView(prefix: string, revision: number, parts: readonly ViewPart[]): StateView {
  return {
    revision,
    *items(after) {
      for (const part of parts) yield* partItems(part, prefix, after)
    },
    count(after) {
      let count = 0
      for (const part of parts) count += partCount(part, prefix, after)
      return count
    },
  }
}

function partItems({ now, earlier }: ViewPart, prefix: string, after: string | undefined) {
  return earlier === undefined || earlier.size === 0
    ? now.items(prefix, after)
    : merged(now, earlier, prefix, after)
}

function* merged(
  now: IndexSnapshot<StoredObject>,
  earlier: ReadonlyMap<string, StoredObject | undefined>,
  prefix: string,
  after: string | undefined,
): Generator<StoredObject, void, void> {
  const gone = now.sorted(earlier.values(), prefix, after)
  let next = gone.next()
  for (const item of now.items(prefix, after)) {
    while (next.done !== true && now.isBefore(next.value.key, item.key)) {
      yield next.value
      next = gone.next()
    }
    if (!earlier.has(item.key)) yield item
  }
  for (; next.done !== true; next = gone.next()) yield next.value
}

function partCount({ now, earlier }: ViewPart, prefix: string, after: string | undefined): number {
  let count = now.count(prefix, after)
  for (const [key, object] of earlier ?? []) {
    if (!key.startsWith(prefix) || (after !== undefined && !now.isBefore(after, key))) continue
    if (object !== undefined) count++
    if (now.get(key) !== undefined) count--
  }
  return count
}
