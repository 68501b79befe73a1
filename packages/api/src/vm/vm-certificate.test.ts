// For which VMs a certificate is made, and when one holds no more.

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import type { KubeObject } from '@podless/apimachinery'
import { vmCertificateProblem, vmCertificateUid } from './vm-certificate.ts'
import { vmUser } from './vm-policy.ts'
import { vmSecret } from './vm-record.ts'

const annotations = { 'podless.dev/group': 'shop' }
const { metadata, ...rest } = vmSecret({ name: 'db', namespace: 'a', annotations })
const stored: KubeObject = {
  ...rest,
  metadata: { ...metadata, uid: 'now', creationTimestamp: '2026-01-01T00:00:10Z' },
}
const secret = (namespace: string, name: string): KubeObject | undefined =>
  namespace === 'a' && name === 'podless-vm-db' ? stored : undefined

const request = (commonName: string) => ({
  subject: Buffer.alloc(0),
  commonName,
  organizations: ['podless:vms'],
  publicKey: generateKeyPairSync('ed25519').publicKey,
})

test('a VM that was added gets its uid, for requests that are no older than its Secret', () => {
  const asked = (commonName: string, at: string) =>
    vmCertificateUid(request(commonName), at, secret)
  assert.deepEqual(asked('podless:vm:a:db', '2026-01-01T00:00:10Z'), { uid: 'now' })
  const late = { error: 'the credentials of the VM were made anew after this request' }
  assert.deepEqual(asked('podless:vm:a:db', '2026-01-01T00:00:09Z'), late)
  const none = { error: 'there is no VM b/db' }
  assert.deepEqual(asked('podless:vm:b:db', '2026-01-01T00:00:10Z'), none)
})

test('a VM is somebody by the uid of its Secret alone; others are not asked for one', () => {
  const problem = (given: string | undefined, name = 'db'): string | undefined => {
    const { uid: _none, ...user } = vmUser('a', name, '')
    return vmCertificateProblem(given === undefined ? user : { ...user, uid: given }, secret)
  }
  assert.equal(problem('now'), undefined)
  for (const [uid, name] of [['before'], [undefined], ['now', 'other']] as const)
    assert.match(problem(uid, name) ?? '', /was removed, or got new credentials/)
  assert.equal(vmCertificateProblem({ name: 'anna', groups: [] }, secret), undefined)
})
