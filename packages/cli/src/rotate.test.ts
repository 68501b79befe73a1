// podless rotate under a running podless up: clients of old and new keys go on, through files alone.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type ApiServer, createLog, serverConfigSchema, startApiServer } from '@podless/api'
import type { JsonObject } from '@podless/apimachinery'
import {
  createClientCertificate,
  rotateAuthority,
  rotateServing,
  rotateTokenKey,
} from '@podless/identity'
import { openMemory } from '@podless/storage/testing'
import { ApiClient } from '../../../test/harness/api-client.ts'
import { podless, startPodless } from '../../../test/harness/podless.ts'
import { rotate } from './rotate.ts'
import { followTrust, openTrust, type Trust } from './trust.ts'

const DAY = 86_400
const parent = await mkdtemp(join(tmpdir(), 'podless-rotate-'))
after(() => rm(parent, { recursive: true, force: true }))

async function start(name: string) {
  const data = join(parent, name)
  let offsetMs = 0
  const now = (): Date => new Date(Date.now() + offsetMs)
  const trust = await openTrust({ data, names: [], now })
  const log = createLog({ write: line => process.stderr.write(line), level: 'error', now })
  const server = await startApiServer({
    config: serverConfigSchema.parse({ port: 0 }),
    backend: openMemory(),
    tls: trust.tls,
    rootCa: () => trust.pki.bundle,
    tokens: trust.tokens,
    issuer: () => trust.pki.authority,
    log,
    now,
    onFatal: error => {
      throw error
    },
  })
  const onReload = async (): Promise<void> => undefined
  const stop = followTrust({ trust, server, log, onReload, everyMs: 10 })
  const close = async (): Promise<void> => {
    stop()
    await server.close(100)
  }
  const advance = (seconds: number): void => {
    offsetMs += seconds * 1000
  }
  return { data, now, trust, server, close, advance }
}

const WHO = {
  method: 'POST',
  path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
  body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
}
const SECRETS = '/api/v1/namespaces/default/secrets'

/** A client as one of this moment: it knows the authorities of now, and one of them signed its certificate. */
function clientOf(server: ApiServer, trust: Trust): ApiClient {
  const made = createClientCertificate(trust.pki.authority, {
    user: 'ann',
    groups: ['system:masters'],
    now: new Date(),
    ttlSeconds: 30 * DAY,
  })
  return new ApiClient({ url: `https://${server.advertised}`, ca: trust.pki.bundle, ...made })
}

async function statusOf(client: ApiClient, token = ''): Promise<number> {
  const headers = token === '' ? {} : { authorization: `Bearer ${token}` }
  return (await client.send({ ...WHO, headers })).status
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise(resolve => setTimeout(resolve, 5))
}

test('a new authority: who knows or has only the old one goes on, until its overlap ends', async t => {
  const { data, now, trust, server, close } = await start('ca')
  t.after(close)
  const oldest = clientOf(server, trust)
  const generations = [oldest]
  for (const generation of [1, 2]) {
    const before = trust.pki.authority.certificate
    await rotateAuthority(data, { now: now(), overlapSeconds: 10 * DAY })
    await until(() => trust.pki.authority.certificate !== before)
    generations.push(clientOf(server, trust))
    // The agents of earlier clients make new connections, too: the server shows its new certificate there.
    for (const client of generations) {
      client.close()
      assert.equal(await statusOf(client), 201, `generation ${generation}`)
    }
  }
  const { subject } = new X509Certificate(trust.pki.authority.certificate)
  assert.match(subject, /^CN=podless-ca@\d+$/)
  assert.equal(trust.pki.bundle.match(/BEGIN CERTIFICATE/g)?.length, 3)
  assert.equal(trust.pki.chain.match(/BEGIN CERTIFICATE/g)?.length, 2)
  const path = '/api/v1/namespaces/default/configmaps/kube-root-ca.crt'
  await until(async () => {
    const answer = await oldest.send({ path })
    return (answer.json().data as JsonObject)['ca.crt'] === trust.pki.bundle
  })
  for (const client of generations) client.close()
})

test('after the overlap the old authority counts no more', async t => {
  const { data, trust, server, close, advance, now } = await start('ca-end')
  t.after(close)
  const old = clientOf(server, trust)
  await rotateAuthority(data, { now: now(), overlapSeconds: 3600 })
  await until(() => trust.pki.chain !== '')
  assert.equal(await statusOf(old), 201)
  advance(3601)
  process.kill(process.pid, 'SIGHUP')
  await until(() => trust.pki.chain === '')
  assert.equal(trust.pki.bundle, trust.pki.authority.certificate)
  await assert.rejects(old.send(WHO), 'its open connection has ended')
  old.close()
  await assert.rejects(old.send(WHO), /certificate/)
})

