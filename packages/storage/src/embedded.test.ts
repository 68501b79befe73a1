// The embedded engine passes the suite, also with watch queues so small that they always overflow.
// What is special to it (folders, crashes, locks) is in data-folder.test.ts and
// embedded-crash.test.ts.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type EmbeddedOptions, openEmbedded } from './embedded.ts'
import { manualTime } from './testing/manual-time.ts'
import { runBackendSuite } from './testing/suite.ts'

const parent = await mkdtemp(join(tmpdir(), 'podless-embedded-'))
after(() => rm(parent, { recursive: true, force: true }))
let folders = 0
const newFolder = () => join(parent, String(++folders))

async function openForSuite(options: Partial<EmbeddedOptions> = {}) {
  const time = manualTime()
  const { now, every } = time
  const backend = await openEmbedded({ directory: newFolder(), now, every, ...options })
  return { backend, advance: (seconds: number) => time.advance(seconds * 1000) }
}

runBackendSuite('embedded', () => openForSuite())
runBackendSuite('embedded with tiny watch queues', () =>
  openForSuite({ queueBytesMax: 1000, replayRecords: 3 }),
)

test('everything is there again after close() and open', async () => {
  const directory = newFolder()
  const before = await openEmbedded({ directory })
  const one = await before.put('/a', Buffer.from('1'), { ifRevision: 0 })
  const two = await before.put('/a', Buffer.from('2'), { ifRevision: one })
  const three = await before.put('/b', Buffer.from('b'), { ifRevision: 0 })
  await before.compact(one)
  await before.close()

  const backend = await openEmbedded({ directory })
  assert.equal(await backend.revision(), three)
  assert.equal(Buffer.from((await backend.get('/a')).entry?.value ?? []).toString(), '2')
  const past = await backend.get('/a', { revision: one })
  assert.equal(Buffer.from(past.entry?.value ?? []).toString(), '1')
  const stop = new AbortController()
  const revisions: number[] = []
  for await (const batch of backend.watch('/', { after: one, signal: stop.signal })) {
    revisions.push(batch.revision)
    if (batch.revision === three) stop.abort()
  }
  assert.deepEqual(revisions, [two, three])
  await assert.rejects(backend.list('/', { revision: one - 1 }), { code: 'compacted' })
  await backend.close()
})

test('a lease outlives a restart', async () => {
  const directory = newFolder()
  const time = manualTime()
  const { now, every } = time
  const before = await openEmbedded({ directory, now, every })
  const revision = await before.put('/a', Buffer.from('1'), { ifRevision: 0, ttlSeconds: 60 })
  await before.close()
  const backend = await openEmbedded({ directory, now, every })
  time.advance(59_000)
  await backend.put('/other', Buffer.from('x'), { ifRevision: 0 })
  assert.notEqual((await backend.get('/a')).entry, undefined)
  const stop = new AbortController()
  const deleted = (async () => {
    for await (const batch of backend.watch('/a', { after: revision, signal: stop.signal })) {
      if (batch.events.length > 0) return batch.events[0]?.type
    }
    return undefined
  })()
  time.advance(2_000)
  assert.equal(await deleted, 'delete')
  await backend.close()
})

test('close() finishes the writes that were waiting', async () => {
  const directory = newFolder()
  const before = await openEmbedded({ directory })
  const writes = Array.from({ length: 50 }, (_, i) =>
    before.put(`/${i}`, Buffer.from('x'), { ifRevision: 0 }),
  )
  await before.close()
  const revisions = await Promise.all(writes)
  const backend = await openEmbedded({ directory })
  assert.equal((await backend.list('/')).entries.length, 50)
  assert.equal(await backend.revision(), Math.max(...revisions))
  await backend.close()
})

test('an acknowledged write has reached a waiting watch', async () => {
  const backend = await openEmbedded({ directory: newFolder() })
  const stop = new AbortController()
  const after = await backend.revision()
  let seen = after
  const watching = (async () => {
    for await (const batch of backend.watch('/', { after, signal: stop.signal })) {
      seen = batch.revision
    }
  })()
  for (let i = 0; i < 20; i++) {
    const revision = await backend.put(`/${i}`, Buffer.from('x'), { ifRevision: 0 })
    await Promise.resolve()
    await new Promise<void>(resolve => setImmediate(resolve))
    assert.equal(seen, revision)
  }
  stop.abort()
  await watching
  await backend.close()
})

test('old history is compacted by itself', async () => {
  const time = manualTime()
  const { now, every } = time
  const compaction = { revisionsMax: 10, intervalMs: 10_000 }
  const backend = await openEmbedded({ directory: newFolder(), now, every, compaction })
  for (let i = 0; i < 30; i++) await backend.put(`/${i}`, Buffer.from('x'), { ifRevision: 0 })
  const current = await backend.revision()
  assert.equal((await backend.list('/', { revision: current - 11 })).entries.length, 19)
  time.advance(10_000)
  // The compactor asks for the revision and then for the compaction; a write that is asked for
  // later is behind both.
  await backend.revision()
  await backend.put('/last', Buffer.from('x'), { ifRevision: 0 })
  await assert.rejects(backend.list('/', { revision: current - 11 }), { code: 'compacted' })
  assert.equal((await backend.list('/', { revision: current - 10 })).entries.length, 20)
  await backend.close()
})

test('a key that is too long or a value that is too large throws tooLarge', async () => {
  const backend = await openEmbedded({ directory: newFolder() })
  const long = `/${'k'.repeat(1900)}`
  await assert.rejects(backend.put(long, Buffer.from('x'), { ifRevision: 0 }), { code: 'tooLarge' })
  const large = Buffer.alloc(9 * 1024 * 1024)
  await assert.rejects(backend.put('/a', large, { ifRevision: 0 }), { code: 'tooLarge' })
  assert.equal((await backend.get(long)).entry, undefined)
  assert.deepEqual((await backend.list(`${long}/`)).entries, [])
  const longest = `/${'k'.repeat(1899)}`
  const revision = await backend.put(longest, Buffer.from('x'), { ifRevision: 0 })
  await backend.put(longest, Buffer.from('y'), { ifRevision: revision })
  const past = await backend.list('/', { revision, after: '/' })
  assert.equal(past.entries.length, 1)
  assert.deepEqual((await backend.list('/', { after: `/${'l'.repeat(5000)}` })).entries, [])
  await backend.close()
})

test('list() counts what is left only when it is asked to, also at an earlier revision', async () => {
  const backend = await openEmbedded({ directory: newFolder() })
  let revision = 0
  for (const key of ['/a', '/b', '/c', '/d'])
    revision = await backend.put(key, Buffer.from(key), { ifRevision: 0 })
  await backend.put('/c', Buffer.from('again'), { ifRevision: revision - 1 })
  for (const read of [{}, { revision }]) {
    const counted = await backend.list('/', { limit: 1, ...read })
    assert.deepEqual([counted.more, counted.remaining], [true, 3])
    const uncounted = await backend.list('/', { limit: 1, counted: false, ...read })
    assert.deepEqual([uncounted.more, uncounted.remaining], [true, undefined])
    const last = await backend.list('/', { limit: 4, counted: false, ...read })
    assert.equal(last.more, false)
  }
  await backend.close()
})
