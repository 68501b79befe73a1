// What one client may ask of the server: bytes and time of a body, time of a request, requests, watches and connections
// at once, size of headers. Over a limit it gets upstream's answer, and every other client goes on.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { Agent, request } from 'node:https'
import { after, before, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { createClientCertificate } from '@podless/identity'
import { type ApiAccess, ApiClient } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'

const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const CONFIGMAPS = '/api/v1/namespaces/default/configmaps'
const MIB = 1024 * 1024
const REQUESTS_MAX = 3
const WATCHES_MAX = 4

let server: TestServer
let admin: ApiClient
let anna: ApiAccess

before(async () => {
  const config = { maxRequestsPerUser: REQUESTS_MAX, maxWatchesPerUser: WATCHES_MAX }
  server = await startServer({ config })
  admin = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  const own = createClientCertificate(server.pki.authority, {
    user: 'anna',
    now: new Date(),
    ttlSeconds: 3600,
  })
  anna = { url: server.url, ca: server.ca, ...own }
  const body = {
    metadata: { name: 'anna' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'anna' }],
  }
  await admin.send({ method: 'POST', path: `${RBAC}/clusterrolebindings`, body })
})
after(async () => {
  admin.close()
  await server.close()
})

interface Answer {
  readonly code: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** HTTP/2: the code that the stream ended with. */
  readonly reset?: number | undefined
}

const credentials = (access: ApiAccess) => ({
  ca: access.ca,
  cert: access.certificate,
  key: access.key,
})

const session = (access: ApiAccess = anna): ClientHttp2Session =>
  connectHttp2(server.url, credentials(access))

/** A POST whose body is what `feed` writes; it is up to `feed` to end it. */
async function overHttp2(
  client: ClientHttp2Session,
  path: string,
  feed: (write: (chunk: Buffer) => void, end: () => void) => void,
): Promise<Answer> {
  const head = { ':method': 'POST', ':path': path, 'content-type': 'application/json' }
  const stream = client.request(head)
  const ended = new Promise(resolve => stream.on('end', resolve))
  let headers: Record<string, unknown> = {}
  let text = ''
  stream.on('response', answer => {
    headers = answer
  })
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  stream.on('error', () => undefined)
  feed(
    chunk => stream.write(chunk),
    () => stream.end(),
  )
  await ended
  // The server's word that it reads no more of this stream, also when the client has not come to its end.
  while (!stream.closed) await new Promise(resolve => setImmediate(resolve))
  return { code: Number(headers[':status']), headers: {}, text, reset: stream.rstCode }
}

/** The same over HTTP/1.1 on a connection of its own, which the answer may end. */
async function overHttp1(
  path: string,
  feed: (write: (chunk: Buffer) => void, end: () => void) => void,
): Promise<Answer> {
  const agent = new Agent({ keepAlive: true, ...credentials(anna) })
  const sent = request(new URL(path, server.url), {
    method: 'POST',
    agent,
    headers: { 'content-type': 'application/json' },
  })
  const answered = once(sent, 'response')
  sent.on('error', () => undefined)
  feed(
    chunk => sent.write(chunk),
    () => sent.end(),
  )
  const [response] = await answered
  response.on('error', () => undefined)
  let text = ''
  for await (const chunk of response) text += String(chunk)
  agent.destroy()
  return { code: response.statusCode, headers: response.headers, text }
}

const messageOf = ({ text }: Answer): unknown => JSON.parse(text).message

const TOO_LARGE = `Request entity too large: limit is ${3 * MIB}`
const OVERDUE = 'Timeout: request did not complete within the allotted timeout'

test('a body that never stops growing is refused at its limit: HTTP/2, whose connection goes on', async () => {
  const client = session()
  const answer = await overHttp2(client, CONFIGMAPS, write => {
    for (let i = 0; i < 4; i += 1) write(Buffer.alloc(MIB, 0x20))
  })
  assert.equal(answer.code, 413)
  assert.equal(messageOf(answer), TOO_LARGE)
  assert.equal(answer.reset, 0)
  assert.equal((await overHttp2(client, CONFIGMAPS, (_write, end) => end())).code, 400)
  client.destroy()
})

test('a body that never stops growing is refused at its limit: HTTP/1.1, whose connection ends', async () => {
  const answer = await overHttp1(CONFIGMAPS, write => {
    for (let i = 0; i < 4; i += 1) write(Buffer.alloc(MIB, 0x20))
  })
  assert.equal(answer.code, 413)
  assert.equal(messageOf(answer), TOO_LARGE)
  assert.equal(answer.headers.connection, 'close')
})

test('a body a little over the limit costs its HTTP/1.1 client no connection', async () => {
  const body = Buffer.alloc(3 * MIB + 1, 0x20)
  const answer = await overHttp1(CONFIGMAPS, (write, end) => {
    write(body)
    end()
  })
  assert.equal(answer.code, 413)
  assert.notEqual(answer.headers.connection, 'close')
})

test('a body that never comes to its end is given up when the time of its request is over', async () => {
  const path = `${CONFIGMAPS}?timeout=50ms`
  const client = session()
  const begin = (write: (chunk: Buffer) => void): void => write(Buffer.from('{'))
  const two = await overHttp2(client, path, begin)
  assert.equal(two.code, 504)
  assert.equal(two.reset, 0)
  client.destroy()
  const one = await overHttp1(path, begin)
  assert.equal(one.code, 504)
  assert.equal(one.headers.connection, 'close')
  const { reason, message, details } = JSON.parse(one.text)
  assert.deepEqual(
    { reason, message, details },
    { reason: 'Timeout', message: OVERDUE, details: {} },
  )
})

