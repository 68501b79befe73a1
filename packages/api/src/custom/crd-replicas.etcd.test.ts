// Two servers over one etcd: a CRD made at one is served by the other, its schema is swapped in both while requests are
// under way, and none of them fails.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { openEtcd } from '@podless/storage'
import { PATIENT } from '@podless/storage/testing'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { missingPrograms } from '../../../../test/harness/child-process.ts'
import { type EtcdServer, startEtcd } from '../../../../test/harness/etcd.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const MUGS = '/apis/two.example.com/v1/mugs'

const versionWith = (field: string): JsonObject => ({
  name: 'v1',
  served: true,
  storage: true,
  schema: {
    openAPIV3Schema: {
      type: 'object',
      properties: {
        spec: {
          type: 'object',
          properties: { [field]: { type: 'string', default: field } },
        },
      },
    },
  },
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setTimeout(resolve, 5))
}

describe('two servers over one etcd', { skip: missingPrograms('etcd') }, () => {
  let folder: string
  let etcd: EtcdServer
  const servers: TestServer[] = []
  const clients: ApiClient[] = []
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'podless-replicas-'))
    etcd = await startEtcd(folder)
    for (let i = 0; i < 2; i += 1) {
      const endpoints = [etcd.endpoint]
      const backend = await openEtcd({ endpoints, compaction: false, ...PATIENT })
      const server = await startServer({ backend })
      servers.push(server)
      clients.push(new ApiClient({ url: server.url, ca: server.ca, ...server.admin }))
    }
  })
  after(async () => {
    for (const client of clients) client.close()
    for (const server of servers) await server.close()
    await etcd?.child.stop()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  })

  const specAt = async (client: ApiClient): Promise<JsonObject> =>
    (await client.send({ path: `${MUGS}/m` })).json().spec as JsonObject

  it('serves a CRD made at the other, and swaps its schema under load', async () => {
    const [first, second] = clients as [ApiClient, ApiClient]
    const made = await first.send({
      method: 'POST',
      path: CRDS,
      body: {
        metadata: { name: 'mugs.two.example.com' },
        spec: {
          group: 'two.example.com',
          scope: 'Cluster',
          names: { plural: 'mugs', kind: 'Mug' },
          versions: [versionWith('a')],
        },
      },
    })
    assert.equal(made.status, 201)
    await until(async () => (await second.send({ path: MUGS })).status === 200)
    const mug = { apiVersion: 'two.example.com/v1', kind: 'Mug', metadata: { name: 'm' }, spec: {} }
    assert.equal((await second.send({ method: 'POST', path: MUGS, body: mug })).status, 201)

    const codes = new Set<number>()
    let stopped = false
    const load = clients.map(async (client, i) => {
      for (let n = 0; !stopped; n += 1) {
        const body = { ...mug, metadata: { name: `load-${i}-${n}` } }
        codes.add((await client.send({ method: 'POST', path: MUGS, body })).status)
        codes.add((await client.send({ path: `${MUGS}?limit=5` })).status)
      }
    })
    for (const field of ['b', 'c', 'd', 'e', 'f', 'g']) {
      const changed = await first.send({
        method: 'PATCH',
        path: `${CRDS}/mugs.two.example.com`,
        headers: { 'content-type': 'application/merge-patch+json' },
        body: { spec: { versions: [versionWith(field)] } },
      })
      assert.equal(changed.status, 200)
      for (const client of clients) await until(async () => field in (await specAt(client)))
    }
    stopped = true
    await Promise.all(load)
    assert.deepEqual([...codes].sort(), [200, 201])
  })
})
