// Who may share an answer: only those who asked before the question went out.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Backend } from './backend.ts'
import { latestRevision } from './latest-revision.ts'

function askable() {
  const asked: { answer: (revision: number) => void; fail: (error: Error) => void }[] = []
  const revision = () =>
    new Promise<number>((resolve, reject) => asked.push({ answer: resolve, fail: reject }))
  return { asked, latest: latestRevision({ revision } as unknown as Backend) }
}

const turn = () => new Promise<void>(resolve => setImmediate(resolve))

test('a call made while an answer is awaited waits for the next one, and shares it', async () => {
  const { asked, latest } = askable()
  const first = latest()
  const second = latest()
  const third = latest()
  assert.equal(asked.length, 1)
  asked[0]?.answer(5)
  assert.equal(await first, 5)
  await turn()
  assert.equal(asked.length, 2)
  const fourth = latest()
  asked[1]?.answer(8)
  assert.deepEqual(await Promise.all([second, third]), [8, 8])
  await turn()
  asked[2]?.answer(9)
  assert.equal(await fourth, 9)
})

test('a failed question fails only those who asked it', async () => {
  const { asked, latest } = askable()
  const first = latest()
  const second = latest()
  asked[0]?.fail(new RangeError('down'))
  await assert.rejects(first, RangeError)
  await turn()
  asked[1]?.answer(3)
  assert.equal(await second, 3)
})
