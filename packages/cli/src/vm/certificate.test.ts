// A VM's client certificate ends with its other credentials: by vm renew --revoke and vm remove, for connections that are open,
// for a server that starts anew, and for a VM of the same name that comes after. openssl makes the requests.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { vmSecret } from '@podless/api'
import type { JsonObject } from '@podless/apimachinery'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { type Podless, podless, startPodless } from '../../../../test/harness/podless.ts'

const CSRS = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
const SECRETS = '/api/v1/namespaces/default/secrets'
const WHO = {
  method: 'POST',
  path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
  body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
}
const hasOpenssl = spawnSync('openssl', ['version']).status === 0
const skip = hasOpenssl ? false : 'there is no openssl on this machine'

const parent = await mkdtemp(join(tmpdir(), 'podless-vm-certificate-'))
const data = join(parent, 'data')
let server: Podless | undefined
after(async () => {
  await server?.child.stop()
  await rm(parent, { recursive: true, force: true })
})

interface Certified {
  readonly certificate: string
  readonly key: string
}

/** A certificate of the VM `db`, asked for and approved by the admin. */
async function certified(admin: ApiClient, name: string): Promise<Certified> {
  const keyFile = join(parent, `${name}.key`)
  const request = execFileSync('openssl', [
    ...['req', '-new', '-nodes', '-subj', '/O=podless:vms/CN=podless:vm:default:db'],
    ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-keyout', keyFile],
  ])
  const spec = {
    request: request.toString('base64'),
    signerName: 'podless.dev/vm',
    usages: ['client auth'],
  }
  const created = await admin.send({
    method: 'POST',
    path: CSRS,
    body: { metadata: { name }, spec },
  })
  assert.equal(created.status, 201)
  await admin.send({
    method: 'PATCH',
    path: `${CSRS}/${name}/approval`,
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { status: { conditions: [{ type: 'Approved', status: 'True', reason: 'Test' }] } },
  })
  for (;;) {
    const { status } = (await admin.send({ path: `${CSRS}/${name}` })).json()
    const { certificate } = (status ?? {}) as { certificate?: string }
    if (certificate !== undefined) {
      const key = await readFile(keyFile, 'utf8')
      return { certificate: Buffer.from(certificate, 'base64').toString(), key }
    }
    assert.doesNotMatch(JSON.stringify(status), /"Failed"/)
  }
}

async function addVm(admin: ApiClient): Promise<void> {
  const annotations = { 'podless.dev/group': 'db', 'podless.dev/server': 'https://mesh.example' }
  const body = vmSecret({ name: 'db', namespace: 'default', annotations })
  assert.equal((await admin.send({ method: 'POST', path: SECRETS, body })).status, 201)
}

async function start(): Promise<{ admin: ApiClient; as: (who: Certified) => ApiClient }> {
  server = await startPodless({ data, port: 0 })
  const { admin } = server
  return { admin: new ApiClient(admin), as: who => new ApiClient({ ...admin, ...who }) }
}

/** 201 for a user, 401 for one who is nobody; asked everywhere a VM might try. */
async function isKnown(client: ApiClient): Promise<boolean> {
  const who = await client.send(WHO)
  const others = ['/version', '/podless/v1/bundle/hosts', SECRETS].map(path =>
    client.send({ path }),
  )
  const refused = (await Promise.all(others)).map(({ status }) => status === 401)
  assert.deepEqual(refused, Array(3).fill(who.status === 401))
  if (who.status === 401) return false
  assert.equal(who.status, 201)
  const { userInfo } = who.json().status as { userInfo: JsonObject }
  assert.equal(userInfo.username, 'podless:vm:default:db')
  return true
}

test('a certificate made before vm renew --revoke or vm remove is refused everywhere, after a restart too', {
  skip,
}, async () => {
  const first = await start()
  await addVm(first.admin)
  const old = await certified(first.admin, 'old')
  const open = first.as(old)
  assert.equal(await isKnown(open), true)

  await podless('vm', 'renew', 'db', '--revoke', '--data', data)
  assert.equal(await isKnown(open), false)
  const fresh = await certified(first.admin, 'fresh')
  assert.equal(await isKnown(first.as(fresh)), true)

  await server?.child.stop()
  const second = await start()
  assert.equal(await isKnown(second.as(old)), false)
  const current = second.as(fresh)
  assert.equal(await isKnown(current), true)

  await podless('vm', 'remove', 'db', '--data', data)
  assert.equal(await isKnown(current), false)
  await addVm(second.admin)
  assert.equal(await isKnown(current), false)
  assert.equal(await isKnown(second.as(await certified(second.admin, 'again'))), true)
})
