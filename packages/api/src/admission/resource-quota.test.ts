// Quotas from outside, as a client of a real server meets them: scopes, refusals, and room that an ended pod leaves.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'

const NAMESPACE = '/api/v1/namespaces/default'
const QUOTAS = `${NAMESPACE}/resourcequotas`
const PODS = `${NAMESPACE}/pods`

const { admin: client } = await serverForFile()
before(async () => {
  await limit('brief', ['Terminating'], { pods: '2' })
  await limit('lasting', ['NotTerminating'], { pods: '1', 'requests.cpu': '1' })
})

async function limit(name: string, scopes: string[], hard: JsonObject): Promise<void> {
  const body = { metadata: { name }, spec: { scopes, hard } }
  assert.equal((await client.send({ method: 'POST', path: QUOTAS, body })).status, 201)
  await untilUsed(name, Object.fromEntries(Object.keys(hard).map(key => [key, '0'])))
}

async function untilUsed(name: string, expected: JsonObject): Promise<void> {
  for (;;) {
    const { status } = (await client.send({ path: `${QUOTAS}/${name}` })).json()
    const { used } = (status ?? {}) as JsonObject
    if (JSON.stringify(used) === JSON.stringify(expected)) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

async function runPod(name: string, spec: JsonObject, cpu = '100m'): Promise<string> {
  const resources = cpu === '' ? {} : { requests: { cpu } }
  const containers = [{ name: 'a', image: 'b', resources }]
  const body = { metadata: { name }, spec: { containers, ...spec } }
  const answer = await client.send({ method: 'POST', path: PODS, body })
  return answer.status === 201 ? 'created' : String(answer.json().message)
}

test('a pod counts towards the quotas whose scopes it is in, until it ends', async () => {
  assert.match(
    await runPod('mute', {}, ''),
    /failed quota: lasting: must specify requests\.cpu for: a$/,
  )
  assert.equal(await runPod('first', {}), 'created')
  assert.match(await runPod('second', {}), /exceeded quota: lasting, requested: pods=1/)
  assert.equal(await runPod('mute', { activeDeadlineSeconds: 60 }, ''), 'created')
  await untilUsed('lasting', { pods: '1', 'requests.cpu': '100m' })
  await untilUsed('brief', { pods: '1' })

  const ended = await client.send({
    method: 'PATCH',
    path: `${PODS}/first/status`,
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { status: { phase: 'Succeeded' } },
  })
  assert.equal(ended.status, 200)
  await untilUsed('lasting', { pods: '0', 'requests.cpu': '0' })
  assert.equal(await runPod('second', {}), 'created')
})
