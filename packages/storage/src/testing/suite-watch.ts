// The suite's part about watch. Called by suite.ts.

import assert from 'node:assert/strict'
import type { WatchBatch } from '../backend.ts'
import type { SuiteTests } from './suite.ts'
import { bytes, checkOrder, create, failsWith, lines, watchUntil } from './suite-store.ts'

export const watchTests: SuiteTests = {
  'watch() replays what came after the revision, then goes on live': async scene => {
    const { backend, root, base } = scene
    const a = `${root}a`
    const b = `${root}b`
    const one = await create(scene, a, '1')
    const two = await backend.put(a, bytes('2'), { ifRevision: one })
    const stop = new AbortController()
    const live: WatchBatch[] = []
    const watching = (async () => {
      for await (const batch of backend.watch(root, { after: base, signal: stop.signal })) {
        if (batch.events.length > 0) live.push(batch)
        if (live.length === 4) stop.abort()
      }
    })()
    const three = await create(scene, b, 'b')
    const four = await backend.delete(a, { ifRevision: two })
    await watching
    const expected = [
      `${one} put ${a} 1`,
      `${two} put ${a} 2<1@${one}`,
      `${three} put ${b} b`,
      `${four} delete ${a}<2@${two}`,
    ]
    assert.deepEqual(lines(live), expected)
    const replayed = await watchUntil(backend, root, { after: base, until: four })
    assert.deepEqual(lines(replayed), expected)
    const tail = await watchUntil(backend, root, { after: two, until: four })
    assert.deepEqual(lines(tail), expected.slice(2))
  },

  'watches that begin while writers are busy miss nothing and repeat nothing': async scene => {
    const { backend, root, base } = scene
    const total = 300
    const writing = Promise.all(
      Array.from({ length: total }, (_, i) => create(scene, `${root}${i}`, String(i))),
    )
    const until = base + total
    const watchers: Promise<WatchBatch[]>[] = []
    for (let i = 0; i < 8; i++) {
      watchers.push(watchUntil(backend, root, { after: base, until }))
      await new Promise<void>(resolve => setImmediate(resolve))
    }
    const revisions = (await writing).sort((x, y) => x - y)
    for (const batches of await Promise.all(watchers)) {
      assert.deepEqual(
        batches.map(batch => batch.revision),
        revisions,
      )
    }
  },

  'watch() shows only keys under its prefix': async scene => {
    const { backend, root, base } = scene
    for (const name of ['a/1', 'ab/1', 'b', 'a/2']) await create(scene, root + name)
    const last = await create(scene, `${root}a/3`)
    const batches = await watchUntil(backend, `${root}a/`, { after: base, until: last })
    assert.deepEqual(
      batches.flatMap(batch => batch.events.map(event => event.key)),
      ['a/1', 'a/2', 'a/3'].map(name => root + name),
    )
  },

  'a watch learns of progress when only other keys change': async scene => {
    const { backend, root } = scene
    const after = await backend.revision()
    const stop = new AbortController()
    const iterator = backend
      .watch(`${root}mine/`, { after, signal: stop.signal })
      [Symbol.asyncIterator]()
    const first = iterator.next()
    const written = await create(scene, `${root}other/a`)
    const until = await backend.revision()
    assert(until >= written)
    let reached = after
    for (let next = await first; reached < until; next = await iterator.next()) {
      assert(!next.done)
      assert.deepEqual(next.value.events, [])
      reached = next.value.revision
      if (reached >= until) break
    }
    stop.abort()
    assert.equal((await iterator.next()).done, true)
  },

  'a slow consumer gets everything in order': async scene => {
    const { backend, root, base } = scene
    const stop = new AbortController()
    const watch = backend.watch(root, { after: base, signal: stop.signal })
    const total = 200
    let seen = 0
    let last = base
    const writing = (async () => {
      for (let i = 0; i < total; i++) await create(scene, `${root}${i}`, 'x'.repeat(10_000))
    })()
    for await (const batch of watch) {
      checkOrder(batch, root, last)
      last = batch.revision
      seen += batch.events.length
      if (seen < total / 2) await new Promise<void>(resolve => setTimeout(resolve, 1))
      if (seen === total) stop.abort()
    }
    await writing
    assert.equal(seen, total)
  },

  'aborting ends a watch without an error, before, while and after it waits': async scene => {
    const { backend, root } = scene
    const after = await backend.revision()
    const early = backend.watch(root, { after, signal: AbortSignal.abort() })
    for await (const _ of early) assert.fail('an aborted watch delivered something')
    const stop = new AbortController()
    const iterator = backend.watch(root, { after, signal: stop.signal })[Symbol.asyncIterator]()
    const waiting = iterator.next()
    await new Promise<void>(resolve => setImmediate(resolve))
    stop.abort()
    assert.equal((await waiting).done, true)
    assert.equal((await iterator.next()).done, true)
  },

  'leaving the loop ends a watch': async scene => {
    const { backend, root, base } = scene
    await create(scene, `${root}a`)
    const { signal } = new AbortController()
    for await (const _ of backend.watch(root, { after: base, signal })) break
    await create(scene, `${root}b`)
  },

  'close() ends a watch with unavailable': async scene => {
    const { backend, root } = scene
    const after = await backend.revision()
    const { signal } = new AbortController()
    const watching = (async () => {
      for await (const _ of backend.watch(root, { after, signal }));
    })()
    const failed = failsWith('unavailable', watching)
    await new Promise<void>(resolve => setImmediate(resolve))
    await backend.close()
    await failed
  },

  'a watch from the future waits for it': async scene => {
    const { backend, root, base } = scene
    const watching = watchUntil(backend, root, { after: base + 2, until: base + 4 })
    for (const name of ['1', '2', '3', '4']) await create(scene, root + name)
    assert.deepEqual(
      (await watching).map(batch => batch.revision),
      [base + 3, base + 4],
    )
  },
}
