// Create, update and remove as every engine has to serve them. Called by storage-suite.ts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Storage } from '../storage.ts'
import { encodeObject, parseObject } from '../stored-object.ts'
import { testBytes, testKey, testPrefix } from './objects.ts'
import { coded, create, take } from './storage-steps.ts'

/** Registers the tests of writes. */
export function writeTests(open: () => Promise<Storage>): void {
  test('create() answers with the object that a get then shows, and only once', async () => {
    const storage = await open()
    const spec = { name: 'a', labels: { app: 'web' } }
    const created = await storage.create(testKey(spec), testBytes(spec))
    assert.equal(parseObject(created).metadata.resourceVersion, String(created.revision))
    assert.equal(created.header.name, 'a')
    assert.deepEqual(created.header.labels, { app: 'web' })
    const got = await storage.get(testKey(spec))
    assert.deepEqual(got?.bytes, created.bytes)
    await assert.rejects(storage.create(testKey(spec), testBytes(spec)), coded('exists'))
  })

  test('update() that changes nothing keeps the revision and wakes nobody', async () => {
    const storage = await open()
    const created = await create(storage, { name: 'a', value: '1' })
    const watcher = await storage.watch({
      prefix: testPrefix(),
      start: { type: 'after', revision: created.revision },
    })
    const same = await storage.update(created.key, () => testBytes({ name: 'a', value: '1' }))
    assert.equal(same.type, 'unchanged')
    assert.equal(same.stored.revision, created.revision)
    const changed = await storage.update(created.key, () => testBytes({ name: 'a', value: '2' }))
    assert.equal(changed.type, 'updated')
    assert.deepEqual(await take(watcher, 1), [
      `MODIFIED ${created.key} ${changed.stored.revision} ${changed.stored.bytes}`,
    ])
  })

  test('update() retries lost races so that concurrent writers lose nothing', async () => {
    const storage = await open()
    const { key } = await create(storage, { name: 'counter', value: '0' })
    const increment = () =>
      storage.update(key, current => {
        assert.ok(current)
        const data = current.object.data as { value: string }
        data.value = String(Number(data.value) + 1)
        return encodeObject(current.object)
      })
    await Promise.all(Array.from({ length: 10 }, increment))
    const stored = await storage.get(key)
    assert.ok(stored)
    assert.deepEqual(parseObject(stored).data, { value: '10' })
  })

  test('update() without retry answers conflict to the loser', async () => {
    const storage = await open()
    const { key } = await create(storage, { name: 'a', value: '0' })
    let winners = 0
    const lose = async () => {
      const value = `winner ${++winners}`
      await storage.update(key, () => testBytes({ name: 'a', value }))
      return testBytes({ name: 'a', value: 'loser' })
    }
    await assert.rejects(storage.update(key, lose, { retry: false }), coded('conflict'))
    // One race, or two where the cache was not sure of the first state.
    assert.ok(winners <= 2)
  })

  test('update() creates when there is nothing, deletes when told to, throws what its callback throws', async () => {
    const storage = await open()
    const key = testKey({ name: 'a' })
    await assert.rejects(
      storage.update(key, () => 'unchanged'),
      coded('notFound'),
    )
    const made = await storage.update(key, current => {
      assert.equal(current, undefined)
      return testBytes({ name: 'a' })
    })
    assert.equal(made.type, 'created')
    await assert.rejects(
      storage.update(key, () => {
        throw new RangeError('refused')
      }),
      RangeError,
    )
    const gone = await storage.update(key, () => 'delete')
    assert.equal(gone.type, 'deleted')
    assert.equal(parseObject(gone.stored).metadata.resourceVersion, String(gone.stored.revision))
    assert.ok(gone.stored.revision > made.stored.revision)
    assert.equal(await storage.get(key), undefined)
  })

  test('remove() deletes the state its check agreed to, and no other', async () => {
    const storage = await open()
    const first = await create(storage, { name: 'a', value: '1' })
    const { stored } = await storage.update(first.key, () => testBytes({ name: 'a', value: '2' }))
    await assert.rejects(
      storage.remove(first.key, undefined, { ifRevision: first.revision }),
      coded('conflict'),
    )
    await storage.get(first.key)
    const seen: number[] = []
    const removed = await storage.remove(first.key, async current => {
      if (seen.length === 0) {
        await storage.update(first.key, () => testBytes({ name: 'a', value: '3' }))
      }
      seen.push(current.revision)
    })
    assert.equal(seen[0], stored.revision)
    assert.equal(seen.length, 2)
    assert.deepEqual(parseObject(removed).data, { value: '3' })
    await assert.rejects(storage.remove(first.key), coded('notFound'))
  })
}
