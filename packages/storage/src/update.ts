// Read-modify-write with retry (GuaranteedUpdate) and conditional delete. Called by storage.ts; starts from the cache and
// goes to the engine when the cache was behind. Ref: apiserver/pkg/storage/etcd3/store.go GuaranteedUpdate

import { assert, type JsonObject, type KubeObject } from '@podless/apimachinery'
import type { Backend } from './backend.ts'
import { StorageError } from './errors.ts'
import {
  parseObject,
  type StoredObject,
  spliceResourceVersion,
  storedObject,
  withRevision,
} from './stored-object.ts'

export interface CurrentState {
  /** A fresh parse with metadata.resourceVersion set; the callback may change it. */
  readonly object: KubeObject & JsonObject
  readonly stored: StoredObject
}

/**
 * Bytes to write (without resourceVersion: encodeObject()), or what to do instead. Called again with newer state after a
 * lost race, and after it threw or said 'unchanged' on state that turns out to be stale: it must depend on `current`
 * alone.
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

/** What an update needs of the cache. */
export interface ObjectCache {
  get(key: string): StoredObject | undefined
  adopt(stored: StoredObject): StoredObject
}

/** A state and whether the engine itself, not the cache, told it. */
interface Known {
  readonly stored: StoredObject | undefined
  readonly sure: boolean
}

/**
 * Calls `tryUpdate` with the current state until its answer is carried out on exactly that state. Throws what tryUpdate
 * throws on the newest state, notFound ('unchanged' or 'delete' of nothing), conflict | exists (retry: false),
 * unavailable, tooLarge.
 */
export async function guaranteedUpdate(
  backend: Backend,
  cache: ObjectCache,
  key: string,
  tryUpdate: TryUpdate,
  options: UpdateOptions = {},
): Promise<UpdateResult> {
  const { signal, retry = true } = options
  const read = () => readNow(backend, cache, key, signal)
  let known = await firstGuess(cache, key, read)
  for (;;) {
    signal?.throwIfAborted()
    const { stored } = known
    const answer = await ask(tryUpdate, known)
    if (answer.needsSure && !known.sure) {
      const sure = await read()
      if (sure.stored?.revision !== stored?.revision) {
        known = sure
        continue
      }
    }
    if ('error' in answer) throw answer.error
    const { step } = answer
    if (step === 'unchanged') return unchanged(key, stored)
    if (step === 'delete' && stored === undefined) throw new StorageError('notFound', { key })
    try {
      return await carryOut(backend, cache, key, step, stored, options)
    } catch (error) {
      // Losing to a write that the cache had not shown is no lost race for the caller.
      if (!isLostRace(error) || (!retry && known.sure)) throw error
      known = await read()
    }
  }
}

type Answer =
  | { readonly step: UpdateStep; readonly needsSure: boolean }
  | { readonly error: unknown; readonly needsSure: true }

/** A refusal and a no-op are only worth something on the newest state; a write finds out by itself. */
async function ask(tryUpdate: TryUpdate, { stored }: Known): Promise<Answer> {
  try {
    const step = await tryUpdate(stored === undefined ? undefined : currentState(stored))
    if (step instanceof Uint8Array && stored !== undefined && isSame(step, stored)) {
      return { step: 'unchanged', needsSure: true }
    }
    const nothingToDelete = step === 'delete' && stored === undefined
    return { step, needsSure: step === 'unchanged' || nothingToDelete }
  } catch (error) {
    return { error, needsSure: true }
  }
}

/** The parse waits until it is asked for: a deletion rarely needs it. */
function currentState(stored: StoredObject): CurrentState {
  let object: (KubeObject & JsonObject) | undefined
  return {
    stored,
    get object() {
      object ??= parseObject(stored)
      return object
    },
  }
}

async function carryOut(
  backend: Backend,
  cache: ObjectCache,
  key: string,
  step: Uint8Array | 'delete',
  previous: StoredObject | undefined,
  options: UpdateOptions,
): Promise<UpdateResult> {
  const { ttlSeconds, signal } = options
  const aborting = signal === undefined ? {} : { signal }
  if (step === 'delete' && previous !== undefined) {
    const revision = await backend.delete(key, { ifRevision: previous.revision, ...aborting })
    return { type: 'deleted', stored: withRevision(previous, revision), previous }
  }
  assert(step !== 'delete', 'there is nothing to delete')
  const revision = await backend.put(key, step, {
    ifRevision: previous?.revision ?? 0,
    ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
    ...aborting,
  })
  const stored = cache.adopt(storedObject(key, step, revision))
  return { type: previous === undefined ? 'created' : 'updated', stored, previous }
}

/** Deletes exactly the state that `check` agreed to. See Storage.remove. */
export async function guaranteedRemove(
  backend: Backend,
  cache: ObjectCache,
  key: string,
  check: ((stored: StoredObject) => void | Promise<void>) | undefined,
  options: RemoveOptions = {},
): Promise<StoredObject> {
  const { ifRevision, ...rest } = options
  const result = await guaranteedUpdate(
    backend,
    cache,
    key,
    async (current): Promise<UpdateStep> => {
      if (current === undefined) throw new StorageError('notFound', { key })
      const { revision } = current.stored
      if (ifRevision !== undefined && ifRevision !== revision) {
        throw new StorageError('conflict', { key, revision })
      }
      await check?.(current.stored)
      return 'delete'
    },
    rest,
  )
  return result.stored
}

/** The cache's word, but for absence, which is asked of the engine at once: a create or a 404 follows from it. */
async function firstGuess(
  cache: ObjectCache,
  key: string,
  read: () => Promise<Known>,
): Promise<Known> {
  const stored = cache.get(key)
  return stored === undefined ? read() : { stored, sure: false }
}

async function readNow(
  backend: Backend,
  cache: ObjectCache,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Known> {
  const { entry } = await backend.get(key, signal === undefined ? {} : { signal })
  if (entry === undefined) return { stored: undefined, sure: true }
  const cached = cache.get(key)
  const stored =
    cached?.revision === entry.revision ? cached : storedObject(key, entry.value, entry.revision)
  return { stored, sure: true }
}

function unchanged(key: string, stored: StoredObject | undefined): UpdateResult {
  if (stored === undefined) throw new StorageError('notFound', { key })
  return { type: 'unchanged', stored, previous: stored }
}

function isSame(next: Uint8Array, stored: StoredObject): boolean {
  // The stored bytes have a resourceVersion spliced in and are longer by just that.
  if (next.length >= stored.bytes.length) return false
  return spliceResourceVersion(next, stored.revision, stored.key).equals(stored.bytes)
}

function isLostRace(error: unknown): boolean {
  return (
    error instanceof StorageError &&
    (error.code === 'conflict' || error.code === 'exists' || error.code === 'notFound')
  )
}
