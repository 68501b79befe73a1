// Encryption at rest: storage works over it as over any engine, and what lies below shows nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Backend } from './backend.ts'
import { type EncryptionKey, encrypting, reencrypt } from './encrypting.ts'
import { openMemory } from './testing/memory.ts'
import { runStorageSuite } from './testing/storage-suite.ts'

const PREFIX = '/registry/secrets/'
const KEY = `${PREFIX}default/a`
const key = (name: string, fill: number): EncryptionKey => ({
  name,
  secret: Buffer.alloc(32, fill),
})
const over = (inner: Backend, ...keys: readonly EncryptionKey[]): Backend =>
  encrypting(inner, { keys, prefixes: [PREFIX] })

runStorageSuite('memory, encrypted', () =>
  encrypting(openMemory(), { keys: [key('k', 1)], prefixes: ['/registry/'] }),
)

const textAt = async (backend: Backend, at = KEY): Promise<string> =>
  Buffer.from((await backend.get(at)).entry?.value ?? []).toString('latin1')

test('values under the prefix are sealed with the first key, others lie plain', async () => {
  const inner = openMemory()
  const backend = over(inner, key('new', 2), key('old', 1))
  await backend.put(KEY, Buffer.from('hush'), { ifRevision: 0 })
  await backend.put('/registry/configmaps/default/a', Buffer.from('plain'), { ifRevision: 0 })
  const sealed = await textAt(inner)
  assert.ok(sealed.startsWith('k8s:enc:aesgcm:v1:new:'))
  assert.ok(!sealed.includes('hush'))
  assert.equal(await textAt(backend), 'hush')
  assert.equal(await textAt(inner, '/registry/configmaps/default/a'), 'plain')
})

test('keys rotate: all decrypt, plain values are read, and a write takes the first key', async () => {
  const inner = openMemory()
  const plain = await inner.put(KEY, Buffer.from('one'), { ifRevision: 0 })
  const first = over(inner, key('a', 1))
  assert.equal(await textAt(first), 'one')
  const revision = await first.put(KEY, Buffer.from('two'), { ifRevision: plain })
  const both = over(inner, key('b', 2), key('a', 1))
  assert.equal(await textAt(both), 'two')
  await both.put(KEY, Buffer.from('three'), { ifRevision: revision })
  assert.equal(await textAt(over(inner, key('b', 2))), 'three')
})

test('reencrypt() seals what is plain or of an older key with the first one, and writes nothing else', async () => {
  const inner = openMemory()
  const at = (n: number): string => `${PREFIX}default/${String(n).padStart(4, '0')}`
  const [plain, older, both] = [
    inner,
    over(inner, key('a', 1)),
    over(inner, key('b', 2), key('a', 1)),
  ]
  const text = (n: number): Buffer => Buffer.from(`hush ${n}`)
  for (let n = 0; n < 250; n += 1)
    await [plain, older, both][n % 3]?.put(at(n), text(n), { ifRevision: 0 })
  await inner.put('/registry/secretsandmore/x', text(0), { ifRevision: 0 })
  const keys = [key('b', 2), key('a', 1)]
  const before = await inner.get(at(2))
  assert.deepEqual(await reencrypt(inner, { keys, prefixes: [PREFIX] }), {
    rewritten: 167,
    kept: 83,
  })
  assert.deepEqual((await inner.get(at(2))).entry, before.entry)
  const { revision } = before
  await assert.rejects(inner.list(PREFIX, { revision }), { code: 'compacted' })
  const fresh = over(inner, key('b', 2))
  for (let n = 0; n < 250; n += 1) assert.equal(await textAt(fresh, at(n)), `hush ${n}`)
  assert.equal(await textAt(inner, '/registry/secretsandmore/x'), 'hush 0')
  assert.deepEqual(await reencrypt(inner, { keys, prefixes: [PREFIX] }), {
    rewritten: 0,
    kept: 250,
  })
})

test('reencrypt() leaves alone what somebody writes or deletes meanwhile, and stops at what it cannot read', async () => {
  const inner = openMemory()
  await inner.put(KEY, Buffer.from('one'), { ifRevision: 0 })
  const keys = [key('b', 2)]
  const racing: Backend = {
    ...inner,
    list: (...args) => inner.list(...args),
    revision: () => inner.revision(),
    compact: revision => inner.compact(revision),
    put: async (at, value, options) => {
      const { entry } = await inner.get(at)
      await over(inner, ...keys).put(at, Buffer.from('two'), { ifRevision: entry?.revision ?? 0 })
      return await inner.put(at, value, options)
    },
  }
  assert.deepEqual(await reencrypt(racing, { keys, prefixes: [PREFIX] }), { rewritten: 0, kept: 0 })
  assert.equal(await textAt(over(inner, ...keys)), 'two')
  const other = { keys: [key('c', 3)], prefixes: [PREFIX] }
  await assert.rejects(reencrypt(inner, other), { name: 'StorageError', code: 'corrupt' })
})

test('a missing key, another key, another place and a changed byte are refused', async () => {
  const inner = openMemory()
  await over(inner, key('a', 1)).put(KEY, Buffer.from('hush'), { ifRevision: 0 })
  const corrupt = { name: 'StorageError', code: 'corrupt' }
  await assert.rejects(over(inner).get(KEY), corrupt)
  await assert.rejects(over(inner, key('a', 9)).get(KEY), corrupt)
  const sealed = (await inner.get(KEY)).entry?.value ?? Buffer.alloc(0)
  await inner.put(`${PREFIX}default/b`, sealed, { ifRevision: 0 })
  await assert.rejects(over(inner, key('a', 1)).get(`${PREFIX}default/b`), corrupt)
  const changed = Buffer.from(sealed)
  changed[changed.length - 20] = (changed[changed.length - 20] ?? 0) ^ 1
  await inner.put(`${PREFIX}default/c`, changed, { ifRevision: 0 })
  await assert.rejects(over(inner, key('a', 1)).get(`${PREFIX}default/c`), corrupt)
  assert.throws(() => over(inner, { name: 'a:b', secret: Buffer.alloc(32) }), TypeError)
  assert.throws(() => over(inner, { name: 'a', secret: Buffer.alloc(16) }), TypeError)
})

test('reencrypt() tells when the first key has the name of another', async () => {
  const inner = openMemory()
  await over(inner, key('a', 1)).put(KEY, Buffer.from('one'), { ifRevision: 0 })
  const keys = [key('a', 2)]
  await assert.rejects(reencrypt(inner, { keys, prefixes: [PREFIX] }), { code: 'corrupt' })
})
