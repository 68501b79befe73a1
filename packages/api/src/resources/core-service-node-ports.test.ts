// Node ports over the wire: who gets which, who is refused, and when a number is free again.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isObject, type JsonObject } from '@podless/apimachinery'
import { openMemory } from '@podless/storage/testing'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'

const PATH = '/api/v1/namespaces/default/services'
/** Outlives the servers over it. */
const memory = openMemory()
const backend = new Proxy(memory, {
  get: (target, name) => {
    if (name === 'close') return async () => undefined
    const value: unknown = Reflect.get(target, name)
    return typeof value === 'function' ? value.bind(target) : value
  },
})

let server: TestServer
let client: ApiClient

async function open(): Promise<void> {
  server = await startServer({ backend })
  client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
}
before(open)
after(async () => {
  client.close()
  await server.close()
  await memory.close()
})

interface Answer {
  readonly code: number
  readonly message: unknown
  readonly spec: JsonObject
  readonly nodePorts: readonly unknown[]
}

async function send(method: string, path: string, body: JsonObject): Promise<Answer> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  const headers = { 'content-type': type }
  const answer = await client.send({ method, path, body, headers })
  const { message, spec } = answer.json()
  const fields = isObject(spec) ? spec : {}
  const ports = Array.isArray(fields.ports) ? fields.ports : []
  const nodePorts = ports.map(port => isObject(port) && port.nodePort)
  return { code: answer.status, message, spec: fields, nodePorts }
}

const create = (name: string, spec: JsonObject, query = ''): Promise<Answer> =>
  send('POST', `${PATH}${query}`, { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec })
const patch = (name: string, spec: JsonObject): Promise<Answer> =>
  send('PATCH', `${PATH}/${name}`, { spec })
const remove = (name: string): Promise<unknown> =>
  client.send({ method: 'DELETE', path: `${PATH}/${name}` })
/** Numbers given below are of the range's static part, which nobody gets who names none. */
const one = (nodePort?: number): JsonObject => ({
  type: 'NodePort',
  ports: [{ port: 80, ...(nodePort === undefined ? {} : { nodePort }) }],
})

test('every port of a NodePort and a LoadBalancer gets a number of the range, protocols share one', async () => {
  const ports = [
    { name: 'a', port: 53, protocol: 'UDP' },
    { name: 'b', port: 53, protocol: 'TCP' },
    { name: 'c', port: 80 },
  ]
  const { nodePorts } = await create('dns', { type: 'LoadBalancer', ports })
  for (const port of nodePorts) assert.ok(Number(port) >= 30_000 && Number(port) <= 32_767)
  assert.equal(nodePorts[0], nodePorts[1])
  assert.notEqual(nodePorts[0], nodePorts[2])
  const none = { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }] }
  assert.deepEqual((await create('bare', none)).nodePorts, [undefined])
})

test('a number that is taken or out of range is 422 with its path', async () => {
  assert.equal((await create('first', one(30_010))).code, 201)
  const taken = await create('second', one(30_010))
  assert.equal(taken.code, 422)
  const field = 'spec.ports[0].nodePort: Invalid value'
  assert.equal(
    taken.message,
    `Service "second" is invalid: ${field}: 30010: provided port is already allocated`,
  )
  const outside = await create('second', one(80))
  assert.match(String(outside.message), /The range of valid ports is 30000-32767$/)
})

test('dry runs and refused writes reserve nothing', async () => {
  assert.equal((await create('dry', one(30_020), '?dryRun=All')).code, 201)
  const bad = { ...one(30_020), externalIPs: ['x'] }
  assert.equal((await create('refused', bad)).code, 422)
  assert.equal((await create('plain', { ports: [{ port: 80 }] })).code, 201)
  assert.equal((await patch('plain', bad)).code, 422)
  assert.equal((await create('taker', one(30_020))).code, 201)
})

test('an update keeps its numbers, and ClusterIP and deletion give them back', async () => {
  assert.equal((await create('moves', one(30_030))).code, 201)
  const replaced = await send('PATCH', `${PATH}/moves`, { spec: { ports: [{ port: 80 }] } })
  assert.deepEqual(replaced.nodePorts, [30_030])
  const inside = await patch('moves', { type: 'ClusterIP', externalTrafficPolicy: null })
  assert.equal(inside.code, 200, String(inside.message))
  assert.deepEqual(inside.nodePorts, [undefined])
  assert.equal((await create('next', one(30_030))).code, 201)
  await remove('next')
  assert.equal((await create('last', one(30_030))).code, 201)
})

test('a balanced Service that keeps traffic local gets a port for its health check', async () => {
  const local = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports: [{ port: 80 }] }
  const { spec } = await create('local', local)
  assert.ok(Number(spec.healthCheckNodePort) >= 30_000)
  const { spec: now } = await patch('local', { externalTrafficPolicy: 'Cluster' })
  assert.equal(now.healthCheckNodePort, undefined)
})

test('a restart knows what is taken', async () => {
  assert.equal((await create('before', one(30_040))).code, 201)
  client.close()
  await server.close()
  await open()
  assert.equal((await create('after', one(30_040))).code, 422)
})
