// What was made of a stored object for a resource's version, kept beside the object. Called by stored-form.ts,
// collection.ts and watch-frame.ts.

import type { StoredObject } from '@podless/storage'
import type { Resource } from '../resource.ts'

/** A CRD that changes often leaves this many editions of a form: requests under way may still read the one before. */
const EDITIONS_KEPT = 4

const formOf = (what: string, { gvr }: Resource): string => `${what}:${gvr.group}/${gvr.version}/`
const keyOf = (what: string, resource: Resource): string =>
  `${formOf(what, resource)}${resource.edition ?? ''}`

/** `what` was made of the object for this edition of the resource; undefined when it was not. */
export function recall(stored: StoredObject, what: string, resource: Resource): unknown {
  return stored.memo.get(keyOf(what, resource))
}

export function remember(
  stored: StoredObject,
  what: string,
  resource: Resource,
  value: unknown,
): void {
  stored.memo.set(keyOf(what, resource), value)
  if (resource.edition === undefined) return
  const form = formOf(what, resource)
  const editions = [...stored.memo.keys()].filter(key => key.startsWith(form))
  for (const key of editions.slice(0, -EDITIONS_KEPT)) stored.memo.delete(key)
}

export function forget(stored: StoredObject, what: string, resource: Resource): void {
  stored.memo.delete(keyOf(what, resource))
}
