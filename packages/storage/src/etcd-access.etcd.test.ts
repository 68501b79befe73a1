// Who may speak to etcd: TLS with client certificates, and user names with passwords.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Backend } from './backend.ts'
import { openEtcd } from './etcd.ts'
import { type EtcdProcess, etcdMissing, startEtcd } from './testing/etcd-process.ts'
import { PATIENT } from './testing/patient.ts'
import { bytes, failsWith, text, watchUntil } from './testing/suite-store.ts'

const opensslMissing =
  spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not on PATH'

async function useBackend(backend: Backend): Promise<void> {
  const revision = await backend.put('/a', bytes('1'), { ifRevision: 0, ttlSeconds: 3600 })
  assert.equal(text((await backend.get('/a')).entry?.value), '1')
  const batches = await watchUntil(backend, '/', { after: revision - 1, until: revision })
  assert.equal(batches.length, 1)
  await backend.delete('/a', { ifRevision: revision })
}

describe('etcd over TLS', { skip: etcdMissing || opensslMissing }, () => {
  let directory: string
  let etcd: EtcdProcess

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'podless-tls-'))
    await makeCertificates(directory)
    const file = (name: string) => join(directory, name)
    etcd = await startEtcd({
      scheme: 'https',
      args: [
        ...['--cert-file', file('server.crt'), '--key-file', file('server.key')],
        ...['--client-cert-auth', '--trusted-ca-file', file('ca.crt')],
      ],
    })
  })
  after(async () => {
    await etcd?.dispose()
    await rm(directory, { recursive: true, force: true })
  })

  test('a client certificate opens it', async () => {
    const [ca, cert, key] = await Promise.all(
      ['ca.crt', 'client.crt', 'client.key'].map(name => readFile(join(directory, name))),
    )
    assert(ca && cert && key)
    const tls = { ca, cert, key }
    const endpoints = [etcd.endpoint]
    const backend = await openEtcd({ endpoints, tls, compaction: false, ...PATIENT })
    await useBackend(backend)
    await backend.close()
  })

  test('without one, or by plain http, it is unavailable', async () => {
    const ca = await readFile(join(directory, 'ca.crt'))
    const connectTimeoutMs = 2000
    const withoutCert = openEtcd({ endpoints: [etcd.endpoint], tls: { ca }, connectTimeoutMs })
    assert.match((await failsWith('unavailable', withoutCert)).message, /certificates/)
    const plain = etcd.endpoint.replace('https:', 'http:')
    await failsWith('unavailable', openEtcd({ endpoints: [plain], connectTimeoutMs }))
  })
})

describe('etcd with passwords', { skip: etcdMissing }, () => {
  let etcd: EtcdProcess
  before(async () => {
    etcd = await startEtcd()
    const { Etcd3 } = await import('etcd3')
    const admin = new Etcd3({ hosts: etcd.endpoint })
    const root = await admin.user('root').create('secret')
    await root.addRole('root')
    await admin.auth.authEnable()
    admin.close()
  })
  after(() => etcd?.dispose())

  test('the right password opens it, and a wrong or no one is unavailable', async () => {
    const endpoints = [etcd.endpoint]
    const username = 'root'
    const right = {
      endpoints,
      username,
      password: 'secret',
      compaction: false,
      ...PATIENT,
    } as const
    const backend = await openEtcd(right)
    await useBackend(backend)
    // etcd forgets its tokens with its process; calls and watches get new ones.
    const after = await backend.revision()
    const watching = watchUntil(backend, '/', { after, until: after + 1 })
    await etcd.kill()
    await etcd.start()
    await openEtcd(right).then(other =>
      other.put('/b', bytes('1'), { ifRevision: 0 }).finally(() => other.close()),
    )
    assert.equal((await watching).length, 1)
    await useBackend(backend)
    await backend.close()
    await failsWith('unavailable', openEtcd({ endpoints, username, password: 'wrong' }))
    await failsWith('unavailable', openEtcd({ endpoints }))
  })
})

/** A CA, a server certificate for 127.0.0.1 and a client certificate, as files. */
async function makeCertificates(directory: string): Promise<void> {
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: directory })
    assert.equal(status, 0, stderr.toString())
  }
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(
    'req',
    '-x509',
    ...newKey,
    ...['-keyout', 'ca.key', '-out', 'ca.crt'],
    ...['-subj', '/CN=ca'],
  )
  for (const name of ['server', 'client']) {
    await writeFile(join(directory, `${name}.ext`), 'subjectAltName=IP:127.0.0.1\n')
    openssl(
      'req',
      ...newKey,
      ...['-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`],
    )
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key'],
      ...['-CAcreateserial', '-out', `${name}.crt`, '-extfile', `${name}.ext`],
    )
  }
}
