// The collector against clients that write to a dependent in the moment between its verdict and its own write.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import type { Backend } from '@podless/storage'
import { openMemory } from '@podless/storage/testing'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'

const inner = openMemory()
/** Key -> what happens before the next write of it. */
const meddlers = new Map<string, () => Promise<unknown>>()

async function interfere(key: string): Promise<void> {
  const act = meddlers.get(key)
  meddlers.delete(key)
  await act?.()
}

const backend: Backend = new Proxy(inner, {
  get: (target, name) => {
    if (name === 'put' || name === 'delete') {
      return async (...args: [string, never, never]) => {
        await interfere(args[0])
        return await target[name](...args)
      }
    }
    const value: unknown = Reflect.get(target, name)
    return typeof value === 'function' ? value.bind(target) : value
  },
})

const { server, admin: client } = await serverForFile({ backend })

const MAPS = '/api/v1/namespaces/default/configmaps'

interface Owner {
  readonly uid: string
  readonly [field: string]: string
}

async function create(name: string, ownerReferences: readonly Owner[] = []): Promise<Owner> {
  const metadata = { name, ownerReferences: ownerReferences.map(owner => ({ ...owner })) }
  const body: JsonObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata }
  const answer = await client.send({ method: 'POST', path: MAPS, body })
  assert.equal(answer.status, 201)
  const { uid } = answer.json().metadata as { uid: string }
  return { apiVersion: 'v1', kind: 'ConfigMap', name, uid }
}

const keyOf = (name: string): string => `/registry/core/configmaps/default/${name}`

/** Adds an owner behind the server's back, as another replica would. */
async function own(name: string, owner: Owner): Promise<void> {
  const { entry } = await inner.get(storedKey(name))
  assert.ok(entry !== undefined)
  const object = JSON.parse(Buffer.from(entry.value).toString())
  object.metadata.ownerReferences = [...(object.metadata.ownerReferences ?? []), owner]
  await inner.put(entry.key, Buffer.from(JSON.stringify(object)), { ifRevision: entry.revision })
}

const storedKey = (name: string): string =>
  [...server.server.storage.cacher.list('/registry/')].find(
    ({ header }) => header.kind === 'ConfigMap' && header.name === name,
  )?.key ?? keyOf(name)

const ownersOf = async (name: string): Promise<string[] | undefined> => {
  const answer = await client.send({ path: `${MAPS}/${name}` })
  if (answer.status !== 200) return undefined
  const { ownerReferences = [] } = answer.json().metadata as { ownerReferences?: Owner[] }
  return ownerReferences.map(owner => owner.name ?? '')
}

/** What is left of the dependent's owners once its write was interfered with and the lost one is off it. */
async function ownersWithout(lost: string, name: string): Promise<string[] | undefined> {
  for (;;) {
    const owners = await ownersOf(name)
    if (!meddlers.has(storedKey(name)) && !owners?.includes(lost)) return owners
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

test('an owner that comes while a lost one is taken off stays', async () => {
  const [lost, kept, late] = [await create('lost'), await create('kept'), await create('late')]
  await create('child', [lost, kept])
  meddlers.set(storedKey('child'), () => own('child', late))
  await client.send({ method: 'DELETE', path: `${MAPS}/lost` })
  assert.deepEqual(await ownersWithout('lost', 'child'), ['kept', 'late'])
})

test('a dependent that gets an owner while it is being collected stays', async () => {
  const [last, rescuer] = [await create('last'), await create('rescuer')]
  await create('rescued', [last])
  meddlers.set(storedKey('rescued'), () => own('rescued', rescuer))
  await client.send({ method: 'DELETE', path: `${MAPS}/last` })
  assert.deepEqual(await ownersWithout('last', 'rescued'), ['rescuer'])
})

async function patch(name: string, metadata: JsonObject): Promise<void> {
  const { status, bytes } = await client.send({
    method: 'PATCH',
    path: `${MAPS}/${name}`,
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { metadata },
  })
  assert.equal(status, 200, bytes.toString())
}

/** An owner that waits for the object under foreground deletion. */
const blocked = (owner: Owner): JsonObject => ({ ...owner, blockOwnerDeletion: true })

const deleteForeground = (name: string) =>
  client.send({ method: 'DELETE', path: `${MAPS}/${name}?propagationPolicy=Foreground` })

async function untilGone(name: string): Promise<void> {
  while ((await client.send({ path: `${MAPS}/${name}` })).status !== 404)
    await new Promise(resolve => setTimeout(resolve, 5))
}

test('owners in a circle go together under foreground deletion', async () => {
  const first = await create('circle-1')
  const second = await create('circle-2')
  const third = await create('circle-3')
  await patch('circle-1', { ownerReferences: [blocked(third)] })
  await patch('circle-2', { ownerReferences: [blocked(first)] })
  await patch('circle-3', { ownerReferences: [blocked(second)] })
  await deleteForeground('circle-1')
  for (const name of ['circle-1', 'circle-2', 'circle-3']) await untilGone(name)
})

test('an owner that waits goes once a dependent that is held is no longer its own', async () => {
  const owner = await create('left')
  await create('held')
  const finalizers = ['podless.dev/hold']
  await patch('held', { finalizers, ownerReferences: [blocked(owner)] })
  await deleteForeground('left')
  await patch('held', { ownerReferences: null })
  await untilGone('left')
  await patch('held', { finalizers: null })
})
