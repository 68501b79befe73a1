// The listener without a server behind it: clients that leave early, connections that say nothing, requests for heads.

import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { Agent, type RequestOptions, request } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openPki, openServingCertificate } from '@podless/identity'
import { CLIENT_GONE, type Incoming, type Reply } from './exchange.ts'
import { type Listener, listen, type TlsMaterial } from './server.ts'
import { writeReply } from './write-reply.ts'

let directory: string
let tls: TlsMaterial

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'podless-listener-'))
  const now = new Date()
  const pki = await openPki(directory, { now, tokenAlgorithm: 'ES256' })
  const serving = await openServingCertificate(pki, { names: [], now })
  tls = { key: serving.key, cert: serving.certificate, clientCa: pki.authority.certificate }
})
after(async () => await rm(directory, { recursive: true, force: true }))

const open = (
  handle: (incoming: Incoming) => Promise<Reply>,
  unreadMs = 60_000,
): Promise<Listener> =>
  listen({
    bind: '127.0.0.1',
    port: 0,
    tls,
    unreadMs,
    handle,
    onClientError: () => undefined,
    onAnswerError: error => assert.fail(String(error)),
  })

const options = (listener: Listener, more: RequestOptions = {}): RequestOptions => ({
  host: '127.0.0.1',
  port: listener.port,
  ca: tls.clientCa,
  agent: false,
  ...more,
})

/** A stream that says how it was started. */
function stream(): { reply: Reply; aborted: Promise<boolean> } {
  const { promise: aborted, resolve } = Promise.withResolvers<boolean>()
  return {
    aborted,
    reply: {
      code: 200,
      contentType: 'application/json',
      body: { type: 'stream', start: ({ signal }) => resolve(signal.aborted) },
    },
  }
}

test('close() does not wait for a connection that never began its handshake', async () => {
  const listener = await open(() => Promise.reject(new Error('not called')))
  const silent = connect(listener.port, '127.0.0.1')
  const closed = new Promise(resolve => silent.once('close', resolve))
  await new Promise(resolve => silent.once('connect', resolve))
  silent.on('error', () => undefined)
  await listener.close(20)
  await closed
})

test('close() ends a kept connection with the answer it is busy with, and says so', async () => {
  const arrived = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<Reply>()
  const listener = await open(async () => {
    arrived.resolve()
    return await answer.promise
  })
  const agent = new Agent({ keepAlive: true })
  const sent = request(options(listener, { agent })).end()
  const responded = once(sent, 'response')
  await arrived.promise
  const closed = listener.close(600_000)
  answer.resolve({ code: 200, contentType: 'a/b', body: { type: 'bytes', bytes: 'a' } })
  const [response] = await responded
  assert.equal(response.resume().headers.connection, 'close')
  await closed
})

/** Begins a request with a body that has no end, and leaves once `arrived`. Returns what takes the connection down. */
async function leaveEarly(
  listener: Listener,
  protocol: string,
  arrived: Promise<void>,
): Promise<() => void> {
  if (protocol === 'HTTP/2') {
    const session = connectHttp2(`https://127.0.0.1:${listener.port}`, { ca: tls.clientCa })
    const sent = session.request({ ':path': '/', ':method': 'POST' })
    sent.on('error', () => undefined)
    sent.write('a: 1\n')
    await arrived
    sent.close(8)
    return () => session.close()
  }
  const sent = request(options(listener, { method: 'POST' }))
  sent.on('error', () => undefined)
  sent.write('a: 1\n')
  await arrived
  sent.destroy()
  return () => undefined
}

for (const protocol of ['HTTP/1.1', 'HTTP/2']) {
  test(`a client that left before it is asked: no stream begins, and no body is waited for: ${protocol}`, async () => {
    const { reply, aborted } = stream()
    const arrived = Promise.withResolvers<void>()
    const body = Promise.withResolvers<unknown>()
    const listener = await open(async incoming => {
      const gone = new Promise(resolve => incoming.signal.addEventListener('abort', resolve))
      arrived.resolve()
      await gone
      // What Node itself tells of the end comes in this turn.
      await new Promise(resolve => setImmediate(resolve))
      incoming.body().then(body.resolve, body.resolve)
      return reply
    })
    const close = await leaveEarly(listener, protocol, arrived.promise)
    assert.equal(await aborted, true)
    assert.equal(await body.promise, CLIENT_GONE)
    close()
    await listener.close(1000)
  })
}

test('an offer to upgrade to anything but a WebSocket is passed over, and the body read', async () => {
  const { reply, aborted } = stream()
  const body = Promise.withResolvers<string>()
  const listener = await open(async incoming => {
    body.resolve((await incoming.body()).toString())
    return reply
  })
  const headers = { connection: 'Upgrade', upgrade: 'h2c', 'content-length': 4 }
  const sent = request(options(listener, { method: 'POST', headers }))
  sent.on('error', () => undefined).end('body')
  assert.equal(await body.promise, 'body')
  assert.equal(await aborted, false)
  sent.destroy()
  await listener.close(1000)
})

