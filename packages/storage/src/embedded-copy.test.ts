// Copies of embedded stores: the live objects and their leases, no history, and a revision that no client has seen.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openEmbedded } from './embedded.ts'
import { copyEmbedded } from './embedded-copy.ts'
import { failsWith, text } from './testing/suite-store.ts'

const parent = await mkdtemp(join(tmpdir(), 'podless-copy-'))
after(() => rm(parent, { recursive: true, force: true }))

test('a copy holds what is there, with its revisions and leases, and skips what it is told to', async () => {
  const [from, to] = [join(parent, 'from'), join(parent, 'to')]
  const source = await openEmbedded({ directory: from, now: () => 0 })
  const puts = Array.from({ length: 2500 }, (_, i) =>
    source.put(`/key/${i}`, Buffer.from(`value ${i}`), { ifRevision: 0 }),
  )
  const [first = 0] = await Promise.all(puts)
  const changed = await source.put('/key/0', Buffer.from('changed'), { ifRevision: first })
  const last = await source.put('/leased', Buffer.from('x'), { ifRevision: 0, ttlSeconds: 60 })
  await source.close()
  const copied = await copyEmbedded({ from, to, skipRevisions: 1000 })
  assert.deepEqual([copied.revision, copied.objects], [last + 1000, 2501])
  let sweep = (): void => undefined
  const every = (_: number, run: () => void): (() => void) => {
    sweep = run
    return () => undefined
  }
  const copy = await openEmbedded({ directory: to, now: () => 61_000, compaction: false, every })
  const { entry } = await copy.get('/key/0')
  assert.deepEqual([text(entry?.value), entry?.revision], ['changed', changed])
  assert.equal((await copy.list('/key/')).entries.length, 2500)
  await failsWith('compacted', copy.list('/', { revision: last }))
  const signal = new AbortController().signal
  const watching = copy.watch('/', { after: last, signal })[Symbol.asyncIterator]()
  await failsWith('compacted', watching.next())
  const events = copy.watch('/', { after: copied.revision, signal })[Symbol.asyncIterator]()
  sweep()
  const { value } = await events.next()
  assert.equal(value?.revision, copied.revision + 1)
  assert.deepEqual([value?.events[0]?.type, value?.events[0]?.key], ['delete', '/leased'])
  await copy.close()
})

test('nothing is copied over a store, or out of what is none', async () => {
  const [from, to] = [join(parent, 'one'), join(parent, 'other')]
  for (const directory of [from, to]) await (await openEmbedded({ directory })).close()
  await failsWith('corrupt', copyEmbedded({ from, to }))
  const none = join(parent, 'none')
  await failsWith('corrupt', copyEmbedded({ from: none, to: join(parent, 'x') }))
})
