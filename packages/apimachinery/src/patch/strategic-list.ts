// Lists in a strategic merge patch: merging by key or as sets, and the order of what comes out.
// Called by strategic-merge.ts only. Ref: apimachinery/pkg/util/strategicpatch/patch.go

import { goTypeName, printGo } from '../go-value.ts'
import { isObject, type JsonObject, type JsonValue } from '../json.ts'
import { PatchError } from './patch-error.ts'

/** The member that makes a map a directive: `$patch: delete`. */
export const DIRECTIVE = '$patch'
export const DELETE_LIST_FORMAT = 'invalid patch format of primitive list'
export const SET_ORDER_FORMAT = 'invalid patch format of setElementOrder list'

const MAP_TYPE = 'map[string]interface {}'

export function badArgument(expected: string, actual: JsonValue | undefined): PatchError {
  const found = actual === null || actual === undefined ? '%!s(<nil>)' : goTypeName(actual)
  return new PatchError('wrongType', `expected a ${expected}, but received a ${found}`)
}

function noMergeKey(item: JsonObject, mergeKey: string): PatchError {
  const message = `map: ${printGo(item)} does not contain declared merge key: ${mergeKey}`
  return new PatchError('missingMergeKey', message)
}

/** The Go type all elements share. Throws PatchError when they do not, and for lists of lists. */
export function elementKind(lists: readonly JsonValue[][]): string {
  let kind: string | undefined
  for (const item of lists.flat()) {
    const type = goTypeName(item)
    if (Array.isArray(item) && kind === undefined) {
      throw new PatchError('listOfLists', 'lists of lists are not supported')
    }
    if (item === null || (kind !== undefined && kind !== type)) {
      const message = `list element types are not identical: ${printGo([...lists])}`
      throw new PatchError('wrongType', message)
    }
    kind = type
  }
  if (kind === undefined) {
    throw new PatchError('wrongType', 'no elements in any of the given slices')
  }
  return kind
}

export function deleteScalars(original: JsonValue[], toDelete: JsonValue[]): JsonValue[] {
  const deleted = new Set(toDelete)
  return original.filter(item => !deleted.has(item))
}

/**
 * Both lists without duplicates: the last item takes the place of a duplicate, which ordering
 * undoes later.
 */
export function mergeScalars(original: JsonValue[], patch: JsonValue[]): JsonValue[] {
  const items = [...original, ...patch]
  for (let i = 0; i < items.length - 1; i++) {
    for (let j = i + 1; j < items.length; j++) {
      if (items[i] !== items[j]) continue
      items[j] = items[items.length - 1] ?? null
      items.pop()
      j -= 1
    }
  }
  return items
}

/** Carries out the directives among the items of a patch and returns what is left to merge. */
export function splitSpecial(
  original: JsonObject[],
  patch: JsonObject[],
  mergeKey: string,
): { original: JsonObject[]; patch: JsonObject[] } {
  let kept = original
  let replaces = false
  const plain: JsonObject[] = []
  for (const item of patch) {
    const directive = item[DIRECTIVE]
    if (!Object.hasOwn(item, DIRECTIVE)) plain.push(item)
    else if (directive === 'replace') replaces = true
    else if (directive === 'delete') {
      if (!Object.hasOwn(item, mergeKey)) throw noMergeKey(item, mergeKey)
      kept = kept.filter(it => it[mergeKey] !== item[mergeKey])
    } else if (directive === 'merge') {
      const message = 'merging lists cannot yet be specified in the patch'
      throw new PatchError('unknownDirective', message)
    } else {
      const message = `unknown patch type: ${printGo(directive)} in map: ${printGo(item)}`
      throw new PatchError('unknownDirective', message)
    }
  }
  return replaces ? { original: plain, patch: [] } : { original: kept, patch: plain }
}

