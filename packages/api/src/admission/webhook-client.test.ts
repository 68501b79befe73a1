// Connections to webhooks: kept while their webhook is in use, however many others there are, and never without bound.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { openPki, openServingCertificate } from '@podless/identity'
import { WebhookClient, type WebhookUnreachable } from './webhook-client.ts'

/** As many as the client keeps. */
const KEPT = 64

/** A webhook on a port of its own, and a client that calls it; `variant` makes the CA bundle another text. */
async function openHook(answer: RequestListener): Promise<{
  readonly hook: Server
  readonly call: (path: string, variant?: number) => Promise<JsonObject>
  readonly close: () => Promise<void>
}> {
  const directory = await mkdtemp(join(tmpdir(), 'podless-webhooks-'))
  const now = new Date()
  const pki = await openPki(directory, { now, tokenAlgorithm: 'ES256' })
  const serving = await openServingCertificate(pki, { names: [], now })
  // Its own limit on idle connections would end those of a test that is held up.
  const limits = { keepAliveTimeout: 0 }
  const hook = createServer({ key: serving.key, cert: serving.certificate, ...limits }, answer)
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
  const call = (path: string, variant = 0): Promise<JsonObject> => {
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
  const close = async (): Promise<void> => {
    client.close()
    hook.closeAllConnections()
    await new Promise(resolve => hook.close(resolve))
    await rm(directory, { recursive: true, force: true })
  }
  return { hook, call, close }
}

test('a webhook in use keeps its connection when others come and go, and theirs are let go', async () => {
  const used = new Set<Socket>()
  const open = new Set<Socket>()
  const { hook, call, close } = await openHook((request, response) => {
    if (request.url?.startsWith('/used') === true) used.add(request.socket)
    request.resume().on('end', () => response.end('{}'))
  })
  hook.on('secureConnection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  for (let i = 1; i <= KEPT + 10; i += 1) {
    await call('/used', 0)
    await call('/other', i)
  }
  await call('/used', 0)
  assert.equal(used.size, 1)
  while (open.size > KEPT) await new Promise(resolve => setImmediate(resolve))
  await close()
})

test('what a webhook answers instead of a review is told in the words of client-go', async () => {
  const { call, close } = await openHook((request, response) => {
    response.writeHead(Number(request.url?.slice(1, 4))).end('why not')
  })
  const texts = []
  for (const code of [404, 403, 418, 500, 503]) {
    texts.push(await call(`/${code}`).catch((error: WebhookUnreachable) => error.why))
  }
  await close()
  assert.deepEqual(texts, [
    'the server could not find the requested resource',
    'why not',
    'the server responded with the status code 418 but did not return more information',
    'an error on the server ("why not") has prevented the request from succeeding',
    'the server is currently unable to handle the request',
  ])
})
