// Deletions whose outcome depends on the kind, as clients see them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'
import { valueAt } from '../resources/reading.ts'

const JOBS = '/apis/batch/v1/namespaces/default/jobs'
const PODS = '/api/v1/namespaces/default/pods'
const POD_SPEC = { restartPolicy: 'Never', containers: [{ name: 'run', image: 'shop:1' }] }

const { admin } = await serverForFile()

const post = (path: string, body: JsonObject) => admin.send({ method: 'POST', path, body })
const remove = (path: string) => admin.send({ method: 'DELETE', path })

test('a Job leaves its pods behind unless the client says otherwise, and warns of it', async () => {
  const body = (name: string) => ({ metadata: { name }, spec: { template: { spec: POD_SPEC } } })
  for (const name of ['kept', 'removed']) {
    assert.equal((await post(JOBS, body(name))).status, 201)
  }
  const kept = await remove(`${JOBS}/kept`)
  assert.deepEqual(valueAt(kept.json(), 'metadata.finalizers'), ['orphan'])
  assert.match(String(kept.headers.warning), /child pods are preserved by default/)
  const removed = await remove(`${JOBS}/removed?propagationPolicy=Background`)
  assert.equal(removed.json().status, 'Success')
  assert.equal(removed.headers.warning, undefined)
})

test('a pod that is gone is shown as its deletion marked it', async () => {
  await post(PODS, { metadata: { name: 'gone' }, spec: POD_SPEC })
  const shown = (await remove(`${PODS}/gone`)).json()
  assert.equal(shown.kind, 'Pod')
  assert.equal(valueAt(shown, 'metadata.deletionGracePeriodSeconds'), 0)
  assert.equal((await admin.send({ path: `${PODS}/gone` })).status, 404)
})

test('what is shown of an object that is gone has the revision at which it went', async () => {
  const path = '/apis/resource.k8s.io/v1/deviceclasses'
  const made = (await post(path, { metadata: { name: 'gone' } })).json()
  const shown = (await remove(`${path}/gone`)).json()
  assert.equal(shown.kind, 'DeviceClass')
  const revision = (obj: JsonObject) => Number(valueAt(obj, 'metadata.resourceVersion'))
  assert.ok(revision(shown) > revision(made))
  const list = (await admin.send({ path: `${path}?resourceVersion=${revision(shown)}` })).json()
  assert.deepEqual(list.items, [])
})

test('every answer about Endpoints says what to use instead', async () => {
  const path = '/api/v1/namespaces/default/endpoints'
  for (const url of [path, `${path}/absent`]) {
    const { headers } = await admin.send({ path: url })
    assert.match(String(headers.warning), /use discovery.k8s.io\/v1 EndpointSlice/)
  }
})
