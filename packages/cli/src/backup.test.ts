// podless backup beside a running podless up, and podless restore: what was there is there again, who was let in still is,
// and clients that watched list again.

import assert from 'node:assert/strict'
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { type ApiAccess, ApiClient } from '../../../test/harness/api-client.ts'
import { podless, startPodless } from '../../../test/harness/podless.ts'

const parent = await mkdtemp(join(tmpdir(), 'podless-backup-'))
after(() => rm(parent, { recursive: true, force: true }))
const PATH = '/api/v1/namespaces/default/configmaps'
const STEP = 1_000_000_000

interface Printed {
  readonly revision: number
  readonly objects: number
  readonly bytes: number
  readonly kept?: string
}

async function create(client: ApiClient, name: string): Promise<void> {
  const body: JsonObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } }
  const { status } = await client.send({ method: 'POST', path: PATH, body })
  assert.equal(status, 201)
}

const listed = async (client: ApiClient) => {
  const list = (await client.send({ path: PATH })).json() as unknown as {
    metadata: { resourceVersion: string }
    items: { metadata: { name: string } }[]
  }
  return {
    revision: Number(list.metadata.resourceVersion),
    names: list.items.map(item => item.metadata.name),
  }
}

/** Runs a server, does something, stops it. */
async function served<T>(
  data: string,
  run: (client: ApiClient, admin: ApiAccess) => Promise<T>,
): Promise<T> {
  const { child, admin } = await startPodless({ data, port: 0 })
  const client = new ApiClient(admin)
  try {
    return await run(client, admin)
  } finally {
    client.close()
    await child.stop()
  }
}

const json = async (...args: string[]): Promise<Printed> =>
  JSON.parse(await podless(...args, '-o', 'json')) as Printed

async function modesUnder(folder: string): Promise<Set<string>> {
  const modes = new Set<string>()
  for (const name of ['.', ...(await readdir(folder, { recursive: true }))]) {
    const found = await stat(join(folder, name))
    modes.add(`${found.isDirectory() ? 'd' : 'f'}${(found.mode & 0o777).toString(8)}`)
  }
  return modes
}

test('a backup of a running server is restored; its keys are taken, later revisions have expired', async () => {
  const data = join(parent, 'data')
  const copy = join(parent, 'copy')
  const before = await served(data, async (client, admin) => {
    await create(client, 'before')
    let isWriting = true
    const writing = (async () => {
      for (let i = 0; isWriting; i++) await create(client, `during-${i}`)
    })()
    const made = await json('backup', copy, '--data', data)
    isWriting = false
    await writing
    await create(client, 'after')
    assert.ok(made.objects > 0 && made.bytes > made.objects)
    await assert.rejects(podless('backup', copy, '--data', data), /73: .*is there already/)
    await assert.rejects(
      podless('restore', copy, '--data', data, '--force'),
      /69: .*is in use by process/,
    )
    return { made, admin, ...(await listed(client)) }
  })
  assert.deepEqual(await modesUnder(copy), new Set(['d700', 'f600']))
  await assert.rejects(podless('restore', copy, '--data', data), /73: .*is not empty.*--force/)
  const restored = await json('restore', copy, '--data', data, '--force')
  assert.equal(restored.revision, before.made.revision + STEP)
  assert.equal(restored.objects, before.made.objects)
  assert.ok((await readdir(restored.kept ?? '')).includes('store'))
  assert.deepEqual(await modesUnder(data), new Set(['d700', 'f600']))
  await served(data, async (_, admin) => {
    // The client of before: its certificate and its authority.
    const client = new ApiClient({ ...before.admin, url: admin.url })
    const now = await listed(client)
    assert.ok(now.revision >= restored.revision)
    assert.ok(now.names.includes('before'))
    assert.ok(!now.names.includes('after'))
    const path = `${PATH}?watch=1&resourceVersion=${before.revision}`
    const { type, object } = (await client.send({ path })).json() as {
      type?: string
      object?: { code?: number; reason?: string }
    }
    assert.deepEqual([type, object?.code, object?.reason], ['ERROR', 410, 'Expired'])
    await create(client, 'after')
    client.close()
  })
})

test('a stopped server is backed up, and restored into a new folder', async () => {
  const data = join(parent, 'stopped')
  const copy = join(parent, 'stopped-copy')
  await served(data, client => create(client, 'kept'))
  assert.match(await podless('backup', copy, '--data', data), /\d+ objects, \d+ bytes, at revision/)
  const fresh = join(parent, 'fresh')
  await podless('restore', copy, '--data', fresh)
  const { names } = await served(fresh, listed)
  assert.ok(names.includes('kept'))
})

test('what is damaged or no backup is not restored, and nothing is left of it', async () => {
  const data = join(parent, 'source')
  await served(data, client => create(client, 'kept'))
  const copy = join(parent, 'damaged')
  await podless('backup', copy, '--data', data)
  await truncate(join(copy, 'store', 'data.mdb'), 8192)
  const target = join(parent, 'target')
  const restoring = () => podless('restore', copy, '--data', target)
  await assert.rejects(restoring, /65: .*is damaged/)
  const manifest = await readFile(join(copy, 'backup.json'), 'utf8')
  await writeFile(join(copy, 'backup.json'), manifest.replace('"version": 1', '"version": 2'))
  await assert.rejects(restoring, /65: .*has format 2/)
  await assert.rejects(podless('restore', data, '--data', target), /65: .*holds no backup\.json/)
  await assert.rejects(
    podless('backup', join(parent, 'none'), '--data', parent),
    /65: .*holds no keys/,
  )
  const link = join(parent, 'target-link')
  await mkdir(join(parent, 'linked'))
  await symlink(join(parent, 'linked'), link)
  const whole = join(parent, 'whole')
  await podless('backup', whole, '--data', data)
  await assert.rejects(podless('restore', whole, '--data', link), /73: .*cannot be replaced/)
  await rm(link)
  const left = (await readdir(parent)).filter(name => /^(target|none)/.test(name))
  assert.deepEqual(left, [])
})

test('with etcd the keys are copied, and etcdctl is named for the objects', async () => {
  const data = join(parent, 'keys-alone')
  await served(data, client => create(client, 'kept'))
  const copy = join(parent, 'keys-copy')
  const said = await podless('backup', copy, '--data', data, '--store', 'etcd')
  assert.match(said, /etcdctl snapshot save/)
  assert.deepEqual((await readdir(copy)).toSorted(), ['backup.json', 'pki'])
  const target = join(parent, 'keys-restored')
  await mkdir(target)
  assert.match(await podless('restore', copy, '--data', target), /--bump-revision/)
  assert.deepEqual(await readdir(target), ['pki'])
})