test('a WebSocket that cannot be agreed on leaves no stream behind', async () => {
  const { reply, aborted } = stream()
  const listener = await open(async () => reply)
  const headers = { connection: 'Upgrade', upgrade: 'websocket' }
  const sent = request(options(listener, { headers }), response => response.resume())
  sent.end()
  assert.equal(await aborted, true)
  await listener.close(1000)
})

test('a stream that ended is cut when its client does not read the rest, and only then', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  for (const reads of [true, false]) {
    let cut = false
    const response = Object.assign(new EventEmitter(), {
      destroyed: false,
      writeHead: () => undefined,
      flushHeaders: () => undefined,
      end: () => {
        if (reads) response.emit('close')
      },
      destroy: () => {
        cut = true
      },
    })
    await writeReply({
      request: { method: 'GET' } as Incoming,
      response: response as unknown as ServerResponse,
      reply: { ...stream().reply, body: { type: 'stream', start: sink => sink.end() } },
      draining: new AbortController().signal,
      isReusable: true,
      unreadMs: 60_000,
    })
    assert.equal(cut, false)
    t.mock.timers.tick(60_000)
    assert.equal(cut, !reads)
  }
})

test('HEAD gets the headers of a list and of a watch and nothing more, over both protocols', async () => {
  const watch = stream()
  const bodies: readonly Reply['body'][] = [
    { type: 'chunks', chunks: [Buffer.from('{'), Buffer.from('}')] },
    watch.reply.body,
  ]
  for (const body of bodies) {
    const listener = await open(async () => ({ code: 200, contentType: 'application/json', body }))
    const one = await new Promise((resolve, reject) => {
      const sent = request(options(listener, { method: 'HEAD' }), response => {
        response.resume().on('end', () => resolve(response.statusCode))
      })
      sent.on('error', reject)
      sent.end()
    })
    assert.equal(one, 200)
    const session = connectHttp2(`https://127.0.0.1:${listener.port}`, { ca: tls.clientCa })
    const two = await new Promise((resolve, reject) => {
      const sent = session.request({ ':path': '/', ':method': 'HEAD' })
      let code = 0
      sent.on('response', answer => {
        code = Number(answer[':status'])
      })
      sent.on('error', reject)
      sent.resume().on('end', () => resolve(code))
    })
    assert.equal(two, 200)
    session.close()
    await listener.close(1000)
  }
  assert.equal(await watch.aborted, true)
})

const LARGE = Buffer.alloc(32 * 1024 * 1024, 'x')

/** A list without end; resolves once nobody wants more of it. */
function endless(): { reply: Reply; left: Promise<void> } {
  const { promise: left, resolve } = Promise.withResolvers<void>()
  function* chunks(): Generator<Buffer> {
    try {
      for (;;) yield LARGE.subarray(0, 64 * 1024)
    } finally {
      resolve()
    }
  }
  return {
    left,
    reply: { code: 200, contentType: 'text/plain', body: { type: 'chunks', chunks: chunks() } },
  }
}

test('a client that stops reading a list is cut, over HTTP/1.1 and HTTP/2', async () => {
  for (const protocol of ['http/1.1', 'h2']) {
    const { reply, left } = endless()
    const listener = await open(async () => reply, 20)
    if (protocol === 'h2') {
      const session = connectHttp2(`https://127.0.0.1:${listener.port}`, { ca: tls.clientCa })
      session.on('error', () => undefined)
      const unread = session.request({ ':path': '/' })
      unread.on('error', () => undefined)
      await left
      session.destroy()
    } else {
      const asked = request(options(listener))
      asked.on('error', () => undefined)
      asked.end()
      await left
      asked.destroy()
    }
    await listener.close(0)
  }
})

test('a client that stops reading one large answer is cut', async () => {
  const body = { type: 'bytes', bytes: LARGE } as const
  const { promise: cut, resolve } = Promise.withResolvers<void>()
  const listener = await open(async incoming => {
    incoming.signal.addEventListener('abort', () => resolve())
    return { code: 200, contentType: 'text/plain', body }
  }, 20)
  const asked = request(options(listener))
  asked.on('error', () => undefined)
  asked.end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  // Nothing is read before the server has given up.
  await cut
  let size = 0
  response.on('data', (chunk: Buffer) => {
    size += chunk.length
  })
  response.on('error', () => undefined)
  await new Promise(closed => response.once('close', closed))
  assert.ok(size < LARGE.length)
  await listener.close(0)
})
