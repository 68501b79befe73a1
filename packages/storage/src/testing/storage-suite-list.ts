// Lists, pages and freshness as every engine has to serve them. Called by storage-suite.ts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContinueError, ContinueExpiredError } from '../continue.ts'
import type { Storage } from '../storage.ts'
import { parseObject } from '../stored-object.ts'
import { testBytes, testKey, testPrefix } from './objects.ts'
import { coded, create, names, openStorage, web } from './storage-steps.ts'

/** Registers the tests of reads. */
export function listTests(open: () => Promise<Storage>): void {
  test('pages are one snapshot that later writes do not disturb', async () => {
    const storage = await open()
    for (const name of ['a', 'b', 'c', 'd', 'e']) await create(storage, { name })
    const prefix = testPrefix()
    const first = await storage.list({ prefix, limit: 2 })
    assert.equal(first.remainingItemCount, 3)
    await storage.remove(testKey({ name: 'c' }))
    await create(storage, { name: 'bb' })
    await storage.update(testKey({ name: 'd' }), () => testBytes({ name: 'd', value: 'new' }))
    const second = await storage.list({ prefix, limit: 2, continue: first.continue ?? '' })
    assert.equal(second.remainingItemCount, 1)
    const third = await storage.list({ prefix, limit: 2, continue: second.continue ?? '' })
    assert.equal(third.continue, undefined)
    assert.equal(third.remainingItemCount, undefined)
    const pages = [first, second, third]
    assert.deepEqual(
      pages.flatMap(page => page.items.map(item => item.header.name)),
      ['a', 'b', 'c', 'd', 'e'],
    )
    assert.deepEqual(new Set(pages.map(page => page.revision)), new Set([first.revision]))
    const exact = await storage.list({
      prefix,
      consistency: { type: 'exact', revision: first.revision },
    })
    assert.deepEqual(
      exact.items.map(item => item.revision),
      pages.flatMap(page => page.items.map(item => item.revision)),
    )
  })

  test('a page with a selector is filled by scanning on, and counts nothing', async () => {
    const storage = await open()
    for (let i = 0; i < 20; i++) {
      const labels = { app: i % 4 === 0 ? 'web' : 'db' }
      await create(storage, { name: `n${String(i).padStart(2, '0')}`, labels })
    }
    const first = await storage.list({ prefix: testPrefix(), limit: 3, predicate: web })
    assert.deepEqual(names(first.items), ['n00', 'n04', 'n08'])
    assert.equal(first.remainingItemCount, undefined)
    const rest = await storage.list({
      prefix: testPrefix(),
      limit: 3,
      predicate: web,
      continue: first.continue ?? '',
    })
    assert.deepEqual(names(rest.items), ['n12', 'n16'])
  })

  test('an exact list older than the history is read from the engine', async () => {
    const storage = await open()
    await create(storage, { name: 'a', value: 'old' })
    const { revision } = await create(storage, { name: 'b' })
    await storage.update(testKey({ name: 'a' }), () => testBytes({ name: 'a', value: 'new' }))
    await create(storage, { name: 'c' })
    const reader = await openStorage(storage.backend, { replayRevisions: 0 })
    const request = { prefix: testPrefix(), limit: 1 }
    const consistency = { type: 'exact', revision } as const
    const first = await reader.list({ ...request, consistency })
    const second = await reader.list({ ...request, continue: first.continue ?? '' })
    assert.deepEqual(names([...first.items, ...second.items]), ['a', 'b'])
    assert.deepEqual([first.revision, second.revision], [revision, revision])
    assert.ok(first.items[0])
    assert.deepEqual(parseObject(first.items[0]).data, { value: 'old' })
    await storage.backend.compact(revision + 1)
    await assert.rejects(reader.list({ ...request, consistency }), coded('compacted'))
    const expired = await reader
      .list({ ...request, continue: first.continue ?? '' })
      .catch(error => error)
    assert.ok(expired instanceof ContinueExpiredError)
    const goesOn = await reader.list({ prefix: testPrefix(), continue: expired.continue })
    assert.deepEqual(names(goesOn.items), ['b', 'c'])
    await reader.cacher.close()
  })

  test('a token that is none is a ContinueError', async () => {
    const storage = await open()
    for (const token of [
      'not-a-token',
      '!',
      'e30',
      Buffer.from('{"v":"x"}').toString('base64url'),
    ]) {
      await assert.rejects(storage.list({ prefix: testPrefix(), continue: token }), ContinueError)
    }
  })

  test('Fresh: a read without a revision shows every write acknowledged before it', async () => {
    const storage = await open()
    const other = await openStorage(storage.backend)
    for (let i = 0; i < 30; i++) {
      const { key, revision } = await create(storage, { name: `n${i}` })
      const reader = i % 2 === 0 ? storage : other
      const [got, list] = await Promise.all([
        reader.get(key),
        reader.list({ prefix: testPrefix() }),
      ])
      assert.equal(got?.revision, revision)
      assert.equal(list.items.length, i + 1)
      assert.ok(list.revision >= revision)
      const consistency = { type: 'notOlderThan', revision } as const
      assert.equal((await reader.get(key, consistency))?.revision, revision)
    }
    await other.cacher.close()
  })
}
