// How controllers read and write objects: by resource and name, straight to storage, with the metadata the server owns.
// Used by the other controllers; calls storage and stored-form.ts, never verbs or HTTP.

import { randomUUID } from 'node:crypto'
import { equalJson, type KubeObject, type ObjectMeta, StatusError } from '@podless/apimachinery'
import { type Storage, StorageError, type StoredObject } from '@podless/storage'
import {
  decodeUnconverted,
  encodeForStorage,
  encodeUnconverted,
  keyOf,
  prefixOf,
} from '../objects/stored-form.ts'
import type { Registry } from '../registry.ts'
import type { Resource } from '../resource.ts'
import { type DeleteOutcome, deleteStored } from '../writing/deletion.ts'
import { isReadyToGo, timestamp } from '../writing/write.ts'

export interface ObjectsOptions {
  readonly storage: Storage
  readonly registry: Registry
  readonly now: () => Date
}

/** An object to create, without what the server fills in. */
export type NewObject = KubeObject & { readonly metadata: ObjectMeta & { name: string } }

/** Where a StoredObject keeps what sharedOf() decoded. */
const SHARED = 'shared'

function sharedOf(stored: StoredObject, resource: Resource): KubeObject {
  const known = stored.memo.get(SHARED)
  if (known !== undefined) return known as KubeObject
  const obj = decodeUnconverted(stored, resource)
  stored.memo.set(SHARED, obj)
  return obj
}

export class Objects {
  readonly storage: Storage
  readonly registry: Registry
  readonly now: () => Date

  constructor({ storage, registry, now }: ObjectsOptions) {
    this.storage = storage
    this.registry = registry
    this.now = now
  }

  get(resource: Resource, namespace: string, name: string): KubeObject | undefined {
    const stored = this.storage.cacher.get(keyOf(resource, namespace, name))
    return stored === undefined ? undefined : decodeUnconverted(stored, resource)
  }

  *list(resource: Resource, namespace = ''): Generator<KubeObject> {
    for (const stored of this.storage.cacher.list(prefixOf(resource, namespace))) {
      yield decodeUnconverted(stored, resource)
    }
  }

  count(resource: Resource, namespace: string): number {
    return this.storage.cacher.count(prefixOf(resource, namespace))
  }

  /** Like get(), decoded once for as long as the object stays as it is, and therefore not to be changed. */
  getShared(resource: Resource, namespace: string, name: string): KubeObject | undefined {
    const stored = this.storage.cacher.get(keyOf(resource, namespace, name))
    return stored === undefined ? undefined : sharedOf(stored, resource)
  }

  /** Like list(), of objects as getShared() gives them. */
  listShared(resource: Resource): readonly KubeObject[] {
    const all = this.storage.cacher.list(prefixOf(resource, ''))
    return Array.from(all, stored => sharedOf(stored, resource))
  }

  /** Creates the object unless one of that name exists. True when it was made. */
  async create(resource: Resource, obj: NewObject): Promise<boolean> {
    const made: KubeObject = {
      ...obj,
      metadata: { ...obj.metadata, uid: randomUUID(), creationTimestamp: timestamp(this.now()) },
    }
    if (resource.strategy.hasGeneration === true) made.metadata.generation = 1
    try {
      await this.storage.create(
        keyOf(resource, obj.metadata.namespace ?? '', obj.metadata.name),
        encodeForStorage(made, resource),
      )
      return true
    } catch (error) {
      if (error instanceof StorageError && error.code === 'exists') return false
      throw error
    }
  }

  /** Changes the object in place until it is stored; false when it is gone. A change to nothing writes nothing. */
  async change(
    resource: Resource,
    namespace: string,
    name: string,
    mutate: (obj: KubeObject) => void,
  ): Promise<boolean> {
    let found = true
    try {
      await this.storage.update(keyOf(resource, namespace, name), current => {
        if (current === undefined) throw new StorageError('notFound')
        const before = decodeUnconverted(current.stored, resource)
        const after = decodeUnconverted(current.stored, resource)
        mutate(after)
        if (isReadyToGo(resource, after)) return 'delete'
        return equalJson(before, after) ? 'unchanged' : encodeUnconverted(after, resource)
      })
    } catch (error) {
      if (!(error instanceof StorageError && error.code === 'notFound')) throw error
      found = false
    }
    return found
  }

  /**
   * Deletes by the rules clients have; undefined when it was gone already, is another object by now (`uid`), or `check`
   * threw 409.
   */
  async delete(
    resource: Resource,
    obj: { namespace?: string | undefined; name: string; uid?: string | undefined },
    policy?: 'Foreground' | 'Background' | 'Orphan',
    check?: (live: KubeObject) => void,
  ): Promise<DeleteOutcome | undefined> {
    const options = {
      dryRun: false,
      ...(policy === undefined ? {} : { propagationPolicy: policy }),
      ...(obj.uid === undefined ? {} : { preconditions: { uid: obj.uid } }),
    }
    try {
      const key = keyOf(resource, obj.namespace ?? '', obj.name)
      return await deleteStored(this.storage, {
        resource,
        key,
        name: obj.name,
        options,
        now: this.now,
        unconverted: true,
        ...(check === undefined ? {} : { check }),
      })
    } catch (error) {
      if (error instanceof StatusError && (error.code === 404 || error.code === 409))
        return undefined
      throw error
    }
  }
}
