// What clients find of old kinds of the core group.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'
import { objectsAt } from './reading.ts'

const { admin } = await serverForFile()

test('there are no component statuses, and the kind is old', async () => {
  const { status, headers, json } = await admin.send({ path: '/api/v1/componentstatuses' })
  assert.equal(status, 200)
  assert.deepEqual([json().kind, json().items], ['ComponentStatusList', []])
  assert.match(String(headers.warning), /v1 ComponentStatus is deprecated/)
})

test('no pod is bound to a node', async () => {
  const path = '/api/v1/namespaces/default/bindings'
  const bind = (name: string) =>
    admin.send({ method: 'POST', path, body: { metadata: { name }, target: { name: 'node' } } })
  assert.equal((await bind('absent')).status, 404)
  await admin.send({
    method: 'POST',
    path: '/api/v1/namespaces/default/pods',
    body: { metadata: { name: 'there' }, spec: { containers: [{ name: 'a', image: 'b' }] } },
  })
  assert.equal((await bind('there')).status, 501)
})

test('discovery names the group of a subresource only where it is another one', async () => {
  const { json } = await admin.send({ path: '/api/v1' })
  const found = (name: string) =>
    objectsAt(json(), 'resources').find(entry => entry.name === name) ?? assert.fail(name)
  assert.equal('version' in found('pods/exec'), false)
  assert.equal(found('pods/eviction').group, 'policy')
  assert.equal('storageVersionHash' in found('bindings'), false)
})
