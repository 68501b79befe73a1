// The writes that decide whether a VM keeps its address and its health, in the shapes istiod sends them: lock updates,
// token reviews, WorkloadEntry and its status, and address allocation by JSON patch. Needs no binaries.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  isObject,
  type JsonObject,
  type JsonValue,
} from '../../../packages/apimachinery/src/index.ts'
import { type ApiAnswer, ApiClient } from '../../harness/api-client.ts'
import { until } from '../../harness/child-process.ts'
import { startServer, type TestServer } from '../../harness/server.ts'
import { created, installMinimalIstio, metadataOf, vmToken } from './minimal-istio.ts'

const SYSTEM = '/api/v1/namespaces/istio-system/configmaps'
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/istio-system/leases'
const NETWORKING = '/apis/networking.istio.io/v1/namespaces/vm'
const ENTRIES = `${NETWORKING}/workloadentries`
const REVIEWS = '/apis/authentication.k8s.io/v1/tokenreviews'
const ONE = `${NETWORKING}/serviceentries/one`
const LEADER = 'control-plane.alpha.kubernetes.io/leader'

let server: TestServer
let client: ApiClient

const get = async (path: string): Promise<JsonObject> => (await client.send({ path })).json()
const put = async (path: string, body: JsonObject): Promise<ApiAnswer> =>
  await client.send({ method: 'PUT', path, body })
const at = (value: JsonValue | undefined, ...keys: readonly string[]): JsonValue | undefined =>
  keys.reduce<JsonValue | undefined>(
    (found, key) => (isObject(found) ? found[key] : undefined),
    value,
  )

before(async () => {
  server = await startServer()
  client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  await installMinimalIstio(client)
})
after(async () => {
  client.close()
  await server.close()
})

describe('locks', () => {
  const holders: readonly [path: string, lock: (holder: string) => JsonObject][] = [
    [
      SYSTEM,
      holder => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'lock', annotations: { [LEADER]: `{"holderIdentity":"${holder}"}` } },
      }),
    ],
    [
      LEASES,
      holder => ({
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: 'lock' },
        spec: { holderIdentity: holder, leaseDurationSeconds: 30 },
      }),
    ],
  ]
  for (const [path, lock] of holders) {
    it(`let one of two candidates take ${path.split('/').pop()}`, async () => {
      const made = metadataOf(await created(client, path, lock('nobody')))
      const take = (holder: string): Promise<ApiAnswer> => {
        const wanted = lock(holder)
        const metadata = isObject(wanted.metadata) ? wanted.metadata : {}
        const { uid = '', resourceVersion = '' } = made
        return put(`${path}/lock`, { ...wanted, metadata: { ...metadata, uid, resourceVersion } })
      }
      const codes = (await Promise.all([take('one'), take('two')])).map(({ status }) => status)
      assert.deepEqual(codes.sort(), [200, 409])
      assert.equal((await take('late')).json().reason, 'Conflict')
    })
  }

  it('keeps the resourceVersion of an update that changes nothing', async () => {
    const before = await get(`${SYSTEM}/istio`)
    const after = (await put(`${SYSTEM}/istio`, before)).json()
    assert.equal(
      at(after, 'metadata', 'resourceVersion'),
      at(before, 'metadata', 'resourceVersion'),
    )
  })
})

describe('TokenReview', () => {
  const review = async (token: string): Promise<JsonValue | undefined> => {
    const spec = { token, audiences: ['istio-ca'] }
    const answer = await created(client, REVIEWS, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      metadata: {},
      spec,
      status: { user: {} },
    })
    return answer.json().status
  }

  it('knows the ServiceAccount of a token for istiod', async () => {
    const status = await review(await vmToken(client, 'istio-ca'))
    assert.equal(at(status, 'authenticated'), true)
    assert.equal(at(status, 'user', 'username'), 'system:serviceaccount:vm:app-sa')
    const groups = at(status, 'user', 'groups')
    assert(Array.isArray(groups) && groups.includes('system:serviceaccounts'))
  })

  it('refuses a token for another audience, and what is no token', async () => {
    for (const token of [await vmToken(client, 'another'), 'no-token']) {
      const status = await review(token)
      assert.notEqual(at(status, 'authenticated'), true)
      assert.notEqual(at(status, 'error') ?? '', '')
    }
  })
})

