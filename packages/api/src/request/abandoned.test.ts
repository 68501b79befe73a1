// Work for requests that nobody waits for any more: it stops before it is stored, and it stops trying.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:https'
import { after, before, test } from 'node:test'
import { type Backend, StorageError } from '@podless/storage'
import { openMemory } from '@podless/storage/testing'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'

const CONFIGMAPS = '/api/v1/namespaces/default/configmaps'
const JSON_TYPE = { 'content-type': 'application/json' }
const MERGE_PATCH = { 'content-type': 'application/merge-patch+json' }

const inner = openMemory()
/** What happens to the next writes instead of being stored. */
let instead: ((signal: AbortSignal | undefined) => Promise<never>) | undefined

const backend: Backend = new Proxy(inner, {
  get: (target, name) => {
    if (name === 'put' || name === 'delete') {
      return (...args: [string, never, never]) => {
        const { signal } = args.at(-1) as unknown as { signal?: AbortSignal }
        return args[0].includes('/default/held') && instead !== undefined
          ? instead(signal)
          : target[name](...args)
      }
    }
    const value: unknown = Reflect.get(target, name)
    return typeof value === 'function' ? value.bind(target) : value
  },
})

let server: TestServer
let client: ApiClient
const logged: string[] = []

before(async () => {
  server = await startServer({ backend, log: line => logged.push(line) })
  client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  const body = { metadata: { name: 'held' } }
  assert.equal((await client.send({ method: 'POST', path: CONFIGMAPS, body })).status, 201)
})
after(async () => {
  client.close()
  await server.close()
})

const writes: readonly [method: string, path: string, headers: object, body: object][] = [
  ['POST', CONFIGMAPS, JSON_TYPE, { metadata: { name: 'held-new' } }],
  ['PUT', `${CONFIGMAPS}/held`, JSON_TYPE, { metadata: { name: 'held' }, data: { a: 'b' } }],
  ['PATCH', `${CONFIGMAPS}/held`, MERGE_PATCH, { data: { a: 'c' } }],
  ['DELETE', `${CONFIGMAPS}/held`, {}, {}],
  ['DELETE', CONFIGMAPS, {}, {}],
]

for (const [method, path, headers, body] of writes) {
  test(`a client that leaves stops its write: ${method} ${path}`, async () => {
    const begun = Promise.withResolvers<void>()
    const stopped = Promise.withResolvers<void>()
    instead = async signal => {
      begun.resolve()
      if (signal !== undefined) await once(signal, 'abort')
      stopped.resolve()
      throw signal?.reason
    }
    const { certificate: cert, key } = server.admin
    const options = { method, headers: { ...headers }, ca: server.ca, cert, key, agent: false }
    const sent = request(new URL(path, server.url), options)
    sent.on('error', () => undefined)
    sent.end(method === 'DELETE' ? undefined : JSON.stringify(body))
    await begun.promise
    sent.destroy()
    await stopped.promise
    instead = undefined
    assert.equal((await client.send({ path: `${CONFIGMAPS}/held` })).status, 200)
    assert.ok(!logged.some(line => line.includes('unexpectedly')))
  })
}

test('a patch that loses every race ends when its time is over, and tries no more', async () => {
  let tries = 0
  instead = async () => {
    tries += 1
    // Somebody else was faster, every time.
    await new Promise(resolve => setImmediate(resolve))
    throw new StorageError('conflict')
  }
  // A busy machine may come to the first try when a short time is over already.
  for (let timeoutMs = 50; tries === 0; timeoutMs *= 2) {
    const { status } = await client.send({
      method: 'PATCH',
      path: `${CONFIGMAPS}/held?timeout=${timeoutMs}ms`,
      headers: MERGE_PATCH,
      body: { data: { a: 'd' } },
    })
    assert.equal(status, 504)
  }
  const before = tries + 1
  for (let turn = 0; turn < 100; turn += 1) await new Promise(resolve => setImmediate(resolve))
  assert.ok(tries <= before)
  instead = undefined
})
