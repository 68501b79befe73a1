// Requests that try to get more than they may, or to leave more behind than they should. Each was a way in or a way to
// wear the server out.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:http2'
import { after, before, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { createClientCertificate, openServingCertificate } from '@podless/identity'
import { ApiClient, accessOf } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'
import type { Sink } from './exchange.ts'
import { listen } from './server.ts'

let server: TestServer
let admin: ApiClient
let anna: ApiClient

const RBAC = 'rbac.authorization.k8s.io'
const JSON_TYPE = { 'content-type': 'application/json' }

before(async () => {
  server = await startServer()
  admin = new ApiClient(accessOf(await readFile(server.kubeconfig, 'utf8')))
  const own = createClientCertificate(server.pki.authority, {
    user: 'anna',
    now: new Date(),
    ttlSeconds: 3600,
  })
  anna = new ApiClient({ url: server.url, ca: server.ca, ...own })
  for (const name of ['hers', 'others']) await create('/api/v1/namespaces', { metadata: { name } })
  await create(`/apis/${RBAC}/v1/namespaces/hers/rolebindings`, {
    metadata: { name: 'anna' },
    roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ apiGroup: RBAC, kind: 'User', name: 'anna' }],
  })
})
after(async () => {
  admin.close()
  anna.close()
  await server.close()
})

async function create(path: string, object: object): Promise<void> {
  const body = JSON.stringify(object)
  const { status, bytes } = await admin.send({ method: 'POST', path, body, headers: JSON_TYPE })
  assert.equal(status, 201, bytes.toString())
}

/** The status of one HTTP/2 request; `reset` when the stream was cut instead. */
async function overHttp2(method: string, path: string): Promise<number | 'reset'> {
  const session = connect(server.url, { ca: server.ca })
  try {
    const { promise, resolve } = Promise.withResolvers<number | 'reset'>()
    const stream = session.request({ ':method': method, ':path': path }, { endStream: true })
    stream.on('response', headers => resolve(Number(headers[':status'])))
    stream.on('error', () => resolve('reset'))
    stream.on('close', () => resolve('reset'))
    stream.resume()
    return await promise
  } finally {
    session.close()
  }
}

test('who rules one namespace reaches no other one through its path', async () => {
  assert.equal((await anna.send({ path: '/api/v1/namespaces/hers' })).status, 200)
  assert.equal((await anna.send({ path: '/api/v1/namespaces/others' })).status, 403)
  for (const path of ['', '/others', '/others/status', '/others/finalize']) {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const wanted = { method, path: `/api/v1/namespaces/hers/namespaces${path}`, body: '{}' }
      const { status } = await anna.send({ ...wanted, headers: JSON_TYPE })
      assert.equal(status, 404, `${method} ${wanted.path}`)
    }
  }
  const body = { metadata: { name: 'third' } }
  const path = '/api/v1/namespaces/hers/namespaces'
  assert.equal((await anna.send({ method: 'POST', path, body, headers: JSON_TYPE })).status, 404)
  const watched = `/api/v1/watch/namespaces/hers/namespaces/others`
  assert.equal((await anna.send({ path: watched })).status, 404)
  assert.equal((await admin.send({ path: '/api/v1/namespaces/others' })).status, 200)
})

test('a method or a media type named after what every object has is refused like any other', async () => {
  for (const name of ['constructor', '__proto__', 'toString', 'BREW'])
    assert.equal(await overHttp2(name, '/api/v1/namespaces'), 403, name)
  for (const type of ['constructor', '__proto__', 'tostring']) {
    const wanted = { method: 'PATCH', path: '/api/v1/namespaces/others', body: '{}' }
    const { status } = await admin.send({ ...wanted, headers: { 'content-type': type } })
    assert.equal(status, 415, type)
  }
})

test('the metrics have no label that a client made up', async () => {
  const paths = [
    '/apis/made-up/v1/things',
    '/api/v1/made-up',
    '/api/made-up/pods',
    '/api/v1/namespaces/a/pods/b/made-up',
    '/api/v1/made-up%22%7D%0aup%201',
  ]
  for (const path of paths) await admin.send({ path })
  await overHttp2('MADE-UP', '/version')
  const { bytes } = await admin.send({ path: '/metrics' })
  assert.doesNotMatch(bytes.toString(), /made-up/i)
})

const YARDSTICK = JSON.stringify(Array.from({ length: 40_000 }, (_, i) => ({ name: `n${i}`, i })))

/**
 * CPU time in yardsticks, each about 0.1 s of an idle core: a busy or slow machine stretches both. Waiting counts for
 * nothing.
 */
