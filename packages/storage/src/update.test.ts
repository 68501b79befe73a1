// Reads and read-modify-write over a cache that is behind: another writer's changes are in the engine and not yet shown.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openCacher } from './cacher.ts'
import type { StorageError } from './errors.ts'
import { createStorage } from './storage.ts'
import { parseObject, type StoredObject } from './stored-object.ts'
import { laggingBackend } from './testing/lagging.ts'
import { openMemory } from './testing/memory.ts'
import { testBytes, testKey, testPrefix } from './testing/objects.ts'

const key = testKey({ name: 'a' })
const bytes = (value: string) => testBytes({ name: 'a', value })
const dataOf = (stored: StoredObject | undefined) =>
  stored && (parseObject(stored).data as { value: string }).value

/** A storage whose cache shows value 1 while the engine has value 2 at `newest`. */
async function behind(options: { freshTimeoutMs?: number } = {}) {
  const { backend, hold, release } = laggingBackend(openMemory())
  const cacher = await openCacher(backend, { now: () => 0, onFatal: assert.ifError })
  const storage = createStorage(backend, cacher, options)
  const { revision } = await storage.create(key, bytes('1'))
  await cacher.waitFresh(revision)
  hold()
  const newest = await backend.put(key, bytes('2'), { ifRevision: revision })
  assert.equal(dataOf(cacher.get(key)), '1')
  return { storage, backend, newest, release, old: revision }
}

/** Runs an update that notes each value it was asked about. */
function noting(seen: (string | undefined)[], answer: () => Uint8Array | 'unchanged') {
  return (current: { stored: StoredObject } | undefined) => {
    seen.push(dataOf(current?.stored))
    return answer()
  }
}

test('a refusal of a stale state is asked again of the newest', async () => {
  const { storage, newest } = await behind()
  const seen: (string | undefined)[] = []
  const result = await storage.update(
    key,
    noting(seen, () => {
      if (seen.length === 1) throw new RangeError('refused')
      return bytes('3')
    }),
  )
  assert.deepEqual(seen, ['1', '2'])
  assert.equal(result.previous?.revision, newest)
  assert.equal(dataOf(result.stored), '3')
  await storage.close()
})

test('a refusal of the newest state is thrown without a second question', async () => {
  const { storage, release } = await behind()
  release()
  await storage.get(key)
  const seen: (string | undefined)[] = []
  const refusing = noting(seen, () => {
    throw new RangeError('refused')
  })
  await assert.rejects(storage.update(key, refusing), RangeError)
  assert.deepEqual(seen, ['2'])
  await storage.close()
})

test('no change of a stale state is asked again of the newest', async () => {
  const { storage, newest } = await behind()
  const seen: (string | undefined)[] = []
  const result = await storage.update(
    key,
    noting(seen, () => (seen.length === 1 ? bytes('1') : 'unchanged')),
  )
  assert.deepEqual(seen, ['1', '2'])
  assert.equal(result.type, 'unchanged')
  assert.equal(result.stored.revision, newest)
  await storage.close()
})

test('without retry, a write over a stale cache is no lost race', async () => {
  const { storage } = await behind()
  const seen: (string | undefined)[] = []
  const change = noting(seen, () => bytes('3'))
  assert.equal((await storage.update(key, change, { retry: false })).type, 'updated')
  assert.deepEqual(seen, ['1', '2'])
  await storage.close()
})

test('remove() over a stale cache checks and deletes the newest state', async () => {
  const { storage, newest, old, backend } = await behind()
  await assert.rejects(
    storage.remove(key, undefined, { ifRevision: old }),
    (error: StorageError) => error.code === 'conflict' && error.revision === newest,
  )
  const seen: number[] = []
  const removed = await storage.remove(key, stored => {
    seen.push(stored.revision)
  })
  assert.deepEqual(seen, [old, newest])
  assert.equal(dataOf(removed), '2')
  assert.equal((await backend.get(key)).entry, undefined)
  await assert.rejects(storage.remove(key), { code: 'notFound' })
  await storage.close()
})

test('what the cache still shows and the engine no longer has can be created anew', async () => {
  const { storage, backend, newest } = await behind()
  await backend.delete(key, { ifRevision: newest })
  const seen: (string | undefined)[] = []
  const result = await storage.update(
    key,
    noting(seen, () => bytes('3')),
  )
  assert.deepEqual(seen, ['1', undefined])
  assert.equal(result.type, 'created')
  await storage.close()
})

test('reads without a revision wait for the cache, reads of anything do not', async () => {
  const { storage, newest, release } = await behind()
  const get = storage.get(key)
  const list = storage.list({ prefix: testPrefix() })
  const later = storage.get(key, { type: 'notOlderThan', revision: newest })
  assert.equal(dataOf(await storage.get(key, { type: 'any' })), '1')
  release()
  assert.equal(dataOf(await get), '2')
  assert.equal(dataOf(await later), '2')
  assert.deepEqual((await list).items.map(dataOf), ['2'])
  await storage.close()
})

test('a cache that does not get there in time is passed over, or the read refused', async () => {
  const { storage, newest } = await behind({ freshTimeoutMs: 1 })
  assert.equal(dataOf(await storage.get(key)), '2')
  const list = await storage.list({ prefix: testPrefix() })
  assert.deepEqual(list.items.map(dataOf), ['2'])
  assert.equal(list.revision, newest)
  await assert.rejects(storage.get(key, { type: 'notOlderThan', revision: newest }), {
    code: 'futureRevision',
  })
  const initial = { type: 'initial', consistency: { type: 'latest' }, marker: true } as const
  await assert.rejects(storage.watch({ prefix: testPrefix(), start: initial }), {
    code: 'futureRevision',
  })
  await storage.close()
})

test('pages read from the engine fill up under a predicate and count without one', async () => {
  const { backend, hold } = laggingBackend(openMemory())
  const cacher = await openCacher(backend, { now: () => 0, onFatal: assert.ifError })
  const storage = createStorage(backend, cacher, { freshTimeoutMs: 1 })
  hold()
  for (let i = 0; i < 700; i++) {
    const labels = { odd: String(i % 2), rare: String(i === 650) }
    const spec = { name: `n${String(i).padStart(3, '0')}`, labels }
    await backend.put(testKey(spec), testBytes(spec), { ifRevision: 0 })
  }
  const prefix = testPrefix()
  const page = await storage.list({ prefix, limit: 10 })
  assert.deepEqual([page.items.length, page.remainingItemCount], [10, 690])
  const odd = (object: StoredObject) => object.header.labels.odd === '1'
  const odds = await storage.list({ prefix, limit: 300, predicate: odd })
  assert.deepEqual([odds.items.length, odds.items.at(-1)?.header.name], [300, 'n599'])
  assert.ok(odds.continue)
  const rare = (object: StoredObject) => object.header.labels.rare === 'true'
  const found = await storage.list({ prefix, limit: 5, predicate: rare })
  assert.deepEqual([found.items.length, found.continue], [1, undefined])
  await storage.close()
})