/** The original items with those of the patch merged into the one of the same key, or appended. */
export function mergeKeyed(
  original: JsonObject[],
  patch: JsonObject[],
  mergeKey: string,
  merge: (original: JsonObject, patch: JsonObject) => JsonObject,
): JsonObject[] {
  const merged = [...original]
  for (const item of patch) {
    if (!Object.hasOwn(item, mergeKey)) throw noMergeKey(item, mergeKey)
    const at = merged.findIndex(
      it => Object.hasOwn(it, mergeKey) && it[mergeKey] === item[mergeKey],
    )
    const current = merged[at]
    if (current === undefined) merged.push(item)
    else merged[at] = merge(current, item)
  }
  return merged
}

/**
 * Throws PatchError unless the items of a patch come in the order that $setElementOrder gives them.
 */
export function matchesOrder(patch: JsonValue[], order: JsonValue[], mergeKey: string): void {
  if (patch.length === 0 || order.length === 0) return
  const items = mergeKey === '' ? patch : patch.filter(item => !isDeletion(item))
  let next = 0
  let place = 0
  while (next < items.length && place < order.length) {
    const item = items[next] ?? null
    if (isObject(item) && Object.hasOwn(item, DIRECTIVE)) {
      next += 1
      continue
    }
    if (hasSameKey(item, order[place] ?? null, mergeKey)) next += 1
    place += 1
  }
  if (next < items.length && place >= order.length) {
    const lists = `${printGo(patch)}\n doesn't match $setElementOrder list:\n${printGo(order)}`
    throw new PatchError('wrongType', `The order in patch list:\n${lists}\n`)
  }
}

function isDeletion(item: JsonValue): boolean {
  if (!isObject(item)) throw badArgument(MAP_TYPE, item)
  return item[DIRECTIVE] === 'delete'
}

function hasSameKey(left: JsonValue, right: JsonValue, mergeKey: string): boolean {
  if (mergeKey === '') return left === right
  return keyOf(left, mergeKey) === keyOf(right, mergeKey)
}

function keyOf(item: JsonValue, mergeKey: string): JsonValue {
  if (!isObject(item)) throw badArgument(MAP_TYPE, item)
  if (!Object.hasOwn(item, mergeKey)) throw noMergeKey(item, mergeKey)
  return item[mergeKey] ?? null
}

interface Ordering {
  readonly merged: JsonValue[]
  /** The order of the items the patch names. */
  readonly patchOrder: readonly JsonValue[]
  /** The order of the items only the server has, and where they go between the others. */
  readonly serverOrder: readonly JsonValue[]
  readonly mergeKey: string
  readonly isMaps: boolean
}

/**
 * The merged items: those of the patch in its order, the others in the server's, interleaved by the
 * server's.
 */
export function orderList({
  merged,
  patchOrder,
  serverOrder,
  mergeKey,
  isMaps,
}: Ordering): JsonValue[] {
  const identity = (item: JsonValue): JsonValue => (isMaps ? keyOf(item, mergeKey) : item)
  const patchPlaces = places(patchOrder, identity)
  const serverPlaces = places(serverOrder, identity)
  const place = (item: JsonValue, order: Map<JsonValue, number>) => order.get(identity(item)) ?? -1
  const inPatch = merged.filter(item => patchPlaces.has(identity(item)))
  const serverOnly = merged.filter(item => !patchPlaces.has(identity(item)))
  inPatch.sort((a, b) => place(a, patchPlaces) - place(b, patchPlaces))
  serverOnly.sort((a, b) => place(a, serverPlaces) - place(b, serverPlaces))
  const ordered: JsonValue[] = []
  let next = 0
  for (const item of inPatch) {
    const bound = place(item, serverPlaces)
    while (bound >= 0 && next < serverOnly.length) {
      const candidate = place(serverOnly[next] ?? null, serverPlaces)
      if (candidate < 0 || candidate >= bound) break
      ordered.push(serverOnly[next] ?? null)
      next += 1
    }
    ordered.push(item)
  }
  return [...ordered, ...serverOnly.slice(next)]
}

function places(
  items: readonly JsonValue[],
  identity: (item: JsonValue) => JsonValue,
): Map<JsonValue, number> {
  const found = new Map<JsonValue, number>()
  for (const [index, item] of items.entries()) {
    const key = identity(item)
    if (!found.has(key)) found.set(key, index)
  }
  return found
}
