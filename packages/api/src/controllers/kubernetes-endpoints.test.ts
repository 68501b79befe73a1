// Where the API servers are, in the Endpoints and the EndpointSlice of the Service default/kubernetes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { equalJson, type JsonObject, type KubeObject } from '@podless/apimachinery'
import { type Backend, createStorage, openCacher } from '@podless/storage'
import { manualTime, openMemory } from '@podless/storage/testing'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { startServer } from '../../../../test/harness/server.ts'
import { Registry } from '../registry.ts'
import { builtinResources } from '../resources/index.ts'
import { startKubernetesEndpoints } from './kubernetes-endpoints.ts'
import { Objects } from './objects.ts'

const LEASES = '/registry/masterleases/'
const [A, B] = ['192.0.2.10', '192.0.2.11']
const HOUR_MS = 3_600_000
const https = (port: number): JsonObject[] => [{ name: 'https', port, protocol: 'TCP' }]

async function open(backend: Backend): Promise<Objects> {
  const onFatal = (error: unknown): never => {
    throw error
  }
  const cacher = await openCacher(backend, { now: () => performance.now(), onFatal })
  const registry = new Registry()
  registry.replace('', builtinResources())
  const storage = createStorage(backend, cacher)
  return new Objects({ storage, registry, now: () => new Date() })
}

const silent = () => undefined
const log = { debug: silent, info: silent, warn: silent, error: silent }

/** A server's loop over a store that others may share. */
function start(objects: Objects, advertised: string, renewMs = HOUR_MS) {
  return startKubernetesEndpoints({ objects, advertised, log, renewMs })
}

const read = (objects: Objects, group: string, resource: string): KubeObject | undefined =>
  objects.get(objects.registry.builtin(group, resource), 'default', 'kubernetes')

const endpointsOf = (objects: Objects) => read(objects, '', 'endpoints')
const sliceOf = (objects: Objects) => read(objects, 'discovery.k8s.io', 'endpointslices')

const subsetOf = (objects: Objects): JsonObject =>
  ((endpointsOf(objects)?.subsets ?? []) as JsonObject[])[0] ?? {}

/** Waits until the cache shows everything that was written. */
const settled = async (objects: Objects): Promise<void> => {
  await objects.storage.get(LEASES)
}

/** Asks again until something holds; the test runner's own limit ends a wait in vain. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setTimeout(resolve, 1))
}

/** Waits until both objects have these addresses. */
const untilAt = (objects: Objects, addresses: readonly string[]): Promise<void> =>
  until(() => {
    const inEndpoints = ((subsetOf(objects).addresses ?? []) as JsonObject[]).map(({ ip }) => ip)
    const slices = (sliceOf(objects)?.endpoints ?? []) as JsonObject[]
    const inSlice = slices.flatMap(endpoint => endpoint.addresses as string[])
    return [inEndpoints, inSlice].every(found => equalJson(found as string[], [...addresses]))
  })

/** Another server's sign of life. */
const lease = (address: string): Buffer =>
  Buffer.from(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: {},
      subsets: [{ addresses: [{ ip: address }] }],
    }),
  )

test('a server that is reached at an address is there from its first answer on', async () => {
  const backend = openMemory()
  const server = await startServer({ backend, config: { advertise: `${A}:16443` } })
  const url = `https://127.0.0.1:${server.server.port}`
  const client = new ApiClient({ url, ca: server.ca, ...server.admin })
  const get = async (path: string): Promise<JsonObject> =>
    (await client.send({ path })).json() as JsonObject
  const places = {
    endpoints: '/api/v1/namespaces/default/endpoints/kubernetes',
    slice: '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes',
  }
  const [endpoints, slice] = [await get(places.endpoints), await get(places.slice)]
  assert.deepEqual(endpoints.subsets, [{ addresses: [{ ip: A }], ports: https(16_443) }])
  assert.deepEqual((endpoints.metadata as JsonObject).labels, {
    'endpointslice.kubernetes.io/skip-mirror': 'true',
  })
  assert.deepEqual((slice.metadata as JsonObject).labels, {
    'kubernetes.io/service-name': 'kubernetes',
  })
  assert.deepEqual(
    [slice.addressType, slice.endpoints, slice.ports],
    ['IPv4', [{ addresses: [A], conditions: { ready: true } }], https(16_443)],
  )
  for (const path of Object.values(places)) {
    const { metadata } = await get(path)
    const { uid } = metadata as JsonObject
    await client.send({ method: 'DELETE', path })
    let found: unknown
    do {
      found = ((await get(path)).metadata as JsonObject).uid
    } while (found === undefined || found === uid)
  }
  client.close()
  await server.close()
})

