// The views that decide who may do what, when one of their objects is more than they can take.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '@podless/apimachinery'
import { openCacher } from '@podless/storage'
import { openMemory } from '@podless/storage/testing'
import { feed } from './feed.ts'
import { createLog } from './log.ts'
import { Registry } from './registry.ts'
import { builtinResources } from './resources/index.ts'

const PREFIX = '/registry/clusterroles/'

/** A view of roles by name, which fails on the kind of name that its callbacks say. */
async function start(fails: { set: string; remove: string }) {
  const backend = openMemory()
  const onFatal = (error: unknown): never => assert.fail(String(error))
  const cacher = await openCacher(backend, { now: () => performance.now(), onFatal })
  const registry = new Registry()
  registry.replace('', builtinResources())
  const roles = new Set<string>()
  const logged: string[] = []
  const fatal = Promise.withResolvers<unknown>()
  const nameOf = ({ metadata }: KubeObject): string => metadata.name ?? ''
  const failOn = (name: string, wrong: string): void => {
    if (name.startsWith(wrong)) throw new Error(`${name} is unbearable`)
  }
  feed({
    cacher,
    resourceOf: gvr => registry.lookup(gvr) ?? assert.fail(gvr.resource),
    addresses: { apply: () => assert.fail('there is no Service') },
    authorizer: {
      set: obj => {
        failOn(nameOf(obj), fails.set)
        roles.add(nameOf(obj))
      },
      remove: obj => {
        failOn(obj.metadata.name ?? '', fails.remove)
        roles.delete(obj.metadata.name ?? '')
      },
    },
    log: createLog({ write: line => logged.push(line), level: 'error', now: () => new Date(0) }),
    onFatal: fatal.resolve,
  })
  const put = async (name: string, ifRevision = 0): Promise<number> => {
    const apiVersion = 'rbac.authorization.k8s.io/v1'
    const role = { apiVersion, kind: 'ClusterRole', metadata: { name, uid: name } }
    const bytes = Buffer.from(JSON.stringify(role))
    const revision = await backend.put(`${PREFIX}${name}`, bytes, { ifRevision })
    await cacher.waitFresh(revision)
    return revision
  }
  const close = async (): Promise<void> => {
    await cacher.close()
    await backend.close()
  }
  return { put, roles, logged, fatal: fatal.promise, fails, close }
}

test('an object that cannot be taken in counts for nothing, and others are taken in as ever', async () => {
  const view = await start({ set: 'bad', remove: 'never' })
  await view.put('good')
  await view.put('bad-from-the-start')
  view.fails.set = 'none'
  const revision = await view.put('turns-bad')
  assert.deepEqual([...view.roles], ['good', 'turns-bad'])
  view.fails.set = 'turns'
  await view.put('turns-bad', revision)
  await view.put('late')
  assert.deepEqual([...view.roles], ['good', 'late'])
  assert.equal(view.logged.length, 2)
  await view.close()
})

test('a view that can not even forget an object ends the process: what it allows is out of date', async () => {
  const view = await start({ set: 'bad', remove: 'bad' })
  await view.put('bad')
  assert.match(String(await view.fatal), /bad is unbearable/)
  await view.close()
})
