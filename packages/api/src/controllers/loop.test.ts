import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeObject, openCacher } from '@podless/storage'
import { openMemory } from '@podless/storage/testing'
import { createLog } from '../log.ts'
import { startLoop } from './loop.ts'

test('a change that cannot be read is logged and passed over, and the loop goes on', async () => {
  const backend = openMemory()
  const cacher = await openCacher(backend, {
    now: () => 0,
    onFatal: error => assert.fail(String(error)),
  })
  const lines: string[] = []
  const seen: string[] = []
  const loop = startLoop({
    name: 'test',
    cacher,
    prefixes: ['/registry/things/'],
    keysOf: ({ object }) => {
      if (object.header.name === 'bad') throw new Error('unreadable')
      return [object.header.name]
    },
    reconcile: async key => void seen.push(key),
    log: createLog({
      write: line => void lines.push(line),
      level: 'error',
      now: () => new Date(0),
    }),
  })
  for (const name of ['bad', 'good']) {
    const thing = { apiVersion: 'v1', kind: 'Thing', metadata: { name, uid: name } }
    const revision = await backend.put(`/registry/things/${name}`, encodeObject(thing), {
      ifRevision: 0,
    })
    await cacher.waitFresh(revision)
  }
  await loop.idle()
  assert.deepEqual(seen, ['good'])
  assert.match(lines.join(''), /a change was passed over.*unreadable/)
  await loop.close()
  await cacher.close()
})
