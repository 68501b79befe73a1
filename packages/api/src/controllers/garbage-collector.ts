// Owner references at work: dependents go when their last owner is gone, wait for them under foreground deletion, or are
// set free under orphan. Built from the cache's own events. Ref: kubernetes/pkg/controller/garbagecollector

import {
  conflict,
  type KubeObject,
  type ObjectMeta,
  type OwnerReference,
  parseApiVersion,
} from '@podless/apimachinery'
import type { CacheEvent, ObjectHeader, StoredObject } from '@podless/storage'
import type { Log } from '../log.ts'
import type { Resource } from '../resource.ts'
import { FOREGROUND_FINALIZER, ORPHAN_FINALIZER } from '../writing/deletion.ts'
import { type Loop, startLoop } from './loop.ts'
import type { Objects } from './objects.ts'

/** Everything stored is somebody's possible owner or dependent. */
const ROOT = '/registry/'

export function startGarbageCollector(objects: Objects, log: Log): Loop {
  const graph = new OwnerGraph()
  const collector = new Collector(objects, graph)
  /** Whose owner is of a kind that is not served: to be judged once kinds have changed. */
  const waiting = new Set<string>()
  const { registry } = objects
  const loop = startLoop({
    name: 'garbage-collector',
    cacher: objects.storage.cacher,
    prefixes: [ROOT],
    keysOf: event => {
      if (event.type === 'DELETED') waiting.delete(event.object.key)
      return graph.apply(event)
    },
    reconcile: async key => {
      const { generation } = registry
      const isJudged = await collector.reconcile(key)
      if (isJudged) waiting.delete(key)
      else waiting.add(key)
      if (!isJudged && registry.generation !== generation) loop.enqueue(key)
    },
    log,
  })
  registry.onChange(() => {
    for (const key of waiting) loop.enqueue(key)
  })
  return loop
}

const isHeldBy = (header: ObjectHeader, finalizer: string): boolean =>
  header.deletionTimestamp !== undefined && header.finalizers.includes(finalizer)

/** The uids of owners that do not go before this object under foreground deletion. */
const blockedBy = ({ ownerReferences }: ObjectHeader): string[] =>
  ownerReferences.flatMap(owner => (owner.blockOwnerDeletion === true ? [owner.uid] : []))

/** Who owns whom, by uid and key. */
class OwnerGraph {
  /** Owner uid -> keys of dependents. */
  readonly #dependents = new Map<string, Set<string>>()
  readonly #ownersOf = new Map<string, readonly string[]>()
  /** uid -> key of what exists. */
  readonly #keys = new Map<string, string>()

  keyOf(uid: string): string | undefined {
    return this.#keys.get(uid)
  }