async function costOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage()
  for (let i = 0; i < 10; i += 1) JSON.stringify(JSON.parse(YARDSTICK))
  const unit = process.cpuUsage(before).user
  const started = process.cpuUsage()
  await work()
  return process.cpuUsage(started).user / unit
}

test('a path of slashes takes no longer than another', async () => {
  const path = `/api/${'/'.repeat(60_000)}x`
  const session = connect(server.url, {
    ca: server.ca,
    cert: server.admin.certificate,
    key: server.admin.key,
  })
  const cost = await costOf(async () => {
    const stream = session.request({ ':path': path }, { endStream: true })
    const { promise, resolve } = Promise.withResolvers<number>()
    stream.on('response', headers => resolve(Number(headers[':status'])))
    stream.resume()
    assert.equal(await promise, 404)
  })
  session.close()
  // Trying every slash anew took 1.5 s.
  assert.ok(cost < 4, String(cost))
})

test('a body of many small things takes no longer than its size', async () => {
  const many = (count: number, make: (i: number) => unknown) =>
    Array.from({ length: count }, (_, i) => make(i))
  const owner = (i: number) => ({ apiVersion: 'v1', kind: 'Node', name: 'a', uid: `${i}` })
  const begins = (type: string) =>
    Buffer.from(`-----BEGIN ${type}-----`.repeat(20_000)).toString('base64')
  const rule = (i: number) => ({ verbs: ['get'], apiGroups: [''], resources: [`r${i}`] })
  const csr = (spec: object) => ({
    metadata: { name: 'a' },
    spec: { signerName: 'a.b/c', ...spec },
  })
  const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
  const roles = `/apis/${RBAC}/v1/clusterroles`
  const labels = { sum: 'of-many' }
  const bodies: readonly [path: string, body: object][] = [
    [
      '/api/v1/namespaces/hers/configmaps',
      { metadata: { name: 'owned', ownerReferences: many(15_000, owner) } },
    ],
    [
      '/api/v1/namespaces/hers/secrets',
      {
        metadata: { name: 'pair' },
        type: 'kubernetes.io/tls',
        data: { 'tls.crt': begins('CERTIFICATE'), 'tls.key': begins('A') },
      },
    ],
    [requests, csr({ usages: ['client auth'], request: begins('CERTIFICATE REQUEST') })],
    [requests, csr({ usages: many(60_000, i => `u${i}`), request: '' })],
    [roles, { metadata: { name: 'many', labels }, rules: many(12_000, rule) }],
    [
      roles,
      {
        metadata: { name: 'sum' },
        aggregationRule: { clusterRoleSelectors: [{ matchLabels: labels }] },
      },
    ],
  ]
  for (const [path, body] of bodies) {
    const wanted = { method: 'POST', path, body: JSON.stringify(body), headers: JSON_TYPE }
    const cost = await costOf(() => admin.send(wanted))
    // Each took 3 to 20 s; now the longest is six yardsticks.
    assert.ok(cost < 25, `${path}: ${cost}`)
  }
})

test('a watch whose upgrade fails, or whose client has left, is let go', async () => {
  const serving = await openServingCertificate(server.pki, { names: [], now: new Date() })
  const left = Promise.withResolvers<void>()
  const sinks: Promise<Sink>[] = []
  const listener = await listen({
    bind: '127.0.0.1',
    port: 0,
    tls: { key: serving.key, cert: serving.certificate, clientCa: server.ca },
    handle: async request => {
      const { promise, resolve } = Promise.withResolvers<Sink>()
      sinks.push(promise)
      if (request.target === '/leave') {
        left.resolve()
        const { signal } = request
        await new Promise(resolveGone => signal.addEventListener('abort', resolveGone))
      }
      return { code: 200, contentType: 'text/plain', body: { type: 'stream', start: resolve } }
    },
    onClientError: () => {},
    onAnswerError: error => assert.fail(String(error)),
  })
  const send = (head: string) => {
    const options = { host: '127.0.0.1', port: listener.port, ca: server.ca }
    const socket = connectTls(options, () => socket.write(`GET ${head}\r\n\r\n`))
    socket.on('error', () => {})
    return socket.resume()
  }
  const upgrading = send(
    '/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket',
  )
  await new Promise(resolve => upgrading.on('close', resolve))
  const leaving = send('/leave HTTP/1.1\r\nHost: localhost')
  await left.promise
  leaving.destroy()
  while (sinks.length < 2) await new Promise(resolve => setImmediate(resolve))
  for (const sink of sinks) assert.equal((await sink).signal.aborted, true)
  await listener.close(0)
})
