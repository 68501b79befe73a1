// What resourceVersion, resourceVersionMatch, limit and continue mean, in one table. Asked by api/src/verbs for get, list
// and watch; storage.ts carries the answer out.
// Ref: apiserver/pkg/storage/cacher/delegator/interface.go, apiserver/pkg/storage/interfaces.go ValidateListOptions,
// apimachinery/pkg/apis/meta/internalversion/validation/validation.go

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

export interface ListOptions {
  readonly resourceVersion?: string | undefined
  readonly resourceVersionMatch?: string | undefined
  readonly continue?: string | undefined
  readonly limit?: number | undefined
  readonly sendInitialEvents?: boolean | undefined
}
