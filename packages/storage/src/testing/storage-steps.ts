// Steps that storage's tests share: open a storage that fails loudly, write an object, read from a watch.
// Called by the storage suites.

import assert from 'node:assert/strict'
import type { Backend } from '../backend.ts'
import type { CacheWatcher, Predicate, WatchItem } from '../cache-watcher.ts'
import { type CacherOptions, openCacher } from '../cacher.ts'
import type { StorageError } from '../errors.ts'
import { createStorage, type Storage } from '../storage.ts'
import type { StoredObject } from '../stored-object.ts'
import { type ObjectSpec, testBytes, testKey } from './objects.ts'
import { describeItem } from './watch-model.ts'

/** Another storage, with a cache of its own, over the same engine. */
export async function openStorage(
  backend: Backend,
  options: Partial<CacherOptions> = {},
): Promise<Storage> {
  const onFatal = (error: unknown) => assert.fail(`the cache broke: ${error}`)
  const cacher = await openCacher(backend, { now: () => performance.now(), onFatal, ...options })
  return createStorage(backend, cacher)
}

/** For assert.rejects: a StorageError with this code. */
export const coded = (code: string) => (error: StorageError) => error.code === code

/** Objects labelled app=web. */
export const web: Predicate = object => object.header.labels.app === 'web'

export function create(storage: Storage, spec: ObjectSpec): Promise<StoredObject> {
  return storage.create(testKey(spec), testBytes(spec))
}

export function names(items: readonly StoredObject[]): string[] {
  return items.map(item => item.header.name)
}

export async function take(watcher: CacheWatcher, count: number, keep = false): Promise<string[]> {
  return (await takeItems(watcher, count, keep)).map(describeItem)
}

/** The next `count` items; the watch is closed after them unless it is to be kept. */
export async function takeItems(
  watcher: CacheWatcher,
  count: number,
  keep = false,
): Promise<WatchItem[]> {
  const items: WatchItem[] = []
  const iterator = watcher[Symbol.asyncIterator]()
  while (items.length < count) {
    const { value, done } = await iterator.next()
    if (done === true || value === undefined) {
      assert.fail(`the watch ended (${watcher.ended}) after ${items.length} of ${count}`)
    }
    items.push(value)
  }
  if (!keep) await iterator.return?.()
  return items
}

/** Lets what was queued in this turn of the event loop happen. */
export async function ticks(): Promise<void> {
  for (let i = 0; i < 100; i++) await new Promise<void>(resolve => setImmediate(resolve))
}
