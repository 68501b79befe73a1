// What is said of servers that cannot be asked: each cure fits what went wrong.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { ServerClient } from './server-client.ts'
import { silent, unreachable } from './unreachable.ts'

const said = (code: string): string =>
  unreachable('https://h:1', Object.assign(new Error('why'), { code }))

test('the cure is the one for what went wrong, not always to start the server', () => {
  assert.equal(
    said('ECONNREFUSED'),
    'no server answers at https://h:1 (why); start it with podless up',
  )
  assert.match(said('ENOTFOUND'), /resolve the name, or .* --advertise$/)
  assert.match(said('EAI_AGAIN'), /resolve the name/)
  assert.match(said('CERT_HAS_EXPIRED'), /clock/)
  assert.match(said('CERT_NOT_YET_VALID'), /clock/)
  assert.match(said('ERR_TLS_CERT_ALTNAME_INVALID'), /that name with --advertise$/)
  assert.match(said('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), /use the kubeconfig that podless up wrote/)
  assert.match(unreachable('https://h:1', silent(90_000)), /\(nothing came back for 90 s\); check/)
})

test('a port where something else listens is one line without the words of OpenSSL', async () => {
  const other = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const client = new ServerClient({ server: `https://127.0.0.1:${port}` })
  try {
    await assert.rejects(client.get('/api'), {
      message: `no server answers at https://127.0.0.1:${port} (not TLS); something else than podless listens there; check the address`,
    })
  } finally {
    client.close()
    other.close()
  }
})
