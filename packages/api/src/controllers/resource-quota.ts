// Counts what each ResourceQuota limits and writes it to the quota's status: when its limits change, when something in
// its namespace is deleted or a pod may have ended, and now and then, as a booked object may never have been stored.
// Ref: kubernetes/pkg/controller/resourcequota

import { equalJson, type JsonObject, type KubeObject, type Quantity } from '@podless/apimachinery'
import type { CacheEvent } from '@podless/storage'
import type { Log } from '../log.ts'
import { keyOf, prefixOf } from '../objects/stored-form.ts'
import { isInScopes } from '../quota/quota-scopes.ts'
import {
  amountsOf,
  countNameOf,
  isUncounted,
  sumOf,
  usageFrom,
  usageOf,
} from '../quota/resource-usage.ts'
import type { Resource } from '../resource.ts'
import { objectAt } from '../resources/reading.ts'
import { type Loop, startLoop } from './loop.ts'
import type { Objects } from './objects.ts'

/** Bookings that came to nothing are found after this long. */
const RECOUNT_MS = 30_000

export function startResourceQuotas(objects: Objects, quotas: Resource, log: Log): Loop {
  const prefix = prefixOf(quotas, '')
  const loop = startLoop({
    name: 'resource-quota',
    cacher: objects.storage.cacher,
    prefixes: ['/registry/'],
    keysOf: event => touched(objects, quotas, event),
    reconcile: async key => {
      const [namespace = '', name = ''] = key.slice(prefix.length).split('/')
      const quota = objects.get(quotas, namespace, name)
      if (quota === undefined) return
      await recount(objects, quotas, quota)
      loop.enqueue(key, RECOUNT_MS)
    },
    log,
  })
  return loop
}

/** A quota whose limits are new, or every quota of a namespace that something left. */
function touched(objects: Objects, quotas: Resource, { type, object }: CacheEvent): string[] {
  if (object.key.startsWith(prefixOf(quotas, ''))) {
    const { namespace, name } = object.header
    const quota = type === 'DELETED' ? undefined : objects.get(quotas, namespace, name)
    const isKnown = quota !== undefined && isCounted(quota)
    return quota === undefined || isKnown ? [] : [object.key]
  }
  const { namespace } = object.header
  const mayFree = type === 'DELETED' || (type === 'MODIFIED' && object.key.startsWith(PODS))
  if (!mayFree || namespace === '') return []
  return [...objects.list(quotas, namespace)].map(({ metadata }) =>
    keyOf(quotas, namespace, metadata.name ?? ''),
  )
}

const isCounted = (quota: KubeObject): boolean => {
  const hard = objectAt(quota, 'spec.hard')
  const used = objectAt(quota, 'status.used')
  return (
    equalJson(hard, objectAt(quota, 'status.hard')) &&
    Object.keys(hard).every(name => Object.hasOwn(used, name))
  )
}

async function recount(objects: Objects, quotas: Resource, quota: KubeObject): Promise<void> {
  const { namespace = '', name = '' } = quota.metadata
  const { backend, cacher } = objects.storage
  await cacher.waitFresh(await backend.revision())
  await objects.change(quotas, namespace, name, live => {
    const hard = objectAt(live, 'spec.hard')
    const used = usedOf(objects, namespace, live, Object.keys(hard))
    live.status = { ...(live.status as JsonObject), hard, used: amountsOf(used) }
  })
}

function usedOf(
  objects: Objects,
  namespace: string,
  quota: KubeObject,
  names: readonly string[],
): Map<string, Quantity> {
  const total = sumOf(
    countedResources(objects, names).flatMap(resource =>
      [...objects.list(resource, namespace)]
        .filter(obj => isInScopes(quota, resource, obj))
        .map(obj => usageOf(resource, obj)),
    ),
  )
  const zero = usageFrom(Object.fromEntries(names.map(name => [name, '0'])))
  return new Map([...sumOf([zero, total])].filter(([name]) => names.includes(name)))
}

const PODS = '/registry/pods/'
const DETAILED: ReadonlySet<string> = new Set(['pods', 'services', 'persistentvolumeclaims'])

/** The resources that these names could be about, one for each key prefix. */
function countedResources({ registry }: Objects, names: readonly string[]): Resource[] {
  const byPrefix = new Map<string, Resource>()
  for (const resource of registry.all()) {
    if (isUncounted(resource)) continue
    const { group, resource: plural } = resource.gvr
    const isDetailed = group === '' && DETAILED.has(plural)
    const isNamed =
      names.includes(countNameOf(resource)) || (group === '' && names.includes(plural))
    if (isDetailed || isNamed) byPrefix.set(resource.keyPrefix, resource)
  }
  return [...byPrefix.values()]
}
