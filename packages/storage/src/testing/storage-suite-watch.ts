// The watch guarantees one by one. Called by storage-suite.ts; storage-suite-seeded.ts tests them together.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WatchItem } from '../cache-watcher.ts'
import type { Storage } from '../storage.ts'
import { parseObject, type StoredObject } from '../stored-object.ts'
import { testBytes, testKey, testPrefix, WIDGETS } from './objects.ts'
import { coded, create, openStorage, take, takeItems, ticks, web } from './storage-steps.ts'
import { describeItem } from './watch-model.ts'

/** Registers the tests of watches. */
export function watchTests(open: () => Promise<Storage>): void {
  test('Filter: leaving is DELETED with the last match under the write that made it leave', async () => {
    const storage = await open()
    const start = { type: 'after', revision: storage.cacher.revision } as const
    const watcher = await storage.watch({ prefix: testPrefix(), start, predicate: web })
    const write = (labels: Record<string, string>, value: string) =>
      storage.update(testKey({ name: 'a' }), () => testBytes({ name: 'a', labels, value }))
    await write({ app: 'db' }, '1')
    const enters = await write({ app: 'web' }, '2')
    const leaves = await write({ app: 'db' }, '3')
    const returns = await write({ app: 'web' }, '4')
    const gone = await storage.remove(testKey({ name: 'a' }))
    const items = await takeItems(watcher, 4)
    const shown = items.map(item => 'object' in item && [item.type, item.revision])
    assert.deepEqual(shown, [
      ['ADDED', enters.stored.revision],
      ['DELETED', leaves.stored.revision],
      ['ADDED', returns.stored.revision],
      ['DELETED', gone.revision],
    ])
    const left = items[1]
    assert.ok(left !== undefined && 'object' in left)
    const object = parseObject(left.object)
    assert.deepEqual(object.data, { value: '2' })
    assert.equal(object.metadata.resourceVersion, String(leaves.stored.revision))
  })

  test('initial events are the state, then the marker, then changes; also of an empty prefix', async () => {
    const storage = await open()
    const a = await create(storage, { name: 'a' })
    const b = await create(storage, { name: 'b', labels: { app: 'web' } })
    const initial = { type: 'initial', consistency: { type: 'latest' }, marker: true } as const
    const all = await storage.watch({ prefix: testPrefix(), start: initial })
    const one = await storage.watch({ prefix: b.key, start: initial })
    const none = await storage.watch({ prefix: testPrefix(WIDGETS), start: initial })
    const c = await create(storage, { name: 'c' })
    const added = (stored: StoredObject) => `ADDED ${stored.key} ${stored.revision} ${stored.bytes}`
    // An engine may count revisions that are nobody's.
    const marker = (item: WatchItem | undefined) =>
      item?.type === 'INITIAL_EVENTS_END' &&
      item.revision >= b.revision &&
      item.revision < c.revision
    const shown = (items: readonly WatchItem[]) =>
      items.map(item => (marker(item) ? 'END' : describeItem(item)))
    assert.deepEqual(shown(await takeItems(all, 4)), [added(a), added(b), 'END', added(c)])
    assert.deepEqual(shown(await takeItems(one, 2)), [added(b), 'END'])
    assert.deepEqual(shown(await takeItems(none, 1)), ['END'])
  })

  test('Resumable: a watch resumes across a restart of the cache, and is told when it cannot', async () => {
    const storage = await open()
    const first = await create(storage, { name: 'a' })
    const second = await create(storage, { name: 'b' })
    const restarted = (await openStorage(storage.backend)).cacher
    const watcher = restarted.watch({ prefix: testPrefix(), after: first.revision })
    assert.deepEqual(await take(watcher, 1), [
      `ADDED ${second.key} ${second.revision} ${second.bytes}`,
    ])
    await restarted.close()
    await storage.backend.compact(second.revision)
    const late = (await openStorage(storage.backend)).cacher
    assert.throws(
      () => late.watch({ prefix: testPrefix(), after: first.revision }),
      coded('compacted'),
    )
    await late.close()
  })

  test('Bookmarkable: a bookmark comes with progress elsewhere and never before its events', async () => {
    const storage = await open()
    const watcher = await storage.watch({
      prefix: testPrefix(WIDGETS),
      start: { type: 'after', revision: storage.cacher.revision },
    })
    const elsewhere = await create(storage, { name: 'a' })
    await storage.cacher.waitFresh(elsewhere.revision)
    await ticks()
    assert.ok((watcher.bookmark() ?? 0) >= elsewhere.revision)
    const widget = await create(storage, { name: 'w', resource: WIDGETS })
    await storage.cacher.waitFresh(widget.revision)
    assert.equal(watcher.bookmark(), widget.revision - 1)
    await take(watcher, 1, true)
    assert.ok((watcher.bookmark() ?? 0) >= widget.revision)
    watcher.close()
  })
}
