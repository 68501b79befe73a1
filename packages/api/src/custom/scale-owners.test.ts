// Who owns the replicas of a workload when they are written through /scale, and what an apply there does. A real server
// answers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject, ManagedFieldsEntry } from '@podless/apimachinery'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'

const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments'
const MERGE = 'application/merge-patch+json'
const APPLY = 'application/apply-patch+yaml'

const { admin: client } = await serverForFile()

const patch = (path: string, type: string, body: JsonObject) =>
  client.send({
    method: 'PATCH',
    path: `${DEPLOYMENTS}/${path}`,
    body,
    headers: { 'content-type': type },
  })

const scaleTo = (name: string, replicas: number): JsonObject => ({
  apiVersion: 'autoscaling/v1',
  kind: 'Scale',
  metadata: { name },
  spec: { replicas },
})

async function make(name: string): Promise<void> {
  const labels = { app: name }
  const containers = [{ name: 'c', image: 'i' }]
  const spec = {
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers } },
  }
  const path = `${DEPLOYMENTS}?fieldManager=author`
  const { status } = await client.send({ method: 'POST', path, body: { metadata: { name }, spec } })
  assert.equal(status, 201)
}

/** `manager operation subresource` of whoever owns spec.replicas. */
async function owners(name: string): Promise<string[]> {
  const { json } = await client.send({ method: 'GET', path: `${DEPLOYMENTS}/${name}` })
  const { managedFields = [] } = json().metadata as { managedFields?: ManagedFieldsEntry[] }
  const ownsReplicas = ({ fieldsV1 }: ManagedFieldsEntry): boolean =>
    ((fieldsV1 as JsonObject)['f:spec'] as JsonObject | undefined)?.['f:replicas'] !== undefined
  return managedFields
    .filter(ownsReplicas)
    .map(({ manager, operation, subresource, apiVersion }) =>
      [manager, operation, subresource, apiVersion].join(' '),
    )
}

test('who scales takes the replicas from whoever had them', async () => {
  await make('taken')
  assert.deepEqual(await owners('taken'), ['author Update  apps/v1'])
  const { status } = await patch('taken/scale?fieldManager=hpa', MERGE, { spec: { replicas: 4 } })
  assert.equal(status, 200)
  assert.deepEqual(await owners('taken'), ['hpa Update scale apps/v1'])
})

test('a scale that changes nothing takes nothing', async () => {
  await make('kept')
  await patch('kept/scale?fieldManager=hpa', MERGE, { spec: { replicas: 1 } })
  assert.deepEqual(await owners('kept'), ['author Update  apps/v1'])
})

test('an apply through /scale meets the owner, and takes by force only', async () => {
  await make('applied')
  await patch('applied/scale?fieldManager=hpa', MERGE, { spec: { replicas: 4 } })
  const path = 'applied/scale?fieldManager=sizer'
  const refused = await patch(path, APPLY, scaleTo('applied', 2))
  assert.equal(refused.status, 409)
  assert.match(
    String(refused.json().message),
    /conflict with "hpa" with subresource "scale" using autoscaling\/v1: \.spec\.replicas/,
  )
  const forced = await patch(`${path}&force=true`, APPLY, scaleTo('applied', 2))
  assert.equal(forced.status, 200)
  assert.deepEqual(forced.json().spec, { replicas: 2 })
  assert.deepEqual(await owners('applied'), ['sizer Apply scale apps/v1'])
})
