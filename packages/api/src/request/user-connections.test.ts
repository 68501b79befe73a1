// How many connections one user may have: cut by certificate, refused by token, counted exactly, and nobody else's loss.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { after, before, test } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { createClientCertificate } from '@podless/identity'
import fc from 'fast-check'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'
import type { Connection } from '../serving/exchange.ts'
import { UserConnections } from './user-connections.ts'

const MAX = 2
const PATH = '/apis'
const ACCOUNTS = '/api/v1/namespaces/default/serviceaccounts'

let server: TestServer
let admin: ApiClient
const tokens = new Map<string, string>()

before(async () => {
  server = await startServer({ config: { maxConnectionsPerUser: MAX } })
  admin = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  for (const name of ['greedy', 'istiod']) await addAccount(name)
})
after(async () => {
  admin.close()
  await server.close()
})

async function addAccount(name: string): Promise<void> {
  await admin.send({ method: 'POST', path: ACCOUNTS, body: { metadata: { name } } })
  const answer = await admin.send({ method: 'POST', path: `${ACCOUNTS}/${name}/token`, body: {} })
  tokens.set(name, String((answer.json().status as { token: string }).token))
}

const bearer = (name: string) => ({ authorization: `Bearer ${tokens.get(name)}` })
const nobody = (): ApiClient =>
  new ApiClient({ url: server.url, ca: server.ca, certificate: '', key: '' })

/** A TLS connection by which nothing is asked, and whether the server keeps it. */
function opened(user: string, groups: readonly string[] = []): TLSSocket {
  const made = createClientCertificate(server.pki.authority, {
    user,
    groups,
    now: new Date(),
    ttlSeconds: 3600,
  })
  const { hostname: host, port } = new URL(server.url)
  const access = { host, port: Number(port), ca: server.ca, cert: made.certificate, key: made.key }
  const socket = connectTls({ ...access, ALPNProtocols: ['http/1.1'] })
  return socket.on('error', () => undefined)
}

/** TLS 1.3 lets a client speak before it knows whether it is let in: the answer tells. */
async function isServed(socket: TLSSocket): Promise<boolean> {
  // One that is cut may end in an error first.
  const heard = new Promise<boolean>(resolve => {
    socket.once('data', () => resolve(true)).once('close', () => resolve(false))
  })
  socket.write('GET /version HTTP/1.1\r\nHost: a\r\n\r\n')
  return await heard
}

async function metric(name: string): Promise<number> {
  const text = (await admin.send({ path: '/metrics' })).bytes.toString()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}

async function allGone(): Promise<void> {
  while ((await metric('podless_user_connections')) > 0);
}

test('by certificate, one connection too many is cut before its first request, and those of others are not', async () => {
  const refused = await metric('podless_user_connections_refused_total')
  const first = [opened('anna'), opened('anna')]
  for (const socket of first) assert.equal(await isServed(socket), true)
  assert.equal(await isServed(opened('anna')), false)
  assert.equal(await metric('podless_user_connections_refused_total'), refused + 1)
  const others = [opened('bert'), ...Array.from({ length: MAX + 1 }, masters)]
  for (const socket of others) assert.equal(await isServed(socket), true)
  assert.equal(await metric('podless_user_connections'), MAX + 1)
  first[0]?.destroy()
  let next = opened('anna')
  while (!(await isServed(next))) next = opened('anna')
  for (const socket of [...first, ...others, next]) socket.destroy()
  await allGone()
})

const masters = (): TLSSocket => opened('root', ['system:masters'])

test('by token, one too many is 429 and closed, over HTTP/1.1 and HTTP/2; istiod, health checks and the nameless go on', async () => {
  const greedy = Array.from({ length: MAX }, nobody)
  for (const client of greedy) {
    assert.equal((await client.send({ path: PATH, headers: bearer('greedy') })).status, 200)
  }
  const one = nobody()
  const refused = await one.send({ path: PATH, headers: bearer('greedy') })
  assert.equal(refused.status, 429)
  assert.equal(refused.bytes.toString(), 'Too many requests, please try again later.\n')
  assert.equal(refused.headers['retry-after'], '1')
  assert.equal(refused.headers.connection, 'close')
  const two = await http2Answer({ ':path': PATH, ...bearer('greedy') })
  assert.deepEqual(two, { status: 429, retryAfter: '1' })
  assert.equal((await one.send({ path: '/readyz', headers: bearer('greedy') })).status, 200)
  assert.equal((await one.send({ path: '/version' })).status, 200)
  const istiod = Array.from({ length: MAX }, nobody)
  for (const client of istiod) {
    assert.equal((await client.send({ path: PATH, headers: bearer('istiod') })).status, 200)
  }
  // Those that were let in stay so.
  assert.equal((await greedy[0]?.send({ path: PATH, headers: bearer('greedy') }))?.status, 200)
  for (const client of [...greedy, ...istiod, one]) client.close()
  await allGone()
})

