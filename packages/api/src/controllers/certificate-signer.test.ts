// CertificateSigningRequests from asking to logging in, with requests that openssl makes. Skipped where there is none.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { readClientCertificate } from '@podless/identity'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'
import { vmSecret } from '../vm/vm-record.ts'

const CSRS = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
const CLIENT = 'kubernetes.io/kube-apiserver-client'
const skip =
  spawnSync('openssl', ['version']).status === 0 ? false : 'there is no openssl on this machine'

let server: TestServer
let client: ApiClient
let count = 0

before(async () => {
  server = await startServer()
  client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
})
after(async () => {
  client.close()
  await server.close()
})

interface Asked {
  readonly name: string
  readonly key: string
}

interface Wish {
  readonly subject: string
  readonly signer?: string
  readonly usages?: readonly string[]
  readonly expirationSeconds?: number
  readonly algorithm?: readonly string[]
  readonly names?: string
}

const EC = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']

function requestOf(wish: Wish): { request: string; key: string } {
  const keyFile = join(server.directory, `key-${count}.pem`)
  const more = wish.names === undefined ? [] : ['-addext', `subjectAltName=${wish.names}`]
  const request = execFileSync(
    'openssl',
    [
      ...['req', '-new', '-nodes', '-subj', wish.subject, '-keyout', keyFile],
      ...['-newkey', ...(wish.algorithm ?? EC), ...more],
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  )
  return { request, key: execFileSync('cat', [keyFile], { encoding: 'utf8' }) }
}

async function post(wish: Wish): Promise<{ status: number; body: JsonObject; asked: Asked }> {
  count += 1
  const { request, key } = requestOf(wish)
  const name = `request-${count}`
  const answer = await client.send({
    method: 'POST',
    path: CSRS,
    body: {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name },
      spec: {
        request: Buffer.from(request).toString('base64'),
        signerName: wish.signer ?? CLIENT,
        usages: [...(wish.usages ?? ['client auth'])],
        ...(wish.expirationSeconds === undefined
          ? {}
          : { expirationSeconds: wish.expirationSeconds }),
      },
    },
  })
  return { status: answer.status, body: answer.json(), asked: { name, key } }
}

async function ask(wish: Wish): Promise<Asked> {
  const { status, body, asked } = await post(wish)
  assert.equal(status, 201, JSON.stringify(body))
  return asked
}

async function decide(name: string, type: string, as?: string): Promise<number> {
  const { status } = await client.send({
    method: 'PATCH',
    path: `${CSRS}/${name}/approval`,
    headers: {
      'content-type': 'application/merge-patch+json',
      ...(as === undefined ? {} : { 'impersonate-user': as }),
    },
    body: { status: { conditions: [{ type, status: 'True', reason: 'Test' }] } },
  })
  return status
}

async function read(name: string): Promise<{ certificate?: string; conditions?: JsonObject[] }> {
  const answer = await client.send({ path: `${CSRS}/${name}` })
  return (answer.json().status ?? {}) as { certificate?: string; conditions?: JsonObject[] }
}