test('a key whose overlap ends soon after the server has read it counts no more from then on', async t => {
  const { data, trust, close, now } = await start('soon')
  t.after(close)
  const before = trust.pki.authority.certificate
  // A busy machine reads them when they have ended already, and then has nothing left to notice.
  await rotateTokenKey(data, { now: now(), overlapSeconds: 1 })
  await rotateAuthority(data, { now: now(), overlapSeconds: 1 })
  await until(() => trust.pki.authority.certificate !== before)
  await until(() => trust.pki.bundle === trust.pki.authority.certificate)
  await until(() => trust.pki.olderTokenKeys.length === 1)
})

test('a new token key: tokens of both hold, then Secrets get tokens of the new one', async t => {
  const { data, trust, server, close, advance, now } = await start('token')
  t.after(close)
  const admin = clientOf(server, trust)
  t.after(() => admin.close())
  const nobody = new ApiClient({
    url: `https://${server.advertised}`,
    ca: trust.pki.bundle,
    certificate: '',
    key: '',
  })
  t.after(() => nobody.close())
  const account = '/api/v1/namespaces/default/serviceaccounts/default'
  const mint = async (): Promise<string> => {
    const spec = { expirationSeconds: 30 * DAY }
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }
    const answer = await admin.send({ method: 'POST', path: `${account}/token`, body })
    return (answer.json().status as { token: string }).token
  }
  const metadata = { name: 's', annotations: { 'kubernetes.io/service-account.name': 'default' } }
  const type = 'kubernetes.io/service-account-token'
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata, type }
  await admin.send({ method: 'POST', path: SECRETS, body: secret })
  const kept = async (): Promise<string> => {
    const { data: held } = (await admin.send({ path: `${SECRETS}/s` })).json()
    const { token = '' } = (held ?? {}) as Record<string, string>
    return Buffer.from(token, 'base64').toString()
  }
  await until(async () => (await kept()) !== '')
  const [first, lasting, firstId] = [await mint(), await kept(), trust.tokens.keyId]
  await rotateTokenKey(data, { now: now(), overlapSeconds: 10 * DAY })
  await until(() => trust.tokens.keyId !== firstId)
  const second = await mint()
  const { keys } = (await nobody.send({ path: '/openid/v1/jwks' })).json()
  const published = (await admin.send({ path: '/openid/v1/jwks' })).json().keys as JsonObject[]
  assert.equal(keys, undefined)
  assert.deepEqual(
    published.map(({ kid }) => kid),
    [trust.tokens.keyId, firstId],
  )
  for (const token of [first, second, lasting]) assert.equal(await statusOf(nobody, token), 201)
  assert.equal(await kept(), lasting)
  advance(10 * DAY + 1)
  process.kill(process.pid, 'SIGHUP')
  await until(() => trust.pki.olderTokenKeys.length === 1)
  assert.deepEqual([await statusOf(nobody, first), await statusOf(nobody, lasting)], [401, 401])
  assert.equal(await statusOf(nobody, second), 201)
  await until(async () => (await kept()) !== lasting)
  assert.equal(await statusOf(nobody, await kept()), 201)
})

test('a new serving certificate has a new key, and the old clients trust it', async t => {
  const { data, trust, server, close, now } = await start('serving')
  t.after(close)
  const client = clientOf(server, trust)
  t.after(() => client.close())
  const before = trust.tls.cert
  await rotateServing(data, now())
  await until(() => trust.tls.cert !== before)
  client.close()
  assert.equal(await statusOf(client), 201)
  assert.equal(await readFile(join(data, 'pki', 'apiserver.crt'), 'utf8'), trust.tls.cert)
})

test('the command waits until a running server has the new keys', async t => {
  const data = join(parent, 'command')
  const { child, admin } = await startPodless({ data, port: 0 })
  t.after(() => child.stop())
  const client = new ApiClient(admin)
  t.after(() => client.close())
  const keyIds = async (): Promise<unknown[]> => {
    const { keys } = (await client.send({ path: '/openid/v1/jwks' })).json()
    return (keys as JsonObject[]).map(({ kid }) => kid)
  }
  const [before] = await keyIds()
  for (const what of ['token-key', 'ca', 'serving']) {
    const printed = await podless('rotate', what, '--data', data, '--output', 'json')
    const { rotated, takenUp } = JSON.parse(printed) as JsonObject
    assert.deepEqual([rotated, takenUp], [what, true])
    client.close()
    assert.equal(await statusOf(client), 201, `after ${what}`)
  }
  assert.equal((await keyIds())[1], before)
})

test('what cannot be rotated is named', async () => {
  const options = { overlap: '1h', output: 'text' } as const
  await assert.rejects(rotate('keys', { ...options, data: parent }), {
    code: 64,
    message: 'there is no "keys" to rotate; there are ca, serving, token-key',
  })
  await assert.rejects(rotate('ca', { ...options, data: join(parent, 'none') }), { code: 65 })
})
