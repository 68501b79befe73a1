// podless doctor on folders of podless up: a server that runs well, one that does not run, and what can be wrong.

import assert from 'node:assert/strict'
import { chmod, mkdtemp, rename, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { run } from '../../../../test/harness/child-process.ts'
import { startPodless } from '../../../../test/harness/podless.ts'
import type { Finding } from './finding.ts'

const parent = await mkdtemp(join(tmpdir(), 'podless-doctor-'))
after(() => rm(parent, { recursive: true, force: true }))
const PODLESS = join(import.meta.dirname, '../../../../podless')

async function examined(data: string, ...args: string[]) {
  const all = ['doctor', '--data', data, '-o', 'json', ...args]
  const { code, stdout, stderr } = await run(PODLESS, all)
  const findings = JSON.parse(stdout) as Finding[]
  const of = (check: string) => findings.find(finding => finding.check === check)
  return { code, stderr, of, failed: findings.filter(({ status }) => status === 'fail') }
}

test('a server that runs well passes, and every fault is named with its cure', async t => {
  const data = join(parent, 'data')
  const { child } = await startPodless({ data, port: 0 })
  await t.test('a running server', async () => {
    const { code, failed, of } = await examined(data, '--advertise', 'localhost:6443')
    assert.deepEqual([code, failed], [0, []])
    for (const check of ['data folder', 'store', 'keys', 'certificate', 'kubeconfig', 'server']) {
      assert.equal(of(check)?.status, 'ok', check)
    }
    const { code: text, stdout } = await run(PODLESS, ['doctor', '--data', data])
    assert.equal(text, 0)
    assert.match(stdout, /^ok +server +https:\S+ is ready$/m)
  })
  await t.test('a name that its certificate does not have', async () => {
    const { code, of } = await examined(data, '--advertise', 'mesh.example.com:6443')
    assert.equal(code, 65)
    assert.match(of('certificate')?.detail ?? '', /mesh\.example\.com; start podless up with/)
  })
  await child.stop()
  await t.test('a server that does not run, and keys that others may read', async () => {
    await chmod(join(data, 'pki', 'ca.key'), 0o644)
    const { code, failed, of, stderr } = await examined(data)
    assert.equal(code, 69)
    assert.deepEqual(
      failed.map(({ check }) => check),
      ['server'],
    )
    assert.match(of('server')?.detail ?? '', /start it with podless up/)
    assert.match(stderr, /1 of \d+ checks failed/)
    assert.equal(of('data folder')?.status, 'warn')
    assert.match(of('data folder')?.detail ?? '', /ca\.key; chmod/)
  })
  await t.test('damage and lost keys, and none are made', async () => {
    await truncate(join(data, 'store', 'data.mdb'), 8192)
    await rename(join(data, 'pki', 'sa.key'), join(parent, 'sa.key'))
    const { code, of } = await examined(data)
    assert.equal(code, 65)
    assert.match(of('store')?.detail ?? '', /is damaged/)
    assert.match(of('keys')?.detail ?? '', /sa\.key/)
    await rename(join(parent, 'sa.key'), join(data, 'pki', 'sa.key'))
    assert.equal((await examined(data)).of('keys')?.status, 'ok')
  })
})

test('no folder, and an etcd that does not answer', async () => {
  const { code, failed } = await examined(join(parent, 'none'))
  assert.equal(code, 65)
  assert.match(failed[0]?.detail ?? '', /podless up makes it/)
  const etcd = ['--store', 'etcd', '--etcd-endpoints', 'http://127.0.0.1:1']
  const { of } = await examined(parent, ...etcd)
  assert.deepEqual([of('store')?.status, of('store')?.code], ['fail', 69])
})
