import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { kubeconfig } from '@podless/identity'
import { CliError } from './exit.ts'
import { objectPath, readServerAccess, ServerClient } from './server-client.ts'

test('objectPath() finds core and grouped resources', () => {
  assert.equal(objectPath('namespaces', 'a'), '/api/v1/namespaces/a')
  assert.equal(objectPath('secrets', '', 'ns'), '/api/v1/namespaces/ns/secrets')
  assert.equal(
    objectPath('networking.istio.io/v1/workloadgroups', 'a/b', 'ns'),
    '/apis/networking.istio.io/v1/namespaces/ns/workloadgroups/a%2Fb',
  )
})

test('readServerAccess() reads inline credentials, credentials in files, and says what it cannot read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'podless-client-'))
  try {
    const path = join(folder, 'config')
    const text = kubeconfig({ name: 'x', server: 'https://h:1/', ca: 'CA', user: { token: 't' } })
    await writeFile(path, text)
    assert.deepEqual(await readServerAccess(path), { server: 'https://h:1', ca: 'CA', token: 't' })
    await writeFile(join(folder, 'ca.pem'), 'FILE CA')
    await writeFile(
      path,
      text.replace(/certificate-authority-data: .*/, 'certificate-authority: ca.pem'),
    )
    assert.equal((await readServerAccess(path)).ca, 'FILE CA')
    await writeFile(path, 'not: a kubeconfig\n')
    await assert.rejects(readServerAccess(path), CliError)
    await assert.rejects(readServerAccess(join(folder, 'absent')), CliError)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a server that is not there is one line with its address', async () => {
  const client = new ServerClient({ server: 'https://127.0.0.1:1' })
  await assert.rejects(
    client.get('/api'),
    (error: unknown) =>
      error instanceof CliError &&
      /^no server answers at https:\/\/127\.0\.0\.1:1 .*podless up$/.test(error.message),
  )
  client.close()
})
