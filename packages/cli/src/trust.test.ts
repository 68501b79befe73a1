// Keys that change under a running server: nobody is logged out, and who was revoked is.

import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { connect } from 'node:tls'
import { type ApiServer, createLog, serverConfigSchema, startApiServer } from '@podless/api'
import type { JsonObject } from '@podless/apimachinery'
import {
  createAuthorityCertificate,
  createClientCertificate,
  privateKeyPem,
  serialOf,
} from '@podless/identity'
import { openMemory } from '@podless/storage/testing'
import { ApiClient } from '../../../test/harness/api-client.ts'
import { followTrust, openTrust, type Trust } from './trust.ts'

const data = await mkdtemp(join(tmpdir(), 'podless-trust-'))
after(() => rm(data, { recursive: true, force: true }))
const pkiFile = (name: string): string => join(data, 'pki', name)

const now = (): Date => new Date()
const DAY = 86_400

async function start() {
  const trust = await openTrust({ data, names: [], now })
  const log = createLog({ write: line => process.stderr.write(line), level: 'error', now })
  const server = await startApiServer({
    config: serverConfigSchema.parse({ port: 0 }),
    backend: openMemory(),
    tls: trust.tls,
    rootCa: () => trust.pki.bundle,
    isRevoked: serial => trust.isRevoked(serial),
    tokens: trust.tokens,
    issuer: () => trust.pki.authority,
    log,
    now,
    onFatal: error => {
      throw error
    },
  })
  let reloaded = Promise.withResolvers<void>()
  const stop = followTrust({
    trust,
    server,
    log,
    onReload: async () => reloaded.resolve(),
    // Here only the signal counts; rotate.test.ts has the files.
    everyMs: 3_600_000,
  })
  const reload = async (): Promise<void> => {
    reloaded = Promise.withResolvers<void>()
    process.kill(process.pid, 'SIGHUP')
    await reloaded.promise
  }
  const clientFor = (user: string, groups: readonly string[]): ApiClient & { serial: string } => {
    const made = createClientCertificate(trust.pki.authority, {
      user,
      groups,
      now: now(),
      ttlSeconds: DAY,
    })
    const client = new ApiClient({
      url: `https://${server.advertised}`,
      ca: trust.pki.bundle,
      ...made,
    })
    return Object.assign(client, { serial: serialOf(new X509Certificate(made.certificate)) })
  }
  return { trust, server, reload, clientFor, stop }
}

const WHO = {
  method: 'POST',
  path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
  body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
}

async function servedSerial(address: string): Promise<string> {
  const [host = '', port = ''] = address.split(':')
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const serial = socket.getPeerX509Certificate()?.serialNumber ?? ''
  socket.destroy()
  return serial
}

function tokensOf(trust: Trust, server: ApiServer, old: ApiClient) {
  const token = async (): Promise<string> => {
    const path = '/api/v1/namespaces/default/serviceaccounts/default/token'
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }
    const answer = await old.send({ method: 'POST', path, body })
    return (answer.json().status as { token: string }).token
  }
  const asToken = async (text: string): Promise<number> => {
    const access = { url: `https://${server.advertised}`, ca: trust.pki.bundle }
    const anonymous = new ApiClient({ ...access, certificate: '', key: '' })
    const headers = { authorization: `Bearer ${text}` }
    const { status } = await anonymous.send({ ...WHO, headers })
    anonymous.close()
    return status
  }
  const keyIds = async (): Promise<unknown[]> => {
    const { keys } = (await old.send({ path: '/openid/v1/jwks' })).json() as { keys: JsonObject[] }
    return keys.map(({ kid }) => kid)
  }
  return { token, asToken, keyIds }
}

test('keys, authorities and revocations change on SIGHUP under open clients', async t => {
  const world = await start()
  const { trust, server, reload, clientFor, stop } = world
  t.after(async () => {
    stop()
    await server.close(100)
  })
  const old = clientFor('old', ['system:masters'])
  t.after(() => old.close())
  const { token, asToken, keyIds } = tokensOf(trust, server, old)

  await t.test('a new token key signs, the one before stays good while sa.pub has it', async () => {
    const first = await token()
    const [firstId] = await keyIds()
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await writeFile(pkiFile('sa.key'), privateKeyPem(privateKey))
    await reload()
    const second = await token()
    assert.deepEqual(await keyIds(), [trust.tokens.keyId, firstId])
    assert.deepEqual([await asToken(first), await asToken(second)], [201, 201])
    const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' })
    await writeFile(pkiFile('sa.pub'), spki)
    await reload()
    assert.deepEqual([await asToken(first), await asToken(second)], [401, 201])
  })

  await t.test('a new authority signs, and clients of the one before go on', async () => {
    const before = await servedSerial(server.advertised)
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const authority = createAuthorityCertificate({
      commonName: 'podless-ca-2',
      key: privateKey,
      publicKey,
      now: now(),
      ttlSeconds: 30 * DAY,
    })
    const oldCa = await readFile(pkiFile('ca.crt'), 'utf8')
    await writeFile(pkiFile('ca.crt'), oldCa + authority)
    await reload()
    const overlapping = clientFor('of-the-overlap', ['system:masters'])
    await writeFile(pkiFile('ca.key'), privateKeyPem(privateKey))
    await reload()
    const renewed = clientFor('new', ['system:masters'])
    assert.notEqual(await servedSerial(server.advertised), before)
    for (const client of [old, overlapping, renewed])
      assert.equal((await client.send(WHO)).status, 201)
    const path = '/api/v1/namespaces/default/configmaps/kube-root-ca.crt'
    for (;;) {
      const { data: published } = (await renewed.send({ path })).json()
      if ((published as JsonObject)['ca.crt'] === oldCa + authority) break
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    for (const client of [overlapping, renewed]) client.close()
  })

  await t.test('files that cannot be used change nothing', async () => {
    const text = await readFile(pkiFile('ca.key'), 'utf8')
    await writeFile(pkiFile('ca.key'), 'garbage')
    await assert.rejects(trust.reload(), { name: 'PkiError' })
    assert.equal((await old.send(WHO)).status, 201)
    await writeFile(pkiFile('ca.key'), text)
  })

  await t.test('a revoked serial number is refused, and its watches end', () => revokes(world, t))
})

async function revokes(
  { trust, reload, clientFor }: Awaited<ReturnType<typeof start>>,
  t: TestContext,
): Promise<void> {
  // Clients made before the new authority must have had its certificate first; these two have.
  const victim = clientFor('victim', ['system:masters'])
  const other = clientFor('other', ['system:masters'])
  t.after(() => [victim, other].map(client => client.close()))
  assert.equal((await victim.send(WHO)).status, 201)
  const watch = await victim.watch({ path: '/api/v1/secrets?watch=1' }, () => undefined)
  const colons = victim.serial.toLowerCase().replaceAll(/(..)(?=.)/g, '$1:')
  await writeFile(pkiFile('revoked.txt'), `# left the company\n${colons} # victim\n`)
  await reload()
  await watch.ended
  assert.equal((await victim.send(WHO)).status, 401)
  assert.equal((await other.send(WHO)).status, 201)
  await writeFile(pkiFile('revoked.txt'), 'not a number\n')
  await assert.rejects(trust.reload(), /revoked\.txt, line 1: a serial number is written in hex/)
  assert.equal((await victim.send(WHO)).status, 401)
}