describe('a WorkloadEntry', () => {
  const NAME = 'app-10.1.2.3'
  const identity = { apiVersion: 'networking.istio.io/v1', kind: 'WorkloadEntry' }
  const spec = { address: '10.1.2.3', serviceAccount: 'app-sa' }
  const healthy = { conditions: [{ type: 'Healthy', status: 'True' }] }
  let made: JsonObject

  before(async () => {
    const owner = await get(`${NETWORKING}/workloadgroups/app`)
    const metadata = {
      name: NAME,
      ownerReferences: [
        {
          apiVersion: 'networking.istio.io/v1',
          kind: 'WorkloadGroup',
          name: 'app',
          uid: at(owner, 'metadata', 'uid') ?? '',
          controller: true,
        },
      ],
    }
    made = (await created(client, ENTRIES, { ...identity, metadata, spec, status: {} })).json()
  })
  const metadata = (from: JsonObject): JsonObject => ({
    name: NAME,
    resourceVersion: at(from, 'metadata', 'resourceVersion') ?? '',
  })

  it('keeps its spec when its status is written with an empty one', async () => {
    const body = { ...identity, metadata: metadata(made), spec: {}, status: healthy }
    const answer = await put(`${ENTRIES}/${NAME}/status`, body)
    assert.equal(answer.status, 200, answer.bytes.toString())
    assert.deepEqual(answer.json().spec, spec)
    assert.deepEqual(answer.json().status, healthy)
    assert.equal(at(answer.json(), 'metadata', 'generation'), 1)
  })

  it('keeps its status, and what istiod leaves out of metadata, when it is written', async () => {
    const live = await get(`${ENTRIES}/${NAME}`)
    const body = { ...identity, metadata: metadata(live), spec: { ...spec, weight: 2 }, status: {} }
    const answer = await put(`${ENTRIES}/${NAME}`, body)
    assert.equal(answer.status, 200, answer.bytes.toString())
    const written = answer.json()
    assert.deepEqual(written.status, healthy)
    for (const field of ['uid', 'creationTimestamp'])
      assert.equal(at(written, 'metadata', field), at(made, 'metadata', field))
    assert.equal(at(written, 'metadata', 'generation'), 2)
  })

  it('refuses an update without resourceVersion', async () => {
    const answer = await put(`${ENTRIES}/${NAME}`, { ...identity, metadata: { name: NAME }, spec })
    assert.equal(answer.status, 422)
  })

  it('is deleted only in the version that istiod saw', async () => {
    const remove = (resourceVersion: string): Promise<ApiAnswer> =>
      client.send({
        method: 'DELETE',
        path: `${ENTRIES}/${NAME}`,
        body: {
          kind: 'DeleteOptions',
          apiVersion: 'networking.istio.io/v1',
          preconditions: { resourceVersion },
        },
      })
    assert.equal((await remove('1')).status, 409)
    const live = await get(`${ENTRIES}/${NAME}`)
    assert.equal((await remove(String(at(live, 'metadata', 'resourceVersion')))).status, 200)
    assert.equal((await client.send({ path: `${ENTRIES}/${NAME}` })).status, 404)
  })

  it('goes with its WorkloadGroup', async () => {
    const group = await created(client, `${NETWORKING}/workloadgroups`, {
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadGroup',
      metadata: { name: 'leaving' },
      spec: {},
    })
    const { uid = '' } = metadataOf(group)
    const owner = { apiVersion: 'networking.istio.io/v1', kind: 'WorkloadGroup', name: 'leaving' }
    await created(client, ENTRIES, {
      ...identity,
      metadata: { name: 'leaving-1', ownerReferences: [{ ...owner, uid, controller: true }] },
      spec,
    })
    await client.send({ method: 'DELETE', path: `${NETWORKING}/workloadgroups/leaving` })
    await until('the entry is gone', async () => {
      const { status } = await client.send({ path: `${ENTRIES}/leaving-1` })
      return status === 404 || undefined
    })
  })
})

describe('a ServiceEntry without addresses', () => {
  const patch = (operations: readonly JsonObject[]): Promise<ApiAnswer> =>
    client.send({
      method: 'PATCH',
      path: `${ONE}/status`,
      body: JSON.stringify(operations),
      headers: { 'content-type': 'application/json-patch+json' },
    })
  const set = (value: string, old: JsonValue): JsonObject[] => [
    { op: 'test', path: '/status/addresses', value: old },
    { op: 'replace', path: '/status/addresses', value: [{ value }] },
  ]
  const first = [
    { op: 'test', path: '/status', value: null },
    { op: 'add', path: '/status', value: {} },
    { op: 'add', path: '/status/addresses', value: [{ value: '240.240.0.1' }] },
  ]

  it('has no status to replace addresses in', async () => {
    assert.equal((await patch(set('240.240.0.1', null))).status, 422)
  })

  it('gets them once, and only over what the patch tests for', async () => {
    assert.equal((await patch(first)).status, 200)
    assert.equal((await patch(first)).status, 422)
    assert.equal((await patch(set('240.240.0.2', null))).status, 422)
    assert.equal((await patch(set('240.240.0.2', [{ value: '240.240.0.1' }]))).status, 200)
    const live = await get(ONE)
    assert.deepEqual(live.status, { addresses: [{ value: '240.240.0.2' }] })
    assert.deepEqual(at(live, 'spec', 'hosts'), ['one.example.com'])
  })
})
