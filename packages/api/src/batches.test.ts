// Deletions of many: a namespace's content and a collection, a bounded number of them at a time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Backend } from '@podless/storage'
import { openMemory } from '@podless/storage/testing'
import { ApiClient } from '../../../test/harness/api-client.ts'
import { startServer } from '../../../test/harness/server.ts'

const OBJECTS = 200
const AT_ONCE_MAX = 64

test('a namespace and a collection with many objects are deleted, not all at once', async () => {
  const inner = openMemory()
  let now = 0
  let most = 0
  const backend: Backend = new Proxy(inner, {
    get: (target, name) => {
      if (name === 'delete') {
        return async (...args: Parameters<Backend['delete']>) => {
          now += 1
          most = Math.max(most, now)
          await new Promise(resolve => setImmediate(resolve))
          now -= 1
          return await target.delete(...args)
        }
      }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const server = await startServer({ backend })
  const client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  for (const path of ['/api/v1/namespaces/full', '/api/v1/namespaces/full/configmaps']) {
    const metadata = { name: 'full' }
    await client.send({ method: 'POST', path: '/api/v1/namespaces', body: { metadata } })
    for (let i = 0; i < OBJECTS; i += 1) {
      const metadata = { name: `a${i}`, namespace: 'full', uid: `${i}` }
      const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata }
      const bytes = Buffer.from(JSON.stringify(object))
      await server.server.storage.create(`/registry/configmaps/full/a${i}`, bytes)
    }
    most = 0
    assert.equal((await client.send({ method: 'DELETE', path })).status, 200)
    while (server.server.storage.count('/registry/configmaps/full/a') > 0)
      await new Promise(resolve => setImmediate(resolve))
    while (path.endsWith('full') && (await client.send({ path })).status !== 404);
    assert.ok(most > 1 && most <= AT_ONCE_MAX, `${most} at once`)
  }
  client.close()
  await server.close()
})
