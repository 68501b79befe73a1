// What a FlowSchema says of the priority level it names, seen through the API.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'

const GROUP = '/apis/flowcontrol.apiserver.k8s.io/v1'
const SCHEMAS = `${GROUP}/flowschemas`
const LEVELS = `${GROUP}/prioritylevelconfigurations`
const apiVersion = 'flowcontrol.apiserver.k8s.io/v1'

let server: TestServer
let client: ApiClient

before(async () => {
  server = await startServer()
  client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
})
after(async () => {
  client.close()
  await server.close()
})

async function send(method: string, path: string, body?: JsonObject): Promise<JsonObject> {
  const answer = await client.send({ method, path, ...(body === undefined ? {} : { body }) })
  assert.ok(answer.status < 300, answer.bytes.toString())
  return answer.json() as JsonObject
}

const makeLevel = () =>
  send('POST', LEVELS, {
    apiVersion,
    kind: 'PriorityLevelConfiguration',
    metadata: { name: 'mine' },
    spec: { type: 'Limited', limited: { limitResponse: { type: 'Reject' } } },
  })

/** The conditions, once the first of them has this status; the test runner's own limit ends a wait in vain. */
async function conditionsOnce(status: string): Promise<readonly JsonObject[]> {
  for (;;) {
    const schema = await send('GET', `${SCHEMAS}/mine`)
    const conditions = ((schema.status as JsonObject).conditions ?? []) as JsonObject[]
    if (conditions[0]?.status === status) return conditions
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

test('a FlowSchema says whether its priority level is there, as that comes and goes', async () => {
  await send('POST', SCHEMAS, {
    apiVersion,
    kind: 'FlowSchema',
    metadata: { name: 'mine' },
    spec: { priorityLevelConfiguration: { name: 'mine' } },
  })
  const subject = 'This FlowSchema references the PriorityLevelConfiguration object named "mine"'
  const expected = {
    True: { reason: 'NotFound', message: `${subject} but there is no such object` },
    False: { reason: 'Found', message: `${subject} and it exists` },
  }
  for (const step of ['missing', 'made', 'deleted'] as const) {
    if (step === 'made') await makeLevel()
    if (step === 'deleted') await send('DELETE', `${LEVELS}/mine`)
    const status = step === 'made' ? 'False' : 'True'
    const [condition = {}, ...more] = await conditionsOnce(status)
    assert.deepEqual(more, [])
    assert.match(String(condition.lastTransitionTime), /^[-0-9]+T[:0-9]+Z$/)
    assert.deepEqual(
      { ...condition, lastTransitionTime: '' },
      { type: 'Dangling', status, lastTransitionTime: '', ...expected[status] },
    )
  }
})
