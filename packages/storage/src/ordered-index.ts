// Objects in key order with snapshots that cost nothing to take: a sorted array cut into chunks, copied on the first write
// after a snapshot. Called by cacher.ts, one index per resource; calls key-order.ts for keys outside the common range.

import { compareKeys } from './key-order.ts'

export interface Keyed {
  readonly key: string
}

interface Chunk<T> {
  readonly items: T[]
  /** Writable while it equals the index's epoch; older chunks are shared with a snapshot. */
  readonly epoch: number
}

type Compare = (a: string, b: string) => number

const CHUNK_MAX = 128
/** Neighbours that fit together are merged once one of them is this small. */
const CHUNK_SMALL = 32

/** JavaScript's own order of strings: the byte order of UTF-8 as long as no surrogate is involved. */
const compareUnits: Compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0)
const SURROGATE = /[\ud800-\udfff]/

/** A state of an index that no write disturbs. */
export class IndexSnapshot<T extends Keyed> {
  readonly #chunks: readonly Chunk<T>[]
  readonly #compare: Compare

  constructor(chunks: readonly Chunk<T>[], compare: Compare) {
    this.#chunks = chunks
    this.#compare = compare
  }

  get(key: string): T | undefined {
    return find(this.#chunks, key, this.#compare)
  }

  /** Items whose key starts with `prefix`, in key order, those after `after` when given. */
  *items(prefix: string, after?: string): Generator<T, void, void> {
    let [c, i] = this.#start(prefix, after)
    for (; c < this.#chunks.length; c++, i = 0) {
      const items = this.#chunks[c]?.items ?? []
      for (; i < items.length; i++) {
        const item = items[i]
        if (item === undefined || !item.key.startsWith(prefix)) return
        yield item
      }
    }
  }

  /** How many items `items()` would give. */
  count(prefix: string, after?: string): number {
    const [fromChunk, fromItem] = this.#start(prefix, after)
    const [toChunk, toItem] = lowerBound(this.#chunks, prefixEnd(prefix), this.#compare)
    // `after` may be past the prefix.
    if (fromChunk > toChunk) return 0
    let count = toItem - fromItem
    for (let c = fromChunk; c < toChunk; c++) count += this.#chunks[c]?.items.length ?? 0
    return Math.max(count, 0)
  }

  /** This index's order of keys. */
  isBefore(a: string, b: string): boolean {
    return this.#compare(a, b) < 0
  }

  /** Those of `items` that items(prefix, after) could give, in key order. */
  sorted(
    items: Iterable<T | undefined>,
    prefix: string,
    after: string | undefined,
  ): ArrayIterator<T> {
    const inRange: T[] = []
    for (const item of items) {
      if (item === undefined || !item.key.startsWith(prefix)) continue
      if (after === undefined || this.isBefore(after, item.key)) inRange.push(item)
    }
    return inRange.sort((a, b) => this.#compare(a.key, b.key)).values()
  }

  #start(prefix: string, after: string | undefined): [number, number] {
    // A client's key may have a surrogate where no key of the index has; then the index is in byte order too.
    const compare = after !== undefined && SURROGATE.test(after) ? compareKeys : this.#compare
    if (after === undefined || compare(after, prefix) < 0) {
      return lowerBound(this.#chunks, prefix, compare)
    }
    // The next key after any key is that key and a NUL.
    return lowerBound(this.#chunks, `${after}\0`, compare)
  }
}

export class OrderedIndex<T extends Keyed> {
  #chunks: Chunk<T>[] = []
  #compare: Compare = compareUnits
  #epoch = 0
  /** #chunks itself is writable while this equals #epoch. */
  #listEpoch = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  get(key: string): T | undefined {
    return find(this.#chunks, key, this.#compare)
  }

  /** O(1). */
  snapshot(): IndexSnapshot<T> {
    this.#epoch++
    return new IndexSnapshot(this.#chunks, this.#compare)
  }

  /** Adds or replaces; returns what it replaced. Appending in key order fills chunks completely. */
  set(item: T): T | undefined {
    const [c, i] = lowerBound(this.#chunks, item.key, this.#compare)
    const existing = this.#chunks[c]?.items[i]
    if (existing?.key === item.key) {
      this.#writable(c).items[i] = item
      return existing
    }
    if (this.#compare === compareUnits && SURROGATE.test(item.key)) {
      // Nothing here has a surrogate yet, so both orders agree so far.
      this.#compare = compareKeys
      return this.set(item)
    }
    this.#insert(c, i, item)
    this.#size++
    return undefined
  }

  /** Removes and returns it. */
  delete(key: string): T | undefined {
    const [c, i] = lowerBound(this.#chunks, key, this.#compare)
    const existing = this.#chunks[c]?.items[i]
    if (existing?.key !== key) return undefined
    const chunk = this.#writable(c)
    chunk.items.splice(i, 1)
    this.#size--
    if (chunk.items.length <= CHUNK_SMALL) this.#merge(c)
    return existing
  }

  #insert(c: number, i: number, item: T): void {
    const last = this.#chunks.length - 1
    // Past the end of everything: the last chunk takes it, or a new one is begun.
    if (c > last) {
      const tail = this.#chunks[last]
      if (tail === undefined || tail.items.length >= CHUNK_MAX) {
        this.#list().push({ items: [item], epoch: this.#epoch })
      } else this.#writable(last).items.push(item)
      return
    }
    const chunk = this.#writable(c)
    chunk.items.splice(i, 0, item)
    if (chunk.items.length <= CHUNK_MAX) return
    const upper = chunk.items.splice(chunk.items.length >> 1)
    this.#list().splice(c + 1, 0, { items: upper, epoch: this.#epoch })
  }

  #merge(c: number): void {
    const size = this.#chunks[c]?.items.length ?? 0
    if (size === 0) {
      this.#list().splice(c, 1)
      return
    }
    const left = c > 0 ? c - 1 : c
    const lower = this.#chunks[left]?.items
    const upper = this.#chunks[left + 1]?.items
    if (lower === undefined || upper === undefined) return
    if (lower.length + upper.length > CHUNK_MAX - CHUNK_SMALL) return
    const merged = { items: [...lower, ...upper], epoch: this.#epoch }
    this.#list().splice(left, 2, merged)
  }

  #list(): Chunk<T>[] {
    if (this.#listEpoch !== this.#epoch) {
      this.#chunks = this.#chunks.slice()
      this.#listEpoch = this.#epoch
    }
    return this.#chunks
  }

  #writable(c: number): Chunk<T> {
    const chunk = this.#chunks[c]
    if (chunk === undefined) throw new RangeError(`no chunk ${c}`)
    if (chunk.epoch === this.#epoch) return chunk
    const copy = { items: chunk.items.slice(), epoch: this.#epoch }
    this.#list()[c] = copy
    return copy
  }
}

function find<T extends Keyed>(
  chunks: readonly Chunk<T>[],
  key: string,
  compare: Compare,
): T | undefined {
  const [c, i] = lowerBound(chunks, key, compare)
  const item = chunks[c]?.items[i]
  return item?.key === key ? item : undefined
}

/** The place of the first item whose key is not before `key`: [chunk, item], or [chunks.length, 0] past the end. */
function lowerBound<T extends Keyed>(
  chunks: readonly Chunk<T>[],
  key: string,
  compare: Compare,
): [number, number] {
  const c = bisect(chunks.length, at => compare(lastKey(chunks[at]), key) < 0)
  const items = chunks[c]?.items
  if (items === undefined) return [chunks.length, 0]
  return [c, bisect(items.length, at => compare(items[at]?.key ?? '', key) < 0)]
}

/** The first of 0..length for which `isBefore` is false. */
function bisect(length: number, isBefore: (at: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(middle)) low = middle + 1
    else high = middle
  }
  return low
}

function lastKey<T extends Keyed>(chunk: Chunk<T> | undefined): string {
  return chunk?.items.at(-1)?.key ?? ''
}

/** The first string after everything that starts with `prefix`, which ends in a slash or an ASCII letter. */
function prefixEnd(prefix: string): string {
  const last = prefix.length - 1
  return prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1)
}