test('servers over one store are there together; who goes or dies is taken out', async () => {
  const time = manualTime()
  const backend = openMemory(time)
  const objects = await open(backend)
  const server = start(objects, `${A}:6443`)
  await server.idle()
  await backend.put(LEASES + B, lease(B), { ifRevision: 0, ttlSeconds: 60 })
  await untilAt(objects, [A, B])
  time.advance(30_000)
  // Who writes none for so long is taken for dead; this one lives, and says so at once.
  await until(async () => (await backend.get(LEASES + A)).entry !== undefined)
  time.advance(31_000)
  await untilAt(objects, [A])
  await server.close()
  await settled(objects)
  assert.deepEqual([subsetOf(objects), sliceOf(objects)?.endpoints], [{}, null])
  assert.deepEqual((await backend.list(LEASES)).entries, [])
  await objects.storage.close()
})

test('a server renews its lease before that ends', async () => {
  const ttls: (number | undefined)[] = []
  const inner = openMemory()
  const renewed = Promise.withResolvers<void>()
  const backend: Backend = {
    get: (key, options) => inner.get(key, options),
    list: (prefix, options) => inner.list(prefix, options),
    revision: options => inner.revision(options),
    delete: (key, options) => inner.delete(key, options),
    watch: (prefix, options) => inner.watch(prefix, options),
    compact: revision => inner.compact(revision),
    close: () => inner.close(),
    put: (key, value, options) => {
      if (key === LEASES + A && ttls.push(options.ttlSeconds) === 3) renewed.resolve()
      return inner.put(key, value, options)
    },
  }
  const objects = await open(backend)
  const server = start(objects, `${A}:6443`, 1)
  await renewed.promise
  await server.close()
  assert.deepEqual(ttls.slice(0, 3), [15, 15, 15])
  await objects.storage.close()
})

test('a server on another port says so when it is alone, and leaves the ports of others', async () => {
  const backend = openMemory()
  const objects = await open(backend)
  const first = start(objects, `${A}:6443`)
  await first.idle()
  const second = start(objects, `${B}:7443`)
  await untilAt(objects, [A, B])
  assert.deepEqual(subsetOf(objects).ports, https(6443))
  await first.close()
  await untilAt(objects, [B])
  await until(() => equalJson(subsetOf(objects).ports, https(7443)))
  await until(() => equalJson(sliceOf(objects)?.ports, https(7443)))
  await second.close()
  await objects.storage.close()
})

test('addresses of the other family make a slice of that', async () => {
  const objects = await open(openMemory())
  const old = start(objects, `${A}:6443`)
  await old.idle()
  await old.close()
  await settled(objects)
  assert.deepEqual([subsetOf(objects), sliceOf(objects)?.addressType], [{}, 'IPv4'])
  const server = start(objects, '[2001:db8::10]')
  await server.idle()
  await settled(objects)
  assert.deepEqual(subsetOf(objects), {
    addresses: [{ ip: '2001:db8::10' }],
    ports: https(443),
  })
  assert.equal(sliceOf(objects)?.addressType, 'IPv6')
  await server.close()
  await objects.storage.close()
})

test('a server that only its machine reaches adds nothing, and takes out the dead alone', async () => {
  const objects = await open(openMemory())
  for (const advertised of ['127.0.0.1:6443', 'localhost:6443', '[::1]:6443', 'api.example.com']) {
    const server = start(objects, advertised)
    await server.idle()
    await server.close()
    await settled(objects)
    assert.equal(endpointsOf(objects), undefined, advertised)
  }
  const made = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name: 'kubernetes', namespace: 'default', labels: {} },
    subsets: [{ addresses: [{ ip: A }], ports: https(6443) }],
  }
  const kind = objects.registry.builtin('', 'endpoints')
  await objects.create(kind, made)
  const server = start(objects, '127.0.0.1:6443')
  await server.idle()
  await settled(objects)
  assert.deepEqual(endpointsOf(objects)?.subsets, made.subsets)
  await objects.change(kind, 'default', 'kubernetes', live => {
    live.metadata.labels = { 'endpointslice.kubernetes.io/skip-mirror': 'true' }
  })
  await untilAt(objects, [])
  await server.close()
  await objects.storage.close()
})
