// What a Backend means, as a pure function: step(state, request) gives the next state and the
// response. Slow and obvious.
// Called by suite.ts and by robustness tests, which compare engines with it; calls nothing but
// key-order.ts.

import type { WatchEvent } from '../backend.ts'
import type { StorageErrorCode } from '../errors.ts'
import { compareKeys } from '../key-order.ts'

export interface ModelEntry {
  readonly key: string
  readonly value: string
  readonly revision: number
}

export interface ModelEvent {
  readonly revision: number
  readonly type: WatchEvent['type']
  readonly key: string
  readonly value?: string
  readonly previous?: string
  readonly previousRevision?: number
}

export interface ModelState {
  readonly revision: number
  readonly compacted: number
  /** The live entries after each revision, from 1 (the empty store) on; entries sorted by key. */
  readonly snapshots: ReadonlyMap<number, readonly ModelEntry[]>
  /** Every change ever, oldest first. */
  readonly events: readonly ModelEvent[]
}

export type ModelRequest =
  | { readonly type: 'get'; readonly key: string; readonly revision?: number }
  | {
      readonly type: 'list'
      readonly prefix: string
      readonly after?: string
      readonly limit?: number
      readonly revision?: number
    }
  | { readonly type: 'revision' }
  | {
      readonly type: 'put'
      readonly key: string
      readonly value: string
      readonly ifRevision: number
    }
  | { readonly type: 'delete'; readonly key: string; readonly ifRevision: number }
  | { readonly type: 'compact'; readonly revision: number }

export type ModelResponse =
  | { readonly type: 'entry'; readonly entry: ModelEntry | undefined; readonly revision: number }
  | {
      readonly type: 'page'
      readonly entries: readonly ModelEntry[]
      readonly more: boolean
      readonly remaining: number
      readonly revision: number
    }
  | { readonly type: 'revision'; readonly revision: number }
  | { readonly type: 'done' }
  | { readonly type: 'error'; readonly code: StorageErrorCode; readonly revision: number }

export const EMPTY_MODEL: ModelState = {
  revision: 1,
  compacted: 0,
  snapshots: new Map([[1, []]]),
  events: [],
}

export function step(state: ModelState, request: ModelRequest): [ModelState, ModelResponse] {
  switch (request.type) {
    case 'get':
      return [state, get(state, request)]
    case 'list':
      return [state, list(state, request)]
    case 'revision':
      return [state, { type: 'revision', revision: state.revision }]
    case 'put':
    case 'delete':
      return write(state, request)
    case 'compact':
      return compact(state, request.revision)
    default:
      return request satisfies never
  }
}

/**
 * The changes that a watch of `prefix` after `after` has to deliver by now, or the compaction mark
 * it must throw.
 */
export function watched(
  state: ModelState,
  prefix: string,
  after: number,
): readonly ModelEvent[] | { readonly compacted: number } {
  if (Math.max(after, 1) < state.compacted) return { compacted: state.compacted }
  return state.events.filter(event => event.revision > after && event.key.startsWith(prefix))
}

function failure(code: StorageErrorCode, revision = 0): ModelResponse {
  return { type: 'error', code, revision }
}

function unreadable(state: ModelState, at: number): ModelResponse | undefined {
  if (at > state.revision) return failure('futureRevision', state.revision)
  if (at < state.compacted) return failure('compacted', state.compacted)
  return undefined
}

function entriesAt(state: ModelState, at: number): readonly ModelEntry[] {
  return state.snapshots.get(at) ?? []
}

function get(state: ModelState, request: ModelRequest & { type: 'get' }): ModelResponse {
  const at = request.revision ?? state.revision
  const entry = entriesAt(state, at).find(candidate => candidate.key === request.key)
  return unreadable(state, at) ?? { type: 'entry', entry, revision: at }
}

function list(state: ModelState, request: ModelRequest & { type: 'list' }): ModelResponse {
  const { prefix, after, limit = 0 } = request
  const at = request.revision ?? state.revision
  const all = entriesAt(state, at)
    .filter(entry => entry.key.startsWith(prefix))
    .filter(entry => after === undefined || compareKeys(entry.key, after) > 0)
  const entries = limit === 0 ? all : all.slice(0, limit)
  const remaining = all.length - entries.length
  const page = { entries, more: remaining > 0, remaining, revision: at }
  return unreadable(state, at) ?? { type: 'page', ...page }
}

function write(
  state: ModelState,
  request: ModelRequest & { type: 'put' | 'delete' },
): [ModelState, ModelResponse] {
  const live = entriesAt(state, state.revision)
  const before = live.find(entry => entry.key === request.key)
  if (request.type === 'delete' && before === undefined) return [state, failure('notFound')]
  if ((before?.revision ?? 0) !== request.ifRevision) {
    const isCreate = request.type === 'put' && request.ifRevision === 0
    const response = isCreate ? failure('exists') : failure('conflict', before?.revision ?? 0)
    return [state, response]
  }
  const revision = state.revision + 1
  const entries = live.filter(entry => entry !== before)
  if (request.type === 'put') entries.push({ key: request.key, value: request.value, revision })
  entries.sort((a, b) => compareKeys(a.key, b.key))
  const event: ModelEvent = {
    revision,
    type: request.type,
    key: request.key,
    ...(request.type === 'put' && { value: request.value }),
    ...(before && { previous: before.value, previousRevision: before.revision }),
  }
  const next: ModelState = {
    ...state,
    revision,
    snapshots: new Map(state.snapshots).set(revision, entries),
    events: [...state.events, event],
  }
  return [next, { type: 'revision', revision }]
}

function compact(state: ModelState, revision: number): [ModelState, ModelResponse] {
  if (revision > state.revision) return [state, failure('futureRevision', state.revision)]
  const compacted = Math.max(revision, state.compacted)
  return [{ ...state, compacted }, { type: 'done' }]
}
