// What a stranger on the network meets before anybody asks who it is.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect, type SecureVersion } from 'node:tls'
import { serverConfigSchema } from '../../packages/api/src/index.ts'
import { ApiClient } from '../harness/api-client.ts'
import { startServer, type TestServer } from '../harness/server.ts'

let server: TestServer
before(async () => {
  server = await startServer()
})
after(() => server.close())

async function handshake(version: SecureVersion): Promise<string | null> {
  const { hostname: host, port } = new URL(server.url)
  const versions = { minVersion: version, maxVersion: version }
  // The client's own library refuses old versions too, unless it is told that anything goes.
  const ciphers = 'DEFAULT@SECLEVEL=0'
  const socket = connect({ host, port: Number(port), ca: server.ca, ciphers, ...versions })
  try {
    await once(socket, 'secureConnect')
    return socket.getProtocol()
  } finally {
    socket.destroy()
  }
}

test('TLS is 1.2 or 1.3, and without a word the server is on loopback', async () => {
  assert.equal(await handshake('TLSv1.2'), 'TLSv1.2')
  assert.equal(await handshake('TLSv1.3'), 'TLSv1.3')
  for (const version of ['TLSv1', 'TLSv1.1'] as const)
    await assert.rejects(handshake(version), /alert|protocol|version/i)
  assert.equal(serverConfigSchema.parse({}).bind, '127.0.0.1')
})

test('keys and kubeconfigs are for their owner alone', async () => {
  const mode = async (...path: readonly string[]): Promise<number> =>
    (await stat(join(server.directory, ...path))).mode & 0o777
  for (const name of ['ca.crt', 'ca.key', 'sa.key', 'sa.pub', 'apiserver.key'])
    assert.equal(await mode('pki', name), 0o600, name)
  assert.equal(await mode('pki'), 0o700)
  assert.equal(await mode('admin.kubeconfig'), 0o600)
})

test('JSON that nests without end is refused, and stored nowhere', async () => {
  const client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  const path = '/api/v1/namespaces/default/configmaps'
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  const body = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"},"x":${deep}}`
  const answer = await client.send({ method: 'POST', path, body })
  assert.equal(answer.status, 400)
  assert.equal((await client.send({ path: `${path}/deep` })).status, 404)
  client.close()
})
