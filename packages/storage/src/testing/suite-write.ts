// The suite's part about put and delete. Called by suite.ts.

import assert from 'node:assert/strict'
import type { Backend } from '../backend.ts'
import { StorageError } from '../errors.ts'
import type { SuiteTests } from './suite.ts'
import { bytes, create, failsWith, text, watchUntil } from './suite-store.ts'

export const writeTests: SuiteTests = {
  'each write gets a revision of its own, larger than all before': async scene => {
    const { backend, root, base } = scene
    const first = await create(scene, `${root}a`)
    const second = await backend.put(`${root}a`, bytes('2'), { ifRevision: first })
    const third = await backend.delete(`${root}a`, { ifRevision: second })
    assert(base < first && first < second && second < third)
    assert.equal(await backend.revision(), third)
  },

  'put() at revision 0 of an existing key throws exists and writes nothing': async scene => {
    const { backend, root } = scene
    const revision = await create(scene, `${root}a`, 'first')
    const error = await failsWith('exists', create(scene, `${root}a`, 'second'))
    assert.equal(error.key, `${root}a`)
    assert.equal(await backend.revision(), revision)
    assert.equal(text((await backend.get(`${root}a`)).entry?.value), 'first')
  },

  "put() at another revision throws conflict with the key's revision": async scene => {
    const { backend, root } = scene
    const key = `${root}a`
    const first = await create(scene, key)
    const second = await backend.put(key, bytes('2'), { ifRevision: first })
    const stale = await failsWith('conflict', backend.put(key, bytes('3'), { ifRevision: first }))
    assert.equal(stale.revision, second)
    await backend.delete(key, { ifRevision: second })
    const gone = await failsWith('conflict', backend.put(key, bytes('3'), { ifRevision: second }))
    assert.equal(gone.revision, 0)
  },

  'delete() throws notFound without a key, and conflict at another revision': async scene => {
    const { backend, root } = scene
    const key = `${root}a`
    await failsWith('notFound', backend.delete(key, { ifRevision: 5 }))
    const first = await create(scene, key)
    const second = await backend.put(key, bytes('2'), { ifRevision: first })
    const stale = await failsWith('conflict', backend.delete(key, { ifRevision: first }))
    assert.equal(stale.revision, second)
    await backend.delete(key, { ifRevision: second })
    assert.equal((await backend.get(key)).entry, undefined)
    await failsWith('notFound', backend.delete(key, { ifRevision: second }))
  },

  'values are bytes: empty, binary and large ones come back as they were': async scene => {
    const { backend, root } = scene
    const values = [
      Buffer.alloc(0),
      Buffer.from([0, 255, 0, 128, 10]),
      Buffer.alloc(2040, 7),
      Buffer.alloc(1_000_000, 'x'),
    ]
    for (const [i, value] of values.entries()) {
      const key = `${root}${i}`
      const revision = await backend.put(key, value, { ifRevision: 0 })
      assert.deepEqual(Buffer.from((await backend.get(key)).entry?.value ?? []), value)
      await backend.put(key, bytes('next'), { ifRevision: revision })
      const past = await backend.get(key, { revision })
      assert.deepEqual(Buffer.from(past.entry?.value ?? []), value)
    }
  },

  'of many writers at one revision exactly one wins': async scene => {
    const { backend, root } = scene
    const key = `${root}counter`
    let last = await create(scene, key, 'start')
    for (let round = 0; round < 10; round++) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, (_, i) =>
          backend.put(key, bytes(`${round}-${i}`), { ifRevision: last }),
        ),
      )
      const won = outcomes.filter(outcome => outcome.status === 'fulfilled')
      assert.equal(won.length, 1)
      const codes = outcomes.flatMap(outcome =>
        outcome.status === 'rejected' ? [(outcome.reason as StorageError).code] : [],
      )
      assert.deepEqual(new Set(codes), new Set(['conflict']))
      last = won[0]?.value ?? 0
      assert.equal((await backend.get(key)).entry?.revision, last)
    }
  },

  'concurrent read-modify-write loses no increment': async scene => {
    const { backend, root } = scene
    const key = `${root}counter`
    await create(scene, key, '0')
    await Promise.all(Array.from({ length: 8 }, () => repeat(10, () => increment(backend, key))))
    assert.equal(text((await backend.get(key)).entry?.value), '80')
  },

  'a key with a time to live is deleted, and one written again is not': async scene => {
    const { backend, root, advance } = scene
    const short = `${root}short`
    const kept = `${root}kept`
    await outlive(backend, kept)
    const last = await backend.put(short, bytes('x'), { ifRevision: 0, ttlSeconds: 1 })
    const deletion = watchUntil(backend, short, { after: last, until: last + 1 })
    advance?.(5)
    const event = (await deletion).at(-1)?.events[0]
    assert.equal(event?.type, 'delete')
    assert.equal(text(event?.previous), 'x')
    assert.equal((await backend.get(short)).entry, undefined)
    assert.equal(text((await backend.get(kept)).entry?.value), 'y')
  },
}

/** Writes a key with a time to live, and again without one. Where time is real, the first may be over in between. */
async function outlive(backend: Backend, key: string): Promise<void> {
  for (;;) {
    const ifRevision = await backend.put(key, bytes('x'), { ifRevision: 0, ttlSeconds: 1 })
    try {
      await backend.put(key, bytes('y'), { ifRevision })
      return
    } catch (error) {
      if (!(error instanceof StorageError && error.code === 'conflict')) throw error
    }
  }
}

async function increment(backend: Backend, key: string): Promise<void> {
  for (;;) {
    const { entry } = await backend.get(key)
    const next = String(Number(text(entry?.value)) + 1)
    try {
      await backend.put(key, bytes(next), { ifRevision: entry?.revision ?? 0 })
      return
    } catch (error) {
      if (!(error instanceof StorageError && error.code === 'conflict')) throw error
    }
  }
}

async function repeat(times: number, run: () => Promise<void>): Promise<void> {
  for (let i = 0; i < times; i++) await run()
}
