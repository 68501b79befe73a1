// Writes that meet: what two clients, or a client and a loop, do to one object at the same time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { type Backend, StorageError } from '@podless/storage'
import { openMemory } from '@podless/storage/testing'
import { ApiClient } from '../../../test/harness/api-client.ts'
import { startServer } from '../../../test/harness/server.ts'
import { serverForFile } from '../../../test/harness/server-for-file.ts'

const { admin: client } = await serverForFile()

const MAPS = '/api/v1/namespaces/default/configmaps'
const SERVICES = '/api/v1/namespaces/default/services'

const send = async (
  method: string,
  path: string,
  body?: JsonObject,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: JsonObject & { metadata: JsonObject; spec: JsonObject } }> => {
  const answer = await client.send({ method, path, headers, ...(body ? { body } : {}) })
  return { status: answer.status, body: answer.json() as never }
}

test('appliers of one new object all succeed, and exactly one creates it', async () => {
  const apply = (manager: string): ReturnType<typeof send> =>
    send(
      'PATCH',
      `${MAPS}/applied?fieldManager=${manager}`,
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'applied' },
        data: { [manager]: 'x' },
      },
      { 'content-type': 'application/apply-patch+yaml' },
    )
  const answers = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(apply))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 200, 201])
  const { body } = await send('GET', `${MAPS}/applied`)
  assert.deepEqual(body.data, { a: 'x', b: 'x', c: 'x', d: 'x', e: 'x' })
})

test('an address that a refused update reserved is free again, as is one that an ExternalName gave up', async () => {
  const service = (name: string, spec: JsonObject): JsonObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { ports: [{ port: 80 }], ...spec },
  })
  const external = service('moves', { type: 'ExternalName', externalName: 'example.com' })
  const ip = '10.96.77.77'
  assert.equal((await send('POST', SERVICES, external)).status, 201)
  const inside = { type: 'ClusterIP', clusterIP: ip, externalName: null }
  const merge = { 'content-type': 'application/merge-patch+json' }
  const bad = { spec: { ...inside, ports: [{ port: 99_999 }] } }
  assert.equal((await send('PATCH', `${SERVICES}/moves`, bad, merge)).status, 422)
  assert.equal((await send('PATCH', `${SERVICES}/moves`, { spec: inside }, merge)).status, 200)
  const taken = await send('POST', SERVICES, service('other', { clusterIP: ip }))
  assert.equal(taken.status, 422, 'it is in use')
  const back = {
    type: 'ExternalName',
    externalName: 'example.com',
    clusterIP: null,
    clusterIPs: null,
  }
  const left = await send('PATCH', `${SERVICES}/moves`, { spec: back }, merge)
  assert.equal(left.status, 200, JSON.stringify(left.body))
  const now = await send('POST', SERVICES, service('other', { clusterIP: ip }))
  assert.equal(now.status, 201, JSON.stringify(now.body))
})

const PLAINS = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'plains.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'plains', kind: 'Plain' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        },
      },
    ],
  },
}

test('a status that is a field like any other counts in the generation of a custom resource', async () => {
  assert.equal(
    (await send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', PLAINS)).status,
    201,
  )
  const path = '/apis/example.com/v1/namespaces/default/plains'
  const plain = { apiVersion: 'example.com/v1', kind: 'Plain', metadata: { name: 'a' } }
  for (;;) {
    const { status } = await client.send({ path })
    if (status === 200) break
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  assert.equal((await send('POST', path, plain)).status, 201)
  const merge = { 'content-type': 'application/merge-patch+json' }
  const { body } = await send('PATCH', `${path}/a`, { status: { phase: 'on' } }, merge)
  assert.equal(body.metadata.generation, 2)
})

/** A store whose feed can be made to lose its place, as etcd's does after a compaction. */
function forgetful(): { backend: Backend; forget: (meanwhile: () => Promise<void>) => void } {
  const inner = openMemory()
  let lost = Promise.withResolvers<void>()
  let meanwhile = async (): Promise<void> => undefined
  async function* watch(
    prefix: string,
    options: Parameters<Backend['watch']>[1],
  ): ReturnType<Backend['watch']> {
    const batches = inner.watch(prefix, options)[Symbol.asyncIterator]()
    const gone = lost.promise.then(() => undefined)
    for (;;) {
      const next = await Promise.race([batches.next(), gone])
      if (next === undefined) {
        lost = Promise.withResolvers()
        await meanwhile()
        throw new StorageError('compacted', { revision: 1 })
      }
      if (next.done === true) return
      yield next.value
    }
  }
  const backend = new Proxy(inner, {
    get: (target, name) => {
      if (name === 'watch') return watch
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return {
    backend,
    forget: then => {
      meanwhile = then
      lost.resolve()
    },
  }
}

test('a right that went while the cache had lost its place allows nothing any more', async () => {
  const { backend, forget } = forgetful()
  const other = await startServer({ backend })
  const admin = new ApiClient({ url: other.url, ca: other.ca, ...other.admin })
  try {
    const bindings = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'
    const body = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'eve' },
      roleRef: {
        apiGroup: 'rbac.authorization.k8s.io',
        kind: 'ClusterRole',
        name: 'cluster-admin',
      },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'eve' }],
    }
    assert.equal((await admin.send({ method: 'POST', path: bindings, body })).status, 201)
    const asEve = async (): Promise<number> => {
      const headers = { 'impersonate-user': 'eve' }
      return (await admin.send({ path: '/api/v1/secrets', headers })).status
    }
    while ((await asEve()) !== 200) await new Promise(resolve => setTimeout(resolve, 5))
    const key = other.server.storage.cacher
    const stored = [...key.list('/registry/')].find(({ header }) => header.name === 'eve')
    assert.ok(stored !== undefined)
    forget(async () => {
      await backend.delete(stored.key, { ifRevision: stored.revision })
    })
    while (key.get(stored.key) !== undefined) await new Promise(resolve => setTimeout(resolve, 5))
    assert.equal(await asEve(), 403)
  } finally {
    admin.close()
    await other.close()
  }
})

test('a CRD that went while the cache had lost its place is served no more', async () => {
  const { backend, forget } = forgetful()
  const other = await startServer({ backend })
  const admin = new ApiClient({ url: other.url, ca: other.ca, ...other.admin })
  try {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
    assert.equal((await admin.send({ method: 'POST', path, body: PLAINS })).status, 201)
    const status = async (): Promise<number> =>
      (await admin.send({ path: '/apis/example.com/v1/plains' })).status
    while ((await status()) !== 200) await new Promise(resolve => setTimeout(resolve, 5))
    const { cacher } = other.server.storage
    const stored = [...cacher.list('/registry/')].find(
      ({ header }) => header.name === 'plains.example.com',
    )
    assert.ok(stored !== undefined)
    forget(async () => {
      await backend.delete(stored.key, { ifRevision: stored.revision })
    })
    while (cacher.get(stored.key) !== undefined)
      await new Promise(resolve => setTimeout(resolve, 5))
    assert.equal(await status(), 404)
  } finally {
    admin.close()
    await other.close()
  }
})
