// Where a page of a list comes from: a view of the cache, or the engine when the cache cannot tell. Chosen by storage.ts.

import type { Backend, Page } from './backend.ts'
import type { Predicate } from './cache-watcher.ts'
import type { StateView } from './state-view.ts'
import { type StoredObject, storedObject } from './stored-object.ts'

export interface PageRequest {
  readonly after: string | undefined
  /** 0: no limit. */
  readonly limit: number
  readonly predicate: Predicate | undefined
  readonly signal: AbortSignal | undefined
}

export interface ListPage {
  readonly items: readonly StoredObject[]
  readonly revision: number
  /** The last key looked at, when more is left after it. */
  readonly last: string | undefined
  /** Objects after `last`, when known. */
  readonly remaining: number | undefined
}

export interface ListSource {
  page(request: PageRequest): Promise<ListPage>
}

/** Objects looked at before the event loop gets a turn: about two milliseconds. */
const OBJECTS_PER_TURN = 5_000

/** The page's limit counts what the predicate lets through. Writes meanwhile do not show: a view stands still. */
export function viewSource(view: StateView): ListSource {
  return {
    async page({ after, limit, predicate, signal }) {
      const items: StoredObject[] = []
      let last: string | undefined
      let looked = 0
      for (const object of view.items(after)) {
        if (limit > 0 && items.length === limit) {
          return { items, revision: view.revision, last, remaining: view.count(last) }
        }
        if (++looked % OBJECTS_PER_TURN === 0) {
          await new Promise<void>(resolve => setImmediate(resolve))
          signal?.throwIfAborted()
        }
        last = object.key
        if (predicate === undefined || predicate(object)) items.push(object)
      }
      return { items, revision: view.revision, last: undefined, remaining: undefined }
    },
  }
}

/** How much is asked for at once when a predicate may drop most of it. */
const SCAN_PAGE = 500

/** At `revision`, or at the newest one. */
export function engineView(
  backend: Backend,
  prefix: string,
  revision: number | undefined,
): ListSource {
  return {
    async page(request) {
      const { limit, predicate, signal } = request
      const items: StoredObject[] = []
      let at = revision
      let { after } = request
      for (;;) {
        const page: Page = await backend.list(prefix, {
          limit: limit === 0 || predicate !== undefined ? SCAN_PAGE : limit - items.length,
          ...(at === undefined ? {} : { revision: at }),
          ...(after === undefined ? {} : { after }),
          ...(signal === undefined ? {} : { signal }),
        })
        at = page.revision
        const taken = take(page, items, request)
        after = taken.last ?? after
        const full = limit > 0 && items.length === limit
        const more = taken.left > 0 || page.more
        if (!more) return { items, revision: at, last: undefined, remaining: undefined }
        if (!full) continue
        const remaining = page.remaining === undefined ? undefined : page.remaining + taken.left
        return { items, revision: at, last: after, remaining }
      }
    },
  }
}

/** Adds what fits; tells the last key looked at and how many entries were not. */
function take(
  page: Page,
  items: StoredObject[],
  { limit, predicate }: PageRequest,
): { last: string | undefined; left: number } {
  let last: string | undefined
  let looked = 0
  for (const entry of page.entries) {
    if (limit > 0 && items.length === limit) break
    const object = storedObject(entry.key, entry.value, entry.revision)
    if (predicate === undefined || predicate(object)) items.push(object)
    last = entry.key
    looked++
  }
  return { last, left: page.entries.length - looked }
}
