// What the suite's tests share: how a store is opened for them, and small readers of its answers.
// Called by suite.ts and its parts.

import assert from 'node:assert/strict'
import type { Backend, Page, WatchBatch } from '../backend.ts'
import { StorageError, type StorageErrorCode } from '../errors.ts'

/**
 * A store for one test. It may hold other keys and be at any revision, but nobody else writes to it
 * meanwhile.
 */
export interface SuiteStore {
  readonly backend: Backend
  /**
   * Makes the engine's clock show that `seconds` have passed, where that can be had without
   * waiting.
   */
  readonly advance?: (seconds: number) => void
}

export type OpenSuiteStore = () => Promise<SuiteStore>

/** Everything a test needs, with a prefix of its own. */
export interface Scene extends SuiteStore {
  /** With trailing slash; no other test's keys are under it. */
  readonly root: string
  /** The store's revision when the test began. */
  readonly base: number
}

export async function failsWith(
  code: StorageErrorCode,
  promise: Promise<unknown>,
): Promise<StorageError> {
  try {
    await promise
  } catch (error) {
    assert(error instanceof StorageError, `expected a StorageError, got ${String(error)}`)
    assert.equal(error.code, code, error.message)
    return error
  }
  return assert.fail(`expected ${code}, but it went well`)
}

export const bytes = (text: string): Uint8Array => Buffer.from(text)
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString()

export function keysOf(page: Page): string[] {
  return page.entries.map(entry => entry.key)
}

/** Creates `key`; the value defaults to the key itself. */
export function create({ backend }: SuiteStore, key: string, value = key): Promise<number> {
  return backend.put(key, bytes(value), { ifRevision: 0 })
}

/** An event as one line: `5 put /a new<old@4`. */
export function lines(batches: readonly WatchBatch[]): string[] {
  return batches.flatMap(batch =>
    batch.events.map(event => {
      const value = event.value === undefined ? '' : ` ${text(event.value)}`
      const before = event.previous && `<${text(event.previous)}@${event.previousRevision}`
      return `${batch.revision} ${event.type} ${event.key}${value}${before ?? ''}`
    }),
  )
}

/**
 * Watches until the store's changes up to `until` are delivered, and checks what every watch
 * promises on the way.
 */
export async function watchUntil(
  backend: Backend,
  prefix: string,
  { after, until }: { after: number; until: number },
): Promise<WatchBatch[]> {
  const stop = new AbortController()
  const batches: WatchBatch[] = []
  let last = after
  if (until <= after) return batches
  for await (const batch of backend.watch(prefix, { after, signal: stop.signal })) {
    checkOrder(batch, prefix, last)
    last = batch.revision
    if (batch.events.length > 0) batches.push(batch)
    if (batch.revision >= until) stop.abort()
  }
  assert(last >= until, `the watch ended at ${last}, before ${until}`)
  return batches
}

/** Ordered, unique, filtered. */
export function checkOrder(batch: WatchBatch, prefix: string, last: number): void {
  assert(batch.revision > last, `batch ${batch.revision} came after ${last}`)
  const keys = new Set<string>()
  for (const event of batch.events) {
    assert(event.key.startsWith(prefix), `${event.key} is not under ${prefix}`)
    assert(!keys.has(event.key), `${event.key} is twice in revision ${batch.revision}`)
    keys.add(event.key)
  }
}
