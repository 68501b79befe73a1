// Keeps the in-memory views of Services, RBAC and APIServices equal to the cache, in the same tick as its events. Started by
// api-server.ts; calls authorize.ts and service-addresses.ts.

import type { GroupVersionResource, KubeObject } from '@podless/apimachinery'
import type { CacheEvent, Cacher, StoredObject, WatchEnd } from '@podless/storage'
import type { ApiServices } from './aggregation/api-services.ts'
import type { ClusterIpAllocator } from './allocation/service-addresses.ts'
import type { RbacAuthorizer } from './auth/authorize.ts'
import type { Log } from './log.ts'
import { decodeStored, prefixOf } from './objects/stored-form.ts'
import type { Resource } from './resource.ts'

export interface FeedOptions {
  readonly cacher: Pick<Cacher, 'get' | 'revision' | 'watch'>
  readonly resourceOf: (gvr: GroupVersionResource) => Resource
  readonly addresses: Pick<ClusterIpAllocator, 'apply'>
  readonly authorizer: Pick<RbacAuthorizer, 'set' | 'remove'>
  readonly apiServices: Pick<ApiServices, 'set' | 'remove'>
  readonly log: Log
  /** A view stands still for ever: what it allows can no longer be trusted. */
  readonly onFatal: (error: unknown) => void
}

type Apply = (obj: KubeObject, deleted: boolean, previous?: KubeObject) => void

const RBAC = { group: 'rbac.authorization.k8s.io', version: 'v1' }

/** Fills the views from the cache and follows it for as long as it lives. */
export function feed(options: FeedOptions): void {
  const { resourceOf, addresses, authorizer, apiServices } = options
  const services = resourceOf({ group: '', version: 'v1', resource: 'services' })
  follow(options, services, (...change) => addresses.apply(...change))
  for (const resource of ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings']) {
    follow(options, resourceOf({ ...RBAC, resource }), (obj, deleted) =>
      deleted ? authorizer.remove(obj) : authorizer.set(obj),
    )
  }
  const registration = { group: 'apiregistration.k8s.io', version: 'v1', resource: 'apiservices' }
  follow(options, resourceOf(registration), (obj, deleted) =>
    deleted ? apiServices.remove(obj) : apiServices.set(obj),
  )
}

/** `known`: what was last seen of each object, also before the cache lost its place. */
function follow(
  options: FeedOptions,
  resource: Resource,
  apply: Apply,
  known = new Map<string, StoredObject>(),
): void {
  const { cacher, log, onFatal } = options
  const take = (event: CacheEvent): void => {
    const { type, object } = event
    const previous = event.previous ?? known.get(object.key)
    if (type === 'DELETED') known.delete(object.key)
    else known.set(object.key, object)
    const decode = (stored: StoredObject): KubeObject => decodeStored(stored, resource)
    try {
      apply(decode(object), type === 'DELETED', previous && decode(previous))
    } catch (error) {
      // One that cannot be read gives nothing, and must not hold up all others.
      log.error('an object that cannot be read is left out', error, { key: object.key })
      apply(bare(object, resource), true)
    }
  }
  const onEnd = (reason: WatchEnd, error: unknown): void => {
    if (reason === 'aborted') return
    if (reason === 'failed') {
      onFatal(error)
      return
    }
    // What went while nobody looked has no event: a role that is gone must not allow any more.
    for (const object of [...known.values()]) {
      if (cacher.get(object.key)?.header.uid === object.header.uid) continue
      take({ type: 'DELETED', object, previous: undefined, revision: cacher.revision })
    }
    follow(options, resource, apply, known)
  }
  cacher.watch({
    prefix: prefixOf(resource, ''),
    initialEvents: 'unmarked',
    sink: {
      onEvents: items => {
        for (const item of items) if (item.type !== 'INITIAL_EVENTS_END') take(item)
      },
      onEnd,
    },
  })
}

function bare({ header }: StoredObject, { names }: Resource): KubeObject {
  const { apiVersion, name, namespace, uid } = header
  return {
    apiVersion,
    kind: names.kind,
    metadata: { name, uid, ...(namespace === '' ? {} : { namespace }) },
  }
}
