// The compactor's window in time and in number, over the in-memory backend with a clock of the
// test's own.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Backend } from './backend.ts'
import { startCompactor } from './compactor.ts'
import { StorageError } from './errors.ts'
import { manualTime } from './testing/manual-time.ts'
import { openMemory } from './testing/memory.ts'

const never = () => () => undefined

async function fill(backend: Backend, count: number): Promise<number> {
  for (let i = 0; i < count; i++) {
    const key = `/${await backend.revision()}`
    await backend.put(key, Buffer.from('x'), { ifRevision: 0 })
  }
  return backend.revision()
}

async function isReadable(backend: Backend, revision: number): Promise<boolean> {
  try {
    await backend.list('/', { revision })
    return true
  } catch (error) {
    assert(error instanceof StorageError && error.code === 'compacted')
    return false
  }
}

test('revisions stay readable for historyMs and not much longer', async () => {
  const time = manualTime()
  const backend = openMemory({ every: never })
  const compactor = startCompactor(backend, { historyMs: 300_000, now: time.now, every: never })
  const marks: number[] = []
  for (let minute = 0; minute < 12; minute++) {
    marks.push(await fill(backend, 3))
    await compactor.tick()
    // Now the mark of five minutes ago is the oldest that has to be there.
    const due = minute - 5
    for (const [i, mark] of marks.entries()) {
      assert.equal(await isReadable(backend, mark), i >= due, `minute ${minute}, mark ${i}`)
    }
    time.advance(60_000)
  }
  await backend.close()
})

test('more than revisionsMax revisions are compacted however young', async () => {
  const backend = openMemory({ every: never })
  const { now } = manualTime()
  const compactor = startCompactor(backend, { revisionsMax: 10, now, every: never })
  const before = await fill(backend, 5)
  await compactor.tick()
  assert.equal(await isReadable(backend, 1), true)
  const revision = await fill(backend, 50)
  await compactor.tick()
  assert.equal(await isReadable(backend, before), false)
  assert.equal(await isReadable(backend, revision - 10), true)
  assert.equal(await isReadable(backend, revision - 11), false)
  await backend.close()
})

test('it goes on after the engine was unavailable, and stops when told', async () => {
  const time = manualTime()
  const { now, every } = time
  const asked: number[] = []
  let isDown = true
  const compactor = startCompactor(
    {
      revision: async () => {
        if (isDown) throw new StorageError('unavailable')
        return 100
      },
      compact: async revision => {
        asked.push(revision)
      },
    },
    { revisionsMax: 10, intervalMs: 1000, now, every },
  )
  await compactor.tick()
  isDown = false
  await compactor.tick()
  await compactor.tick()
  assert.deepEqual(asked, [90])
  compactor.stop()
  isDown = true
  time.advance(5000)
  assert.deepEqual(asked, [90])
})
