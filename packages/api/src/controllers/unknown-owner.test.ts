// The collector and dependents whose owner is of a kind that nobody serves: they wait, and cost nothing while they do.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createStorage, encodeObject, openCacher } from '@podless/storage'
import { openMemory } from '@podless/storage/testing'
import { createLog } from '../log.ts'
import { Registry } from '../registry.ts'
import { builtinResources } from '../resources/index.ts'
import { startGarbageCollector } from './garbage-collector.ts'
import { Objects } from './objects.ts'

const KEY = '/registry/configmaps/default/owned'

test('a dependent is looked at again once kinds change, and not before', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const backend = openMemory()
  const onFatal = (error: unknown): never => assert.fail(String(error))
  const cacher = await openCacher(backend, { now: () => 0, onFatal })
  const storage = createStorage(backend, cacher)
  const registry = new Registry()
  registry.replace('', builtinResources())
  let looks = 0
  const counting: Registry = Object.create(registry, {
    lookupKind: {
      value: (gvk: Parameters<Registry['lookupKind']>[0]) => {
        if (gvk.kind === 'Thing') looks += 1
        return registry.lookupKind(gvk)
      },
    },
    onChange: { value: registry.onChange.bind(registry) },
    generation: { get: () => registry.generation },
  })
  const log = createLog({ write: line => assert.fail(line), level: 'warn', now: () => new Date(0) })
  const loop = startGarbageCollector(
    new Objects({ storage, registry: counting, now: () => new Date(0) }),
    log,
  )
  const owner = { apiVersion: 'a.b/v1', kind: 'Thing', name: 'gone', uid: 'gone' }
  const metadata = { name: 'owned', namespace: 'default', uid: 'owned', ownerReferences: [owner] }
  await storage.create(KEY, encodeObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata }))
  while (looks === 0) await new Promise(resolve => setImmediate(resolve))
  await loop.idle()
  for (let minute = 0; minute < 10; minute += 1) {
    t.mock.timers.tick(60_000)
    await loop.idle()
  }
  assert.equal(looks, 1)
  const configMaps = registry.lookup({ group: '', version: 'v1', resource: 'configmaps' })
  assert.ok(configMaps !== undefined)
  const gvr = { group: 'a.b', version: 'v1', resource: 'things' }
  const names = { ...configMaps.names, kind: 'Thing' }
  registry.replace('things.a.b', [{ ...configMaps, gvr, names, crd: 'things.a.b' }])
  while ((await storage.get(KEY)) !== undefined) await new Promise(resolve => setImmediate(resolve))
  await loop.close()
  await storage.close()
})