  dependentsOf(uid: string): readonly string[] {
    return [...(this.#dependents.get(uid) ?? [])]
  }

  /** Records a change and says which keys to look at. */
  apply({ type, object, previous }: CacheEvent): string[] {
    const { key, header } = object
    if (type === 'DELETED') return this.#forget(key, header)
    this.#keys.set(header.uid, key)
    const owners = header.ownerReferences.map(({ uid }) => uid)
    this.#link(key, owners)
    const waiting = isHeldBy(header, FOREGROUND_FINALIZER) || isHeldBy(header, ORPHAN_FINALIZER)
    const own = owners.length > 0 || waiting ? [key] : []
    const dependents = waiting ? this.dependentsOf(header.uid) : []
    return [...own, ...dependents, ...this.#unblocked(header, previous?.header)]
  }

  /** Owners that the object blocked until this change. */
  #unblocked(now: ObjectHeader, before: ObjectHeader | undefined): string[] {
    const left = new Set(blockedBy(now))
    const freed = before === undefined ? [] : blockedBy(before).filter(uid => !left.has(uid))
    return freed.flatMap(uid => this.#keys.get(uid) ?? [])
  }

  #forget(key: string, { uid, ownerReferences }: ObjectHeader): string[] {
    this.#link(key, [])
    if (this.#keys.get(uid) === key) this.#keys.delete(uid)
    // Dependents lost an owner; owners under foreground deletion lost a dependent.
    const owners = ownerReferences.flatMap(owner => this.#keys.get(owner.uid) ?? [])
    return [...this.dependentsOf(uid), ...owners]
  }

  #link(key: string, owners: readonly string[]): void {
    for (const uid of this.#ownersOf.get(key) ?? []) {
      const dependents = this.#dependents.get(uid)
      dependents?.delete(key)
      if (dependents?.size === 0) this.#dependents.delete(uid)
    }
    if (owners.length === 0) {
      this.#ownersOf.delete(key)
      return
    }
    this.#ownersOf.set(key, owners)
    for (const uid of owners) {
      const dependents = this.#dependents.get(uid) ?? new Set()
      this.#dependents.set(uid, dependents)
      dependents.add(key)
    }
  }
}

class Collector {
  readonly #objects: Objects
  readonly #graph: OwnerGraph

  constructor(objects: Objects, graph: OwnerGraph) {
    this.#objects = objects
    this.#graph = graph
  }

  /** False when an owner could not be judged yet. */
  async reconcile(key: string): Promise<boolean> {
    const stored = this.#objects.storage.cacher.get(key)
    if (stored === undefined) return true
    const resource = this.#resourceOf(stored)
    if (resource === undefined) return true
    if (isHeldBy(stored.header, ORPHAN_FINALIZER)) return await this.#orphan(resource, stored)
    if (isHeldBy(stored.header, FOREGROUND_FINALIZER))
      return await this.#foreground(resource, stored)
    if (stored.header.deletionTimestamp !== undefined) return true
    return await this.#collect(resource, stored)
  }

  /** Deletes the object when none of its owners is left. */
  async #collect(resource: Resource, stored: StoredObject): Promise<boolean> {
    const { header } = stored
    if (header.ownerReferences.length === 0) return true
    const verdicts = header.ownerReferences.map(owner => ({
      owner,
      verdict: this.#judge(header, owner),
    }))
    if (verdicts.some(({ verdict }) => verdict === 'unknown')) return false
    const solid = verdicts.filter(({ verdict }) => verdict === 'solid')
    if (solid.length > 0) {
      if (solid.length < verdicts.length)
        await this.#dropOwners(
          resource,
          header,
          verdicts.flatMap(({ owner, verdict }) => (verdict === 'solid' ? [] : owner.uid)),
        )
      return true
    }
    const dependents = this.#graph.dependentsOf(header.uid)
    const waits = verdicts.some(({ verdict }) => verdict === 'waiting') && dependents.length > 0
    if (waits && dependents.some(key => this.#isWaiting(key))) await this.#unblock(resource, header)
    await this.#objects.delete(
      resource,
      header,
      waits ? 'Foreground' : policyOf(header),
      ({ metadata }) => refuseOtherOwners(header, metadata),
    )
    return true
  }

  /** Whether an owner exists, is waiting for its dependents to go, or is gone. */
  #judge(
    dependent: ObjectHeader,
    owner: OwnerReference,
  ): 'solid' | 'waiting' | 'absent' | 'unknown' {
    const key = this.#graph.keyOf(owner.uid)
    const stored = key === undefined ? undefined : this.#objects.storage.cacher.get(key)
    if (stored !== undefined && stored.header.uid === owner.uid) {
      // An owner in another namespace is no owner. Ref: garbagecollector.go: cross-namespace references count as absent.
      if (stored.header.namespace !== '' && stored.header.namespace !== dependent.namespace)
        return 'absent'
      return isHeldBy(stored.header, FOREGROUND_FINALIZER) ? 'waiting' : 'solid'
    }
    const gv = parseApiVersion(owner.apiVersion)
    if (gv === undefined) return 'absent'
    return this.#objects.registry.lookupKind({ ...gv, kind: owner.kind }) === undefined
      ? 'unknown'
      : 'absent'
  }

  #isWaiting(key: string): boolean {
    const stored = this.#objects.storage.cacher.get(key)
    return stored !== undefined && isHeldBy(stored.header, FOREGROUND_FINALIZER)
  }

