// The fault wrapper: delays change nothing of the contract, and every fault is what it says.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withFaults } from './faults.ts'
import { manualTime } from './manual-time.ts'
import { openMemory } from './memory.ts'
import { runBackendSuite } from './suite.ts'
import { bytes, failsWith, text } from './suite-store.ts'

let seed = 0
runBackendSuite('memory with delays', async () => {
  const { now, every, advance } = manualTime()
  const delays = { seed: ++seed, delayTurnsMax: 3, watchDelayTurnsMax: 3 }
  const backend = withFaults(openMemory({ now, every }), delays)
  return { backend, advance: seconds => advance(seconds * 1000) }
})

const never = () => () => undefined

test('a refused call has no effect, one whose acknowledgement is lost has', async () => {
  const memory = openMemory({ every: never })
  const refusing = withFaults(memory, { seed: 1, refuse: 1 })
  await failsWith('unavailable', refusing.put('/a', bytes('1'), { ifRevision: 0 }))
  assert.equal((await memory.get('/a')).entry, undefined)
  const forgetful = withFaults(memory, { seed: 1, loseAck: 1 })
  await failsWith('unavailable', forgetful.put('/a', bytes('1'), { ifRevision: 0 }))
  assert.equal(text((await forgetful.get('/a')).entry?.value), '1')
  assert.equal(refusing.faults.refused, 1)
  assert.equal(forgetful.faults.acksLost, 1)
})

test('a dropped watch can be resumed without loss, and heal() ends the faults', async () => {
  const memory = openMemory({ every: never })
  for (let i = 0; i < 50; i++) await memory.put(`/${i}`, bytes('x'), { ifRevision: 0 })
  const backend = withFaults(memory, { seed: 5, dropWatch: 0.2 })
  const revisions: number[] = []
  while ((revisions.at(-1) ?? 1) < 51) {
    const stop = new AbortController()
    try {
      const after = revisions.at(-1) ?? 1
      for await (const batch of backend.watch('/', { after, signal: stop.signal })) {
        revisions.push(batch.revision)
        if (batch.revision === 51) stop.abort()
      }
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'unavailable')
    }
  }
  assert.deepEqual(
    revisions,
    Array.from({ length: 50 }, (_, i) => i + 2),
  )
  assert(backend.faults.watchesDropped > 0)
  backend.heal()
  const dropped = backend.faults.watchesDropped
  for (let i = 0; i < 50; i++) {
    const stop = new AbortController()
    for await (const _ of backend.watch('/', { after: 50, signal: stop.signal })) stop.abort()
  }
  assert.equal(backend.faults.watchesDropped, dropped)
})

test('the same seed gives the same faults', async () => {
  const run = async (seed: number) => {
    const backend = withFaults(openMemory({ every: never }), { seed, refuse: 0.3, loseAck: 0.3 })
    const outcomes: string[] = []
    for (let i = 0; i < 40; i++) {
      const put = backend.put(`/${i}`, bytes('x'), { ifRevision: 0 })
      outcomes.push(await put.then(String, (error: Error) => error.message))
    }
    return outcomes
  }
  assert.deepEqual(await run(9), await run(9))
  assert.notDeepEqual(await run(9), await run(10))
})
