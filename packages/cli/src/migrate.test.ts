// podless migrate on a store of podless up: what was plain or under an old key is not afterwards, and nothing is lost.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openEmbedded } from '@podless/storage'
import { ApiClient } from '../../../test/harness/api-client.ts'
import { podless, startPodless } from '../../../test/harness/podless.ts'

const directory = await mkdtemp(join(tmpdir(), 'podless-migrate-'))
after(() => rm(directory, { recursive: true, force: true }))
const data = join(directory, 'data')
const keyFile = join(directory, 'keys')
const line = (name: string, fill: number): string =>
  `${name}:${Buffer.alloc(32, fill).toString('base64')}\n`
const PATH = '/api/v1/namespaces/default/secrets'

/** Runs a server with the key file's lines, does something, stops it. */
async function served(lines: string, run: (client: ApiClient) => Promise<void>): Promise<void> {
  await writeFile(keyFile, lines, { mode: 0o600 })
  const args = lines === '' ? [] : ['--encryption-key-file', keyFile]
  const { child, admin } = await startPodless({ data, port: 0, args })
  const client = new ApiClient(admin)
  try {
    await run(client)
  } finally {
    client.close()
    await child.stop()
  }
}

async function create(client: ApiClient, name: string): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { key: 'hush' } }
  assert.equal((await client.send({ method: 'POST', path: PATH, body })).status, 201)
}

async function stored(name: string): Promise<string> {
  const backend = await openEmbedded({ directory: join(data, 'store') })
  const { entry } = await backend.get(`/registry/secrets/default/${name}`)
  await backend.close()
  return Buffer.from(entry?.value ?? []).toString('latin1')
}

test('plain Secrets and those of an old key are under the first one afterwards', async () => {
  await served('', client => create(client, 'plain'))
  await served(line('old', 1), client => create(client, 'older'))
  assert.match(await stored('plain'), /aHVzaA==/)
  const keys = line('new', 2) + line('old', 1)
  await served(keys, async client => {
    await create(client, 'fresh')
    await assert.rejects(podless('migrate', '--data', data, '--encryption-key-file', keyFile), /69/)
  })
  const args = ['migrate', '--data', data, '--encryption-key-file', keyFile, '--output', 'json']
  const first = JSON.parse(await podless(...args)) as Record<string, unknown>
  assert.deepEqual(first, { key: 'new', rewritten: 2, kept: 1 })
  for (const name of ['plain', 'older', 'fresh'])
    assert.ok((await stored(name)).startsWith('k8s:enc:aesgcm:v1:new:'))
  await served(line('new', 2), async client => {
    for (const name of ['plain', 'older', 'fresh']) {
      const { data: held } = (await client.send({ path: `${PATH}/${name}` })).json()
      assert.deepEqual(held, { key: 'aHVzaA==' })
    }
  })
})

test('without a key file there is nothing to encrypt with', async () => {
  await assert.rejects(podless('migrate', '--data', data), /64: .*--encryption-key-file is needed/)
})