  /** Breaks what may be a circle of owners that wait for each other: this object's no longer wait for it. */
  async #unblock(resource: Resource, header: ObjectHeader): Promise<void> {
    await this.#objects.change(resource, header.namespace, header.name, live => {
      if (live.metadata.uid !== header.uid) return
      for (const owner of live.metadata.ownerReferences ?? [])
        if (owner.blockOwnerDeletion === true) owner.blockOwnerDeletion = false
    })
  }

  async #dropOwners(
    resource: Resource,
    header: ObjectHeader,
    gone: readonly string[],
  ): Promise<void> {
    await this.#objects.change(resource, header.namespace, header.name, live => {
      if (live.metadata.uid === header.uid)
        removeItems(live.metadata, 'ownerReferences', ({ uid }) => gone.includes(uid))
    })
  }

  async #orphan(resource: Resource, { header }: StoredObject): Promise<boolean> {
    for (const key of this.#graph.dependentsOf(header.uid)) {
      const dependent = this.#objects.storage.cacher.get(key)
      const kind = dependent === undefined ? undefined : this.#resourceOf(dependent)
      if (dependent === undefined || kind === undefined) continue
      await this.#dropOwners(kind, dependent.header, [header.uid])
    }
    await this.#release(resource, header, ORPHAN_FINALIZER)
    return true
  }

  /** The owner goes once no dependent that blocks it is left. */
  async #foreground(resource: Resource, { header }: StoredObject): Promise<boolean> {
    const blocks = this.#graph.dependentsOf(header.uid).some(key => {
      const dependent = this.#objects.storage.cacher.get(key)
      return dependent !== undefined && blockedBy(dependent.header).includes(header.uid)
    })
    if (!blocks) await this.#release(resource, header, FOREGROUND_FINALIZER)
    return true
  }

  async #release(resource: Resource, header: ObjectHeader, finalizer: string): Promise<void> {
    await this.#objects.change(resource, header.namespace, header.name, (live: KubeObject) => {
      if (live.metadata.uid === header.uid)
        removeItems(live.metadata, 'finalizers', name => name === finalizer)
    })
  }

  #resourceOf({ header }: StoredObject): Resource | undefined {
    const gv = parseApiVersion(header.apiVersion)
    return gv === undefined
      ? undefined
      : this.#objects.registry.lookupKind({ ...gv, kind: header.kind })
  }
}

/** The verdict was about the owners it saw: who owns the object by now is for the next look, which its event asks for. */
function refuseOtherOwners(judged: ObjectHeader, live: ObjectMeta): void {
  const uids = new Set(judged.ownerReferences.map(({ uid }) => uid))
  if ((live.ownerReferences ?? []).every(({ uid }) => uids.has(uid))) return
  throw conflict({ group: '', resource: judged.kind }, judged.name, 'it has another owner by now')
}

/** Takes items off a metadata list; an empty one is not kept. */
function removeItems<K extends 'finalizers' | 'ownerReferences'>(
  metadata: ObjectMeta,
  field: K,
  gone: (item: NonNullable<ObjectMeta[K]>[number]) => boolean,
): void {
  const left = ((metadata[field] ?? []) as NonNullable<ObjectMeta[K]>[number][]).filter(
    item => !gone(item),
  )
  if (left.length === 0) delete metadata[field]
  else metadata[field] = left as ObjectMeta[K]
}

function policyOf(header: ObjectHeader): 'Orphan' | 'Foreground' | 'Background' {
  if (header.finalizers.includes(ORPHAN_FINALIZER)) return 'Orphan'
  return header.finalizers.includes(FOREGROUND_FINALIZER) ? 'Foreground' : 'Background'
}
