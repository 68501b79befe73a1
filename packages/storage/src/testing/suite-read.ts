// The suite's part about get and list. Called by suite.ts.

import assert from 'node:assert/strict'
import type { SuiteTests } from './suite.ts'
import { bytes, create, failsWith, keysOf, text } from './suite-store.ts'

export const readTests: SuiteTests = {
  'an empty prefix lists nothing at a revision that is not zero': async ({ backend, root }) => {
    const page = await backend.list(root)
    assert.deepEqual(keysOf(page), [])
    assert.equal(page.more, false)
    assert(page.revision >= 1)
    assert.equal((await backend.get(`${root}a`)).entry, undefined)
  },

  'get() shows an acknowledged write at a revision not older than it': async scene => {
    const { backend, root } = scene
    const revision = await create(scene, `${root}a`, 'one')
    const read = await backend.get(`${root}a`)
    assert.equal(text(read.entry?.value), 'one')
    assert.equal(read.entry?.revision, revision)
    assert(read.revision >= revision)
    assert((await backend.revision()) >= revision)
  },

  'list() sorts by the bytes of the keys': async scene => {
    const { backend, root } = scene
    // In UTF-16 order the last two would change places.
    const names = ['-', '/', '0', 'A', 'a', 'aa', 'a/b', 'ä', '\uffee', '\u{1f600}']
    for (const name of [...names].reverse()) await create(scene, root + name)
    const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    assert.deepEqual(
      keysOf(await backend.list(root)),
      sorted.map(name => root + name),
    )
  },

  'list() keeps to the prefix': async scene => {
    const { backend, root } = scene
    for (const name of ['a', 'a/1', 'a/2', 'ab', 'b/1']) await create(scene, root + name)
    assert.deepEqual(keysOf(await backend.list(`${root}a/`)), [`${root}a/1`, `${root}a/2`])
    assert.deepEqual(keysOf(await backend.list(`${root}a`)).length, 4)
  },

  'list() pages with after and limit, and counts what is left': async scene => {
    const { backend, root } = scene
    const keys = Array.from({ length: 7 }, (_, i) => `${root}${i}`)
    for (const key of keys) await create(scene, key)
    const first = await backend.list(root, { limit: 3 })
    assert.deepEqual(keysOf(first), keys.slice(0, 3))
    assert.equal(first.more, true)
    assert.equal(first.remaining ?? 4, 4)
    const second = await backend.list(root, { limit: 3, after: keys[2] ?? '' })
    assert.deepEqual(keysOf(second), keys.slice(3, 6))
    assert.equal(second.more, true)
    const third = await backend.list(root, { limit: 3, after: keys[5] ?? '' })
    assert.deepEqual(keysOf(third), keys.slice(6))
    assert.equal(third.more, false)
    assert.equal(third.remaining ?? 0, 0)
    assert.deepEqual(keysOf(await backend.list(root, { limit: 7 })), keys)
    assert.equal((await backend.list(root, { limit: 7 })).more, false)
    assert.deepEqual(keysOf(await backend.list(root, { after: `${root}4x` })), keys.slice(5))
    assert.deepEqual(keysOf(await backend.list(root, { after: '/' })), keys)
    assert.deepEqual(keysOf(await backend.list(root, { after: '~' })), [])
  },

  'reads at a revision show exactly that state': async scene => {
    const { backend, root } = scene
    const a = `${root}a`
    const b = `${root}b`
    const created = await create(scene, a, '1')
    const changed = await backend.put(a, bytes('2'), { ifRevision: created })
    const other = await create(scene, b, 'b')
    const deleted = await backend.delete(a, { ifRevision: changed })
    const again = await create(scene, a, '3')
    const states: [number, (string | undefined)[]][] = [
      [created, ['1', undefined]],
      [changed, ['2', undefined]],
      [other, ['2', 'b']],
      [deleted, [undefined, 'b']],
      [again, ['3', 'b']],
    ]
    for (const [revision, values] of states) {
      const page = await backend.list(root, { revision })
      assert.equal(page.revision, revision)
      assert.deepEqual(
        page.entries.map(entry => text(entry.value)),
        values.filter(value => value !== undefined),
      )
      for (const [i, key] of [a, b].entries()) {
        const read = await backend.get(key, { revision })
        assert.equal(text(read.entry?.value), values[i], `${key} at ${revision}`)
      }
    }
  },

  "pages at the first page's revision are one snapshot": async scene => {
    const { backend, root } = scene
    const keys = Array.from({ length: 10 }, (_, i) => `${root}${i}`)
    const revisions = new Map<string, number>()
    for (const key of keys) revisions.set(key, await create(scene, key, 'old'))
    const seen: string[] = []
    let page = await backend.list(root, { limit: 3 })
    const { revision } = page
    for (const key of keys.slice(3)) {
      const ifRevision = revisions.get(key) ?? 0
      if (key.endsWith('5')) await backend.delete(key, { ifRevision })
      else await backend.put(key, bytes('new'), { ifRevision })
    }
    await create(scene, `${root}55`)
    for (;;) {
      for (const entry of page.entries) {
        assert.equal(text(entry.value), 'old')
        seen.push(entry.key)
      }
      assert.equal(page.revision, revision)
      if (!page.more) break
      page = await backend.list(root, { limit: 3, after: seen.at(-1) ?? '', revision })
    }
    assert.deepEqual(seen, keys)
  },

  'reads from the future throw futureRevision with the current revision': async scene => {
    const { backend, root } = scene
    await create(scene, `${root}a`)
    const revision = (await backend.revision()) + 1000
    const error = await failsWith('futureRevision', backend.get(`${root}a`, { revision }))
    assert.equal(error.revision, revision - 1000)
    await failsWith('futureRevision', backend.list(root, { revision }))
  },

  "an aborted signal ends a call with the signal's reason": async ({ backend, root }) => {
    const reason = new Error('the client went away')
    const signal = AbortSignal.abort(reason)
    const isReason = (error: unknown) => error === reason
    await assert.rejects(backend.get(`${root}a`, { signal }), isReason)
    await assert.rejects(backend.list(root, { signal }), isReason)
    await assert.rejects(backend.revision({ signal }), isReason)
    await assert.rejects(backend.put(`${root}a`, bytes('a'), { ifRevision: 0, signal }), isReason)
    await assert.rejects(backend.delete(`${root}a`, { ifRevision: 1, signal }), isReason)
    assert.equal((await backend.get(`${root}a`)).entry, undefined)
  },

  'a list of thousands of keys is complete and ordered': async scene => {
    const { backend, root } = scene
    const keys = Array.from({ length: 3000 }, (_, i) => `${root}${String(i).padStart(5, '0')}`)
    await Promise.all(keys.map(key => create(scene, key)))
    assert.deepEqual(keysOf(await backend.list(root)), keys)
  },

  'every call after close() throws unavailable': async ({ backend, root }) => {
    await backend.close()
    await failsWith('unavailable', backend.get(`${root}a`))
    await failsWith('unavailable', backend.list(root))
    await failsWith('unavailable', backend.revision())
    await failsWith('unavailable', backend.put(`${root}a`, bytes('a'), { ifRevision: 0 }))
    await backend.close()
  },
}
