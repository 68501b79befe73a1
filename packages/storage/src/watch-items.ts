// What a watch is given before live changes: the current state, or the changes since it last looked. Called by cacher.ts,
// which fixes what is to be shown when the watch is registered; made into events as the watcher takes them.

import type { Predicate, WatchItem } from './cache-watcher.ts'
import { type LoggedEvent, project } from './history.ts'
import type { StoredObject } from './stored-object.ts'

/** The state as ADDED, and the marker when its revision is given. */
export function* initialItems(
  objects: Iterable<StoredObject>,
  predicate: Predicate | undefined,
  markerRevision: number | undefined,
): Generator<WatchItem, void, void> {
  for (const object of objects) {
    if (predicate !== undefined && !predicate(object)) continue
    yield { type: 'ADDED', object, previous: undefined, revision: object.revision }
  }
  if (markerRevision !== undefined) yield { type: 'INITIAL_EVENTS_END', revision: markerRevision }
}

/** Changes as a watch with this predicate sees them. */
export function* replayedItems(
  events: readonly LoggedEvent[],
  predicate: Predicate | undefined,
): Generator<WatchItem, void, void> {
  for (const event of events) {
    const item = project(event, predicate)
    if (item !== undefined) yield item
  }
}

/** The changes a watch of `prefix` (a whole key, without trailing slash) is about, from one log per resource. */
export function mergeLogs(
  prefix: string,
  logs: readonly (readonly LoggedEvent[])[],
): readonly LoggedEvent[] {
  const covered = logs.map(log => log.filter(event => covers(prefix, event.key)))
  // The sort keeps the order of equals, and each log is in order already.
  return covered.length === 1
    ? (covered[0] ?? [])
    : covered.flat().sort((a, b) => a.revision - b.revision)
}

/** True when a watch of `prefix` is about `key`. */
function covers(prefix: string, key: string): boolean {
  return prefix.endsWith('/') ? key.startsWith(prefix) : key === prefix
}