/** What an HTTP/2 connection is told before the server ends it. */
async function http2Answer(head: Record<string, string>): Promise<unknown> {
  const client: ClientHttp2Session = connectHttp2(server.url, { ca: server.ca })
  const ended = new Promise(resolve => client.once('close', resolve))
  client.on('error', () => undefined)
  const stream = client.request(head)
  const [answer] = await once(stream, 'response')
  stream.resume()
  await ended
  return { status: answer[':status'], retryAfter: answer['retry-after'] }
}

test('a WebSocket that is refused is told when to come back', async () => {
  const greedy = Array.from({ length: MAX }, nobody)
  for (const client of greedy) await client.send({ path: PATH, headers: bearer('greedy') })
  const client = nobody()
  const headers = {
    ...bearer('greedy'),
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': Buffer.alloc(16).toString('base64'),
  }
  const answer = await client.send({ path: '/api/v1/namespaces?watch=true', headers })
  assert.equal(answer.status, 429)
  assert.equal(answer.headers['retry-after'], '1')
  for (const one of [...greedy, client]) one.close()
  await allGone()
})

test('a connection counts for the last user on it, and an anonymous request takes it off nobody', async () => {
  const client = nobody()
  await client.send({ path: PATH, headers: bearer('greedy') })
  assert.equal((await client.send({ path: PATH })).status, 403)
  assert.equal(await metric('podless_user_connections'), 1)
  await client.send({ path: PATH, headers: bearer('istiod') })
  assert.equal(await metric('podless_user_connections'), 1)
  const all = Array.from({ length: MAX }, nobody)
  for (const one of all) {
    assert.equal((await one.send({ path: PATH, headers: bearer('greedy') })).status, 200)
  }
  assert.equal((await client.send({ path: PATH, headers: bearer('greedy') })).status, 429)
  for (const one of [...all, client]) one.close()
  await allGone()
})

test('connections of who lost their credentials count for nobody who has the name since', async () => {
  const lost = Array.from({ length: MAX }, nobody)
  for (const client of lost) {
    assert.equal((await client.send({ path: PATH, headers: bearer('greedy') })).status, 200)
  }
  await admin.send({ method: 'DELETE', path: `${ACCOUNTS}/greedy` })
  await addAccount('greedy')
  const client = nobody()
  assert.equal((await client.send({ path: PATH, headers: bearer('greedy') })).status, 200)
  for (const one of [...lost, client]) one.close()
  await allGone()
})

test('a connection that dies under a request that waits is let go', async () => {
  const client = connectHttp2(server.url, { ca: server.ca }).on('error', () => undefined)
  const path = '/api/v1/namespaces/default/configmaps'
  const stream = client.request({ ':method': 'POST', ':path': path, ...bearer('greedy') })
  stream.on('error', () => undefined)
  while ((await metric('podless_user_connections')) === 0);
  client.destroy()
  await allGone()
})

const USERS = ['a', 'b', 'c'] as const
const step = fc.record({
  connection: fc.nat(5),
  act: fc.constantFrom('asks', 'asks', 'closes'),
  user: fc.constantFrom(...USERS),
})

test('whatever connections do, each counts once, for one user, within the limit, and not beyond its end', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const counted = new UserConnections(MAX)
      const open = new Map<number, { connection: Connection; ends: (() => void)[] }>()
      const ending = new Set<number>()
      const holders = new Map<number, string>()
      const held = (name: string) => [...holders.values()].filter(one => one === name).length
      for (const { act, connection: id, user } of steps) {
        const { connection, ends } = open.get(id) ?? fakeConnection()
        if (act === 'asks') {
          open.set(id, { connection, ends })
          const expected = holders.get(id) === user || (!ending.has(id) && held(user) < MAX)
          assert.equal(counted.admits(connection, { name: user, groups: [] }), expected)
          if (expected) holders.set(id, user)
          else ending.add(id)
        } else {
          open.delete(id)
          holders.delete(id)
          ending.delete(id)
          for (const end of ends) end()
        }
        assert.equal(counted.open, holders.size)
      }
    }),
  )
})

function fakeConnection(): { connection: Connection; ends: (() => void)[] } {
  const ends: (() => void)[] = []
  return { connection: { peer: undefined, onClose: run => ends.push(run) }, ends }
}
