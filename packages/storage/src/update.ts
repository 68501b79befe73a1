// Read-modify-write with retry (GuaranteedUpdate) and conditional delete. Called by storage.ts; starts from the cache and
// goes to the engine when the cache was behind. Ref: apiserver/pkg/storage/etcd3/store.go GuaranteedUpdate

import type { JsonObject, KubeObject } from '@podless/apimachinery'
import type { StoredObject } from './stored-object.ts'

export interface CurrentState {
  /** A fresh parse with metadata.resourceVersion set; the callback may change it. */
  readonly object: KubeObject & JsonObject
  readonly stored: StoredObject
}

/**
 * Bytes to write (without resourceVersion: encodeObject()), or what to do instead. Called again with newer state after a
 * lost race, and after it threw on state that turns out to be stale: it must depend on `current` alone.
 */
export type TryUpdate = (current: CurrentState | undefined) => UpdateStep | Promise<UpdateStep>
export type UpdateStep = Uint8Array | 'unchanged' | 'delete'

export interface UpdateOptions {
  /** Default true. False: one lost race is a conflict. */
  readonly retry?: boolean
  readonly ttlSeconds?: number
  readonly signal?: AbortSignal
}

export interface RemoveOptions {
  /** Only this revision is deleted: anything else is a conflict. */
  readonly ifRevision?: number
  /** Default true. */
  readonly retry?: boolean
  readonly signal?: AbortSignal
}

export interface UpdateResult {
  /** 'unchanged' also when the bytes were the same: nothing was written, nobody is woken. */
  readonly type: 'created' | 'updated' | 'unchanged' | 'deleted'
  /** deleted: the last state under the deletion's resourceVersion. */
  readonly stored: StoredObject
  readonly previous: StoredObject | undefined
}
