// What is known of a connection outlives it: a request may be looked at when its client has left.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openPki, openServingCertificate } from '@podless/identity'
import { type Incoming, textReply } from './exchange.ts'
import { listen } from './server.ts'

test('a request tells of its connection and certificate after an HTTP/2 client has left', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'podless-connections-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const now = new Date()
  const pki = await openPki(directory, { now, tokenAlgorithm: 'ES256' })
  const serving = await openServingCertificate(pki, { names: [], now })
  const asked = Promise.withResolvers<void>()
  const left = Promise.withResolvers<Incoming>()
  const listener = await listen({
    bind: '127.0.0.1',
    port: 0,
    tls: { key: serving.key, cert: serving.certificate, clientCa: pki.authority.certificate },
    handle: async incoming => {
      asked.resolve()
      incoming.connection?.onClose(() => left.resolve(incoming))
      await left.promise
      return textReply(200, '')
    },
    onClientError: () => undefined,
    onAnswerError: error => assert.fail(String(error)),
  })
  t.after(() => listener.close(0))
  const client = connect(`https://127.0.0.1:${listener.port}`, { ca: pki.authority.certificate })
  client.on('error', () => undefined)
  const stream = client.request({ ':path': '/' })
  stream.on('error', () => undefined)
  await asked.promise
  client.destroy()
  await once(client, 'close')
  const incoming = await left.promise
  assert.ok(incoming.connection)
  assert.equal(incoming.peer, undefined)
})
