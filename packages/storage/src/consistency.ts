// What resourceVersion, resourceVersionMatch and limit mean, in one table per verb. Asked by api/src/verbs with the options
// that apimachinery has parsed and checked; storage.ts carries the answer out.
// Ref: apiserver/pkg/storage/cacher/delegator/interface.go, apiserver/pkg/storage/interfaces.go ValidateListOptions,
// apiserver/pkg/storage/cacher/cacher.go Watch

import { assert, badRequest, parseResourceVersion } from '@podless/apimachinery'

/** How fresh an answer has to be. */
export type Consistency =
  /** Not older than any write acknowledged before the call. */
  | { readonly type: 'latest' }
  /** Whatever the cache has. */
  | { readonly type: 'any' }
  /** Not older than `revision`. */
  | { readonly type: 'notOlderThan'; readonly revision: number }
  /** The state at exactly `revision`. */
  | { readonly type: 'exact'; readonly revision: number }

/** Where a watch starts. `marker`: an INITIAL_EVENTS_END ends the initial state. */
export type WatchStart =
  | { readonly type: 'after'; readonly revision: number }
  | { readonly type: 'now'; readonly consistency: Consistency }
  | { readonly type: 'initial'; readonly consistency: Consistency; readonly marker: boolean }

/** The part of ListOptions that is about time. */
export interface ListPosition {
  readonly resourceVersion: string
  readonly resourceVersionMatch: '' | 'Exact' | 'NotOlderThan'
  readonly continue: string
  readonly limit: number
}

export interface WatchPosition {
  readonly resourceVersion: string
  readonly sendInitialEvents?: boolean
}

type Version = 'unset' | 'zero' | 'number'
type Meaning = Consistency['type'] | 'invalid'

const GET: Record<Version, Meaning> = { unset: 'latest', zero: 'any', number: 'notOlderThan' }

/** A number without a match is exact as soon as there is a limit: clients from before the match existed page that way. */
const LIST: Record<'' | 'Exact' | 'NotOlderThan' | 'limited', Record<Version, Meaning>> = {
  '': { unset: 'latest', zero: 'any', number: 'notOlderThan' },
  limited: { unset: 'latest', zero: 'any', number: 'exact' },
  NotOlderThan: { unset: 'invalid', zero: 'any', number: 'notOlderThan' },
  Exact: { unset: 'invalid', zero: 'invalid', number: 'exact' },
}

const WATCH: Record<'unset' | 'true' | 'false', Record<Version, [WatchStart['type'], Meaning]>> = {
  // Without a word about initial events, nothing and "0" get the state as if it had just been made.
  unset: {
    unset: ['initial', 'latest'],
    zero: ['initial', 'any'],
    number: ['after', 'notOlderThan'],
  },
  true: {
    unset: ['initial', 'latest'],
    zero: ['initial', 'any'],
    number: ['initial', 'notOlderThan'],
  },
  false: { unset: ['now', 'latest'], zero: ['now', 'any'], number: ['after', 'notOlderThan'] },
}

/** Throws a StatusError when the resourceVersion is no number. */
export function getConsistency(resourceVersion: string): Consistency {
  const revision = parseResourceVersion(resourceVersion, 'get')
  return consistency(GET[versionOf(resourceVersion, revision)], revision)
}

/**
 * The options have passed ListOptions' own validation. With a continue token the answer is 'latest' and the token
 * decides (Storage.list). Throws a StatusError when the resourceVersion is no number, or comes with a token.
 */
export function listConsistency(position: ListPosition): Consistency {
  const { resourceVersion, resourceVersionMatch: match } = position
  if (position.continue !== '') {
    if (resourceVersion !== '' && resourceVersion !== '0') {
      throw badRequest('specifying resource version is not allowed when using continue')
    }
    return { type: 'latest' }
  }
  const revision = parseResourceVersion(resourceVersion, 'list')
  const row = match === '' && position.limit > 0 ? 'limited' : match
  return consistency(LIST[row][versionOf(resourceVersion, revision)], revision)
}

/** Throws a StatusError when the resourceVersion is no number. */
export function watchStart(position: WatchPosition): WatchStart {
  const { resourceVersion, sendInitialEvents } = position
  const revision = parseResourceVersion(resourceVersion, 'watch')
  const row = sendInitialEvents === undefined ? 'unset' : sendInitialEvents ? 'true' : 'false'
  const [type, meaning] = WATCH[row][versionOf(resourceVersion, revision)]
  if (type === 'after') return { type, revision }
  const fresh = consistency(meaning, revision)
  return type === 'now'
    ? { type, consistency: fresh }
    : { type, consistency: fresh, marker: sendInitialEvents === true }
}

function versionOf(resourceVersion: string, revision: number): Version {
  return resourceVersion === '' ? 'unset' : revision === 0 ? 'zero' : 'number'
}

function consistency(meaning: Meaning, revision: number): Consistency {
  assert(meaning !== 'invalid', 'ListOptions were not validated')
  return meaning === 'latest' || meaning === 'any' ? { type: meaning } : { type: meaning, revision }
}
