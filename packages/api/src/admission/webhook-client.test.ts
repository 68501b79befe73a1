// Connections to webhooks: kept while their webhook is in use, however many others there are, and never without bound.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openPki, openServingCertificate } from '@podless/identity'
import { WebhookClient } from './webhook-client.ts'

/** As many as the client keeps. */
const KEPT = 64

test('a webhook in use keeps its connection when others come and go, and theirs are let go', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'podless-webhooks-'))
  const now = new Date()
  const pki = await openPki(directory, { now, tokenAlgorithm: 'ES256' })
  const serving = await openServingCertificate(pki, { names: [], now })
  const used = new Set<Socket>()
  const open = new Set<Socket>()
  const hook = createServer(
    { key: serving.key, cert: serving.certificate },
    (request, response) => {
      if (request.url?.startsWith('/used') === true) used.add(request.socket)
      request.resume().on('end', () => response.end('{}'))
    },
  )
  hook.on('secureConnection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  await new Promise<void>(resolve => hook.listen(0, '127.0.0.1', resolve))
  const { port } = hook.address() as AddressInfo
  const none = (): undefined => undefined
  const client = new WebhookClient(
    {},
    {
      service: none,
      endpoints: none,
      endpointSlices: () => [],
    },
  )
  const call = (path: string, variant: number): Promise<unknown> => {
    // Each is another bundle, and all hold the same authority.
    const pem = `${pki.authority.certificate}${'\n'.repeat(variant)}`
    const caBundle = Buffer.from(pem).toString('base64')
    return client.call({
      config: { url: `https://127.0.0.1:${port}${path}`, caBundle },
      body: {},
      timeoutSeconds: 30,
      signal: new AbortController().signal,
    })
  }
  for (let i = 1; i <= KEPT + 10; i += 1) {
    await call('/used', 0)
    await call('/other', i)
  }
  await call('/used', 0)
  assert.equal(used.size, 1)
  while (open.size > KEPT) await new Promise(resolve => setImmediate(resolve))
  client.close()
  await new Promise(resolve => hook.close(resolve))
  await rm(directory, { recursive: true, force: true })
})
