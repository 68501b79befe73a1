// The views that decide who may do what, when one of their objects is more than they can take.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '@podless/apimachinery'
import {
  type CacheWatcher,
  openCacher,
  type StoredObject,
  storedObject,
  type WatchSink,
} from '@podless/storage'
import { openMemory } from '@podless/storage/testing'
import { ApiServices } from './aggregation/api-services.ts'
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
    apiServices: new ApiServices(),
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

test('what a Service gave up while the cache had lost its place is told', async () => {
  const registry = new Registry()
  registry.replace('', builtinResources())
  const sinks = new Map<string, WatchSink>()
  const told: string[] = []
  let latest: StoredObject | undefined
  const portOf = (service: KubeObject): number => (service.spec as { port: number }).port
  feed({
    cacher: {
      get: () => latest,
      revision: 1,
      watch: ({ prefix, sink }) => {
        if (sink !== undefined) sinks.set(prefix, sink)
        return {} as CacheWatcher
      },
    },
    resourceOf: gvr => registry.lookup(gvr) ?? assert.fail(gvr.resource),
    apiServices: new ApiServices(),
    addresses: {
      apply: (service, deleted, previous) =>
        told.push(`${deleted ? 'gone' : portOf(service)} was ${previous && portOf(previous)}`),
    },
    authorizer: { set: () => undefined, remove: () => undefined },
    log: createLog({ write: assert.fail, level: 'error', now: () => new Date(0) }),
    onFatal: error => assert.fail(String(error)),
  })
  const [prefix = ''] = [...sinks.keys()].filter(key => key.includes('services'))
  const store = (port: number): StoredObject => {
    const metadata = { name: 's', uid: 's' }
    const service = { apiVersion: 'v1', kind: 'Service', metadata, spec: { port } }
    return storedObject(`${prefix}a/s`, Buffer.from(JSON.stringify(service)), port)
  }
  const show = (object: StoredObject): void => {
    const { revision } = object
    sinks.get(prefix)?.onEvents([{ type: 'ADDED', object, previous: undefined, revision }])
  }
  show(store(1))
  latest = store(2)
  sinks.get(prefix)?.onEnd?.('expired', undefined)
  show(latest)
  assert.deepEqual(told, ['1 was undefined', '2 was 1'])
})