async function settled(name: string): Promise<{ certificate?: string; failure?: string }> {
  for (;;) {
    const { certificate, conditions = [] } = await read(name)
    if (certificate !== undefined)
      return { certificate: Buffer.from(certificate, 'base64').toString() }
    const failed = conditions.find(({ type }) => type === 'Failed')
    if (failed !== undefined) return { failure: String(failed.message) }
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

const lifetimeOf = (certificate: string): number => {
  const { validFrom, validTo } = new X509Certificate(certificate)
  return (Date.parse(validTo) - Date.parse(validFrom)) / 1000
}
const BACKDATED = 300

test('an approved request becomes a certificate that logs its subject in', { skip }, async () => {
  const { name, key } = await ask({
    subject: '/O=ops/O=dev/CN=eve',
    usages: ['client auth', 'digital signature'],
    names: 'DNS:eve.example',
  })
  assert.equal((await read(name)).certificate, undefined)
  assert.equal(await decide(name, 'Approved'), 200)
  const { certificate = '' } = await settled(name)
  const read509 = new X509Certificate(certificate)
  assert.equal(read509.ca, false)
  assert.deepEqual(read509.keyUsage, ['1.3.6.1.5.5.7.3.2'])
  assert.equal(read509.subjectAltName, 'DNS:eve.example')
  assert.equal(lifetimeOf(certificate), 86_400 + BACKDATED)
  const eve = new ApiClient({ url: server.url, ca: server.ca, certificate, key })
  const who = await eve.send({
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
  })
  eve.close()
  const { userInfo } = who.json().status as { userInfo: JsonObject }
  assert.deepEqual(
    [userInfo.username, userInfo.groups],
    ['eve', ['ops', 'dev', 'system:authenticated']],
  )
})

test('a lifetime is what was asked for, within bounds; RSA and Ed25519 do too', {
  skip,
}, async () => {
  const wishes = [
    { algorithm: ['rsa:2048'], expirationSeconds: 700, expected: 700 },
    { algorithm: ['ed25519'], expirationSeconds: 86_400 * 400, expected: 86_400 * 30 },
  ]
  for (const { expected, ...wish } of wishes) {
    const { name } = await ask({ subject: '/CN=eve', ...wish })
    await decide(name, 'Approved')
    const { certificate = '' } = await settled(name)
    assert.equal(lifetimeOf(certificate), expected + BACKDATED)
  }
})

test('requests the signer does not sign fail with the reason', { skip }, async () => {
  const refused: [Wish, RegExp][] = [
    [{ subject: '/CN=a', usages: ['client auth', 'server auth'] }, /invalid usage .*: server auth/],
    [{ subject: '/CN=a', usages: ['digital signature'] }, /missing required usage/],
    [{ subject: '/O=nobody' }, /no common name/],
    [{ subject: '/CN=a', algorithm: ['rsa:1024'] }, /at least 2048 bits/],
    [{ subject: '/CN=eve', signer: 'podless.dev/vm' }, /podless:vm:NAMESPACE:NAME/],
    [
      { subject: '/O=podless:vms/O=ops/CN=podless:vm:a:b', signer: 'podless.dev/vm' },
      /podless:vms and nothing else/,
    ],
  ]
  for (const [wish, message] of refused) {
    const { name } = await ask(wish)
    await decide(name, 'Approved')
    const { failure, certificate } = await settled(name)
    assert.equal(certificate, undefined)
    assert.match(failure ?? '', message)
  }
})

test('a VM gets a certificate of its own kind, once it was added', { skip }, async () => {
  const asked = async (): ReturnType<typeof settled> => {
    const { name } = await ask({
      subject: '/O=podless:vms/CN=podless:vm:default:db-1',
      signer: 'podless.dev/vm',
    })
    await decide(name, 'Approved')
    return await settled(name)
  }
  assert.deepEqual(await asked(), { failure: 'there is no VM default/db-1' })
  const body = vmSecret({
    name: 'db-1',
    namespace: 'default',
    annotations: { 'podless.dev/group': 'db' },
  })
  const path = '/api/v1/namespaces/default/secrets'
  const { uid } = (await client.send({ method: 'POST', path, body })).json().metadata as JsonObject
  const { certificate = '' } = await asked()
  const { fingerprint, serial, ...identity } = readClientCertificate(certificate) ?? {}
  assert.deepEqual(identity, { user: 'podless:vm:default:db-1', groups: ['podless:vms'], uid })
})

test('denied, undecided and foreign requests stay unsigned', { skip }, async () => {
  const denied = await ask({ subject: '/CN=eve' })
  await decide(denied.name, 'Denied')
  const foreign = await ask({ subject: '/CN=eve', signer: 'example.com/mine' })
  await decide(foreign.name, 'Approved')
  const undecided = await ask({ subject: '/CN=eve' })
  // The loop works in order, so what is signed now was looked at after those three.
  const last = await ask({ subject: '/CN=last' })
  await decide(last.name, 'Approved')
  await settled(last.name)
  for (const { name } of [denied, foreign, undecided])
    assert.equal((await read(name)).certificate, undefined)
})

test('nobody asks for system:masters or the front proxy, and only who may approve approves', {
  skip,
}, async () => {
  const { status, body } = await post({ subject: '/O=system:masters/CN=eve' })
  assert.equal(status, 403)
  assert.match(String(body.message), /signer with system:masters group is not allowed/)
  // Extension servers believe the holder of this name whoever it says is asking.
  const proxy = await post({ subject: '/CN=front-proxy-client', signer: 'example.com/mine' })
  assert.equal(proxy.status, 403)
  const { name } = await ask({ subject: '/CN=eve' })
  assert.equal(await decide(name, 'Approved', 'mallory'), 403)
  // The right to write /approval alone is not the right to approve for a signer.
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  const rules = [
    {
      apiGroups: ['certificates.k8s.io'],
      resources: ['certificatesigningrequests/approval', 'certificatesigningrequests/status'],
      verbs: ['patch'],
    },
  ]
  await client.send({
    method: 'POST',
    path: `${rbac}/clusterroles`,
    body: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'writer' },
      rules,
    },
  })
  await client.send({
    method: 'POST',
    path: `${rbac}/clusterrolebindings`,
    body: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'writer' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'writer' },
      subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'mallory' }],
    },
  })
  assert.equal(await decide(name, 'Approved', 'mallory'), 403)
  const { status: signing } = await client.send({
    method: 'PATCH',
    path: `${CSRS}/${name}/status`,
    headers: { 'content-type': 'application/merge-patch+json', 'impersonate-user': 'mallory' },
    body: { status: { certificate: Buffer.from(server.ca).toString('base64') } },
  })
  assert.equal(signing, 403)
  assert.equal((await read(name)).certificate, undefined)
})
