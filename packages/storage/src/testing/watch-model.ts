// What storage promises, computed the slow and plain way from the log of writes: the state at a revision, and what a watch
// has to show. Called by storage-suite.ts, which compares.

import type { CacheEvent, Predicate, WatchItem } from '../cache-watcher.ts'
import type { StoredObject } from '../stored-object.ts'

/** One acknowledged write. */
export interface LoggedWrite {
  readonly revision: number
  readonly key: string
  /** Undefined: the write deleted. */
  readonly stored: StoredObject | undefined
}

/** Objects by key, in key order, as of a revision. */
export function stateAt(log: readonly LoggedWrite[], revision: number): Map<string, StoredObject> {
  const state = new Map<string, StoredObject>()
  for (const write of log) {
    if (write.revision > revision) continue
    if (write.stored === undefined) state.delete(write.key)
    else state.set(write.key, write.stored)
  }
  return new Map([...state].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
}

/** An event, reduced to what a client can tell: `ADDED /registry/x 7 {"...` */
export function describeEvent({ type, object, revision }: CacheEvent): string {
  return `${type} ${object.key} ${revision} ${object.bytes.toString()}`
}

export function describeItem(item: WatchItem): string {
  return 'object' in item ? describeEvent(item) : `${item.type} ${item.revision}`
}

/** The events that a watch of `prefix` after `after` shows, described. */
export function expectedEvents(
  log: readonly LoggedWrite[],
  watch: { prefix: string; after: number; predicate?: Predicate | undefined },
): string[] {
  const { prefix, after, predicate = () => true } = watch
  const state = new Map<string, StoredObject>()
  const expected: string[] = []
  for (const { key, revision, stored } of log) {
    const before = state.get(key)
    if (stored === undefined) state.delete(key)
    else state.set(key, stored)
    const covered = prefix.endsWith('/') ? key.startsWith(prefix) : key === prefix
    if (revision <= after || !covered) continue
    const was = before !== undefined && predicate(before)
    const is = stored !== undefined && predicate(stored)
    if (is) expected.push(`${was ? 'MODIFIED' : 'ADDED'} ${key} ${revision} ${stored.bytes}`)
    else if (was) expected.push(`DELETED ${key} ${revision} ${atRevision(before, revision)}`)
  }
  return expected
}

/** The state's JSON with another resourceVersion, made the slow way. */
function atRevision(stored: StoredObject, revision: number): string {
  const object = JSON.parse(stored.bytes.toString())
  object.metadata.resourceVersion = String(revision)
  return JSON.stringify(object)
}
