// The suite's part about compact. Called by suite.ts.

import assert from 'node:assert/strict'
import type { SuiteTests } from './suite.ts'
import { bytes, create, failsWith, keysOf, lines, text, watchUntil } from './suite-store.ts'

export const compactionTests: SuiteTests = {
  'history before the mark throws compacted with the mark, at the mark it is readable':
    async scene => {
      const { backend, root } = scene
      const key = `${root}a`
      const one = await create(scene, key, '1')
      const two = await backend.put(key, bytes('2'), { ifRevision: one })
      const three = await backend.put(key, bytes('3'), { ifRevision: two })
      await backend.compact(two)
      const error = await failsWith('compacted', backend.get(key, { revision: one }))
      assert.equal(error.revision, two)
      await failsWith('compacted', backend.list(root, { revision: one }))
      assert.equal(text((await backend.get(key, { revision: two })).entry?.value), '2')
      assert.deepEqual(keysOf(await backend.list(root, { revision: two })), [key])
      assert.equal(text((await backend.get(key)).entry?.value), '3')
      assert.equal((await backend.get(key)).entry?.revision, three)
    },

  'keys that were not written again survive any compaction': async scene => {
    const { backend, root } = scene
    const kept = await create(scene, `${root}kept`)
    const gone = await create(scene, `${root}gone`)
    const deleted = await backend.delete(`${root}gone`, { ifRevision: gone })
    await backend.compact(deleted)
    assert.deepEqual(keysOf(await backend.list(root)), [`${root}kept`])
    assert.deepEqual(keysOf(await backend.list(root, { revision: deleted })), [`${root}kept`])
    assert.equal((await backend.get(`${root}kept`)).entry?.revision, kept)
    await create(scene, `${root}gone`)
  },

  'a watch that begins before the mark throws compacted, from the mark it is complete':
    async scene => {
      const { backend, root } = scene
      const key = `${root}a`
      const one = await create(scene, key, '1')
      const two = await backend.put(key, bytes('2'), { ifRevision: one })
      const three = await backend.delete(key, { ifRevision: two })
      const four = await create(scene, key, '4')
      await backend.compact(two)
      const tooOld = watchUntil(backend, root, { after: one, until: four })
      assert.equal((await failsWith('compacted', tooOld)).revision, two)
      const fromMark = await watchUntil(backend, root, { after: two, until: four })
      assert.deepEqual(lines(fromMark), [`${three} delete ${key}<2@${two}`, `${four} put ${key} 4`])
      await backend.compact(three)
      const tooOldNow = watchUntil(backend, root, { after: two, until: four })
      assert.equal((await failsWith('compacted', tooOldNow)).revision, three)
    },

  'compact() twice does nothing, and of the future throws futureRevision': async scene => {
    const { backend, root } = scene
    const one = await create(scene, `${root}a`)
    const two = await backend.put(`${root}a`, bytes('2'), { ifRevision: one })
    await backend.compact(two)
    await backend.compact(two)
    await backend.compact(one)
    const error = await failsWith('futureRevision', backend.compact(two + 10))
    assert.equal(error.revision, two)
  },

  'a live watch goes on while history is compacted under it': async scene => {
    const { backend, root, base } = scene
    const stop = new AbortController()
    const watch = backend.watch(root, { after: base, signal: stop.signal })
    const batches = watch[Symbol.asyncIterator]()
    /** The watch has to be past the mark: what it still has to read must not be compacted. */
    const seen = async (revision: number): Promise<void> => {
      for (let reached = 0; reached < revision; ) {
        const { value, done } = await batches.next()
        assert(!done)
        reached = value.revision
        count += value.events.length
      }
    }
    let count = 0
    let last = await create(scene, `${root}a`)
    for (let i = 2; i <= 120; i++) {
      last = await backend.put(`${root}a`, bytes(String(i)), { ifRevision: last })
      if (i % 40 !== 0) continue
      await seen(last)
      await backend.compact(last)
    }
    assert.equal(count, 120)
    stop.abort()
    assert.equal((await batches.next()).done, true)
  },

  'compaction and writes at the same time disturb neither': async scene => {
    const { backend, root } = scene
    const keys = Array.from({ length: 20 }, (_, i) => `${root}${i}`)
    const revisions = await Promise.all(keys.map(key => create(scene, key, '0')))
    for (let round = 1; round <= 20; round++) {
      const mark = await backend.revision()
      const written = keys.map((key, i) =>
        backend.put(key, bytes(String(round)), { ifRevision: revisions[i] ?? 0 }),
      )
      const [, ...fresh] = await Promise.all([backend.compact(mark), ...written])
      revisions.splice(0, fresh.length, ...fresh)
      const past = await backend.list(root, { revision: mark })
      assert.deepEqual(new Set(past.entries.map(e => text(e.value))), new Set([String(round - 1)]))
    }
    const page = await backend.list(root)
    assert.deepEqual(new Set(page.entries.map(entry => text(entry.value))), new Set(['20']))
  },
}