test('a timeout that is no duration is 400 for every request but a watch, whoever asks', async () => {
  const client = new ApiClient({ ...anna, certificate: '', key: '' })
  for (const path of ['/version', CONFIGMAPS]) {
    const { status, bytes } = await client.send({ path: `${path}?timeout=5` })
    assert.equal(status, 400, path)
    const why = 'invalid timeout specified in the request URL - time: missing unit in duration "5"'
    assert.equal(JSON.parse(bytes.toString()).message, why)
  }
  client.close()
  for (const timeout of ['0s', '-1s', '100h'])
    assert.equal((await admin.send({ path: `${CONFIGMAPS}?timeout=${timeout}` })).status, 200)
  const watch = await admin.watch({ path: `${CONFIGMAPS}?watch=true&timeout=5` }, () => undefined)
  assert.equal(watch.status, 200)
  watch.close()
})

/** Requests under way that wait for their bodies; resolves once all are counted. */
async function hold(client: ClientHttp2Session, count: number): Promise<() => void> {
  const head = { ':method': 'POST', ':path': CONFIGMAPS, 'content-type': 'application/json' }
  const streams = Array.from({ length: count }, () => client.request(head))
  for (const stream of streams) stream.on('error', () => undefined).resume()
  // A connection's frames are read in order: an answer to what was sent later says that these have begun.
  await new Promise(resolve => client.ping(resolve))
  return () => {
    for (const stream of streams) stream.close()
  }
}

test('a user with too many requests under way gets 429, others and probes do not', async () => {
  const client = session()
  const free = await hold(client, REQUESTS_MAX)
  const other = new ApiClient(anna)
  const refused = await other.send({ path: CONFIGMAPS })
  assert.equal(refused.status, 429)
  assert.equal(refused.bytes.toString(), 'Too many requests, please try again later.\n')
  assert.equal(refused.headers['retry-after'], '1')
  assert.match(String(refused.headers['content-type']), /^text\/plain/)
  assert.equal((await other.send({ path: '/readyz' })).status, 200)
  assert.equal((await admin.send({ path: CONFIGMAPS })).status, 200)
  free()
  while ((await other.send({ path: CONFIGMAPS })).status !== 200);
  other.close()
  client.close()
})

test('a user with too many watches gets 429 until one of them ends; a cluster admin never does', async () => {
  const path = `${CONFIGMAPS}?watch=true`
  const open = async (client: ApiClient) => await client.watch({ path }, () => undefined)
  const client = new ApiClient(anna)
  const watches = []
  for (let i = 0; i < WATCHES_MAX; i += 1) watches.push(await open(client))
  assert.ok(watches.every(({ status }) => status === 200))
  assert.equal((await client.send({ path })).status, 429)
  assert.equal((await client.send({ path: CONFIGMAPS })).status, 200)
  watches.pop()?.close()
  for (;;) {
    const next = await open(client)
    next.close()
    if (next.status === 200) break
  }
  const all = await Promise.all(Array.from({ length: WATCHES_MAX * 2 }, () => open(admin)))
  assert.ok(all.every(({ status }) => status === 200))
  for (const watch of [...watches, ...all]) watch.close()
  client.close()
})

test('connections from one address end at their limit', async () => {
  const small = await startServer({ config: { maxConnectionsPerAddress: 2 } })
  const { hostname: host, port } = new URL(small.url)
  const open = () => connectTls({ host, port: Number(port), ca: small.ca }).on('error', () => {})
  const first = [open(), open()]
  await Promise.all(first.map(socket => once(socket, 'secureConnect')))
  await new Promise(resolve => open().once('close', resolve))
  first[0]?.destroy()
  for (let isServed = false; !isServed; ) {
    const next = open()
    isServed = await new Promise(resolve => {
      next.once('secureConnect', () => resolve(true)).once('close', () => resolve(false))
    })
    next.destroy()
  }
  first[1]?.destroy()
  await small.close()
})

/** What a connection answers to these bytes until it ends. */
async function answerTo(bytes: string): Promise<string> {
  const { hostname: host, port } = new URL(server.url)
  const socket = connectTls({
    host,
    port: Number(port),
    ca: server.ca,
    ALPNProtocols: ['http/1.1'],
  })
  socket.on('error', () => undefined)
  socket.write(bytes)
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  await new Promise(resolve => socket.once('close', resolve))
  return text
}

test('headers as large as upstream takes are taken, larger ones are 431, and what is no HTTP 400', async () => {
  const { status } = await admin.send({
    path: '/version',
    headers: { 'x-large': 'x'.repeat(500 * 1024) },
  })
  assert.equal(status, 200)
  const text = (answer: string): string => {
    const head = 'Content-Type: text/plain; charset=utf-8\r\nConnection: close'
    return `HTTP/1.1 ${answer}\r\n${head}\r\n\r\n${answer}`
  }
  const large = `GET / HTTP/1.1\r\nHost: a\r\nX-Large: ${'x'.repeat(2 * MIB)}\r\n\r\n`
  assert.equal(await answerTo(large), text('431 Request Header Fields Too Large'))
  const broken = ['nonsense\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a\r\nX-Nul: a\0b\r\n\r\n']
  for (const bytes of broken) assert.equal(await answerTo(bytes), text('400 Bad Request'))
})
