// Deletion as an object sees it: preconditions, finalizers, propagation; written once for clients and controllers.
// Called by verbs/delete.ts and controllers/*. Ref: apiserver/pkg/registry/generic/registry/store.go Delete

import {
  addInt64,
  cloneJson,
  conflict,
  type DeleteOptions,
  equalJson,
  type KubeObject,
  notFound,
  type ObjectMeta,
} from '@podless/apimachinery'
import type { Storage, StoredObject, TryUpdate } from '@podless/storage'
import {
  convertForStorage,
  decodeUnconverted,
  encodeUnconverted,
  readStored,
} from '../objects/stored-form.ts'
import type { Resource } from '../resource.ts'
import { isReadyToGo, timestamp } from './write.ts'

export type DeleteOutcome =
  /** Gone, or would be on a dry run; `object` is its last state. */
  | { readonly type: 'deleted'; readonly object: KubeObject }
  /** Something holds it: deletionTimestamp is set, or was already. `stored` is absent after a dry run. */
  | {
      readonly type: 'pending'
      readonly object: KubeObject
      readonly stored: StoredObject | undefined
    }

export interface DeletionRequest {
  readonly resource: Resource
  readonly key: string
  readonly name: string
  readonly options: DeleteOptions
  readonly now: () => Date
  /** True for loops, which care for metadata only and need no webhook to convert the rest. */
  readonly unconverted?: boolean
  /** Stops it while nothing is stored. */
  readonly signal?: AbortSignal
  /** Agrees to the deletion of exactly this state, or throws. */
  readonly check?: (live: KubeObject) => Promise<void> | void
}

/** Deletes, or marks for deletion. Throws 404, 409 and what `check` throws; storage errors pass through. */
export async function deleteStored(
  storage: Storage,
  request: DeletionRequest,
): Promise<DeleteOutcome> {
  const { resource, key, name, options, now, check, unconverted = false, signal } = request
  let outcome: DeleteOutcome | undefined
  const decide: TryUpdate = async current => {
    if (current === undefined) throw notFound(resource.gvr, name)
    const live = unconverted
      ? decodeUnconverted(current.stored, resource)
      : await readStored(current.stored, resource)
    checkPreconditions(resource.names.kind, live, options)
    await check?.(live)
    const marked = markDeleted(resource, live, options, now())
    outcome = isReadyToGo(resource, marked)
      ? { type: 'deleted', object: resource.strategy.showsDeletion === true ? marked : live }
      : { type: 'pending', object: marked, stored: undefined }
    if (options.dryRun) return 'unchanged'
    if (outcome.type === 'deleted') return 'delete'
    if (equalJson(marked, live)) return 'unchanged'
    return unconverted
      ? encodeUnconverted(marked, resource)
      : await convertForStorage(marked, resource)
  }
  const result = await storage.update(key, decide, signal === undefined ? {} : { signal })
  if (outcome === undefined || options.dryRun) return outcome!
  if (outcome.type === 'pending') return { ...outcome, stored: result.stored }
  // Who gets to see what is gone sees when it went.
  outcome.object.metadata.resourceVersion = String(result.stored.revision)
  return outcome
}

/** Ref: apiserver/pkg/registry/rest/delete.go BeforeDelete; the kind, not the resource, names the object here. */
function checkPreconditions(
  kind: string,
  { metadata }: KubeObject,
  { preconditions }: DeleteOptions,
): void {
  if (preconditions === undefined) return
  const { uid, resourceVersion } = preconditions
  const subject = { group: '', resource: kind }
  if (uid !== undefined && uid !== metadata.uid) {
    throw conflict(
      subject,
      metadata.name ?? '',
      `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
    )
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    throw conflict(
      subject,
      metadata.name ?? '',
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`,
    )
  }
}

export const FOREGROUND_FINALIZER = 'foregroundDeletion'
export const ORPHAN_FINALIZER = 'orphan'

/** The object as a deletion request leaves it. Ref: store.go deletionFinalizersForGarbageCollection, markAsDeleting */
function markDeleted(
  { strategy }: Resource,
  live: KubeObject,
  options: DeleteOptions,
  now: Date,
): KubeObject {
  const marked = cloneJson(live)
  const { metadata } = marked
  const finalizers = finalizersAfter(live.metadata, options, strategy.orphansDependents === true)
  if (finalizers.length > 0) metadata.finalizers = finalizers
  else delete metadata.finalizers
  if (metadata.deletionTimestamp !== undefined) return marked
  metadata.deletionTimestamp = timestamp(now)
  metadata.deletionGracePeriodSeconds = 0
  if ((metadata.generation ?? 0) > 0) metadata.generation = addInt64(metadata.generation!, 1)
  strategy.beginDeletion?.(marked, now)
  return marked
}

/** What the request says decides, then what an earlier one left on the object, then the kind. */
function finalizersAfter(
  { finalizers = [] }: ObjectMeta,
  { propagationPolicy, orphanDependents }: DeleteOptions,
  orphans: boolean,
): string[] {
  const isOfCollector = (name: string) => name === FOREGROUND_FINALIZER || name === ORPHAN_FINALIZER
  if (propagationPolicy === undefined && orphanDependents === undefined) {
    const orphanNow = orphans && !finalizers.some(isOfCollector)
    return orphanNow ? [...finalizers, ORPHAN_FINALIZER] : [...finalizers]
  }
  const others = finalizers.filter(name => !isOfCollector(name))
  const orphan = orphanDependents ?? propagationPolicy === 'Orphan'
  if (orphan) return [...others, ORPHAN_FINALIZER]
  return propagationPolicy === 'Foreground' ? [...others, FOREGROUND_FINALIZER] : others
}
