// Functions over lists and sets: Kubernetes' own, the lists and sets extensions, and the insertion
// that two-variable macros expand to. Called by registry.ts.
// Ref: apiserver/pkg/cel/library/lists.go, cel-go/ext/{lists,sets,comprehensions}.go

import type { FunctionTable, Library } from '../function.ts'
import { makeDuration } from '../time.ts'
import {
  ArrayList,
  type CelDuration,
  CelError,
  CelList,
  type CelMap,
  CelUint,
  type CelValue,
  compare,
  equal,
  fitsInt,
  fitsUint,
  GrowingMap,
  noSuchOverload,
  typeOf,
  ValueMap,
} from '../value.ts'

const ORDERED = ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes']

function overloads(
  types: readonly string[],
  id: (type: string) => string,
  signature: (type: string) => string,
  run: (type: string) => (list: CelList) => CelValue,
): FunctionTable {
  return Object.fromEntries(types.map(type => [id(type), [signature(type), run(type)] as const]))
}

function isSorted(list: CelList): CelValue {
  for (let i = 1; i < list.size; i++) {
    const order = compare(list.at(i - 1), list.at(i))
    if (order instanceof CelError) return order
    if (order > 0) return false
  }
  return true
}

/** The element that comes first when `sign` is 1, or last when it is -1. */
function extreme(name: string, sign: number): (list: CelList) => CelValue {
  return list => {
    if (list.size === 0) return new CelError(`${name} called on empty list`)
    let best = list.at(0)
    for (const value of list) {
      const order = compare(value, best)
      if (order instanceof CelError) return order
      if (order * sign < 0) best = value
    }
    return best
  }
}

const SUMS: Readonly<Record<string, (list: CelList) => CelValue>> = {
  int: list => {
    let sum = 0n
    for (const value of list) sum += value as bigint
    return fitsInt(sum) ? sum : new CelError('integer overflow')
  },
  uint: list => {
    let sum = 0n
    for (const value of list) sum += (value as CelUint).value
    return fitsUint(sum) ? new CelUint(sum) : new CelError('unsigned integer overflow')
  },
  double: list => {
    let sum = 0
    for (const value of list) sum += value as number
    return sum
  },
  duration: list => {
    let sum = 0n
    for (const value of list) sum += (value as CelDuration).nanos
    return makeDuration(sum)
  },
}

/** The overload was chosen by the first element, so the others are checked here. */
function sumOf(type: string): (list: CelList) => CelValue {
  return list => {
    for (const value of list) if (typeOf(value).kind !== type) return noSuchOverload()
    return (SUMS[type] as (list: CelList) => CelValue)(list)
  }
}

function indexOf(list: CelList, value: CelValue): CelValue {
  for (let i = 0; i < list.size; i++) if (equal(list.at(i), value) === true) return BigInt(i)
  return -1n
}

function lastIndexOf(list: CelList, value: CelValue): CelValue {
  for (let i = list.size - 1; i >= 0; i--) if (equal(list.at(i), value) === true) return BigInt(i)
  return -1n
}

export const KUBERNETES_LISTS: Library = {
  isSorted: overloads(
    ORDERED,
    type => `list_${type}_is_sorted_bool`,
    type => `list(${type}).() -> bool`,
    () => isSorted,
  ),
  sum: overloads(
    Object.keys(SUMS),
    type => `list_${type}_sum_${type}`,
    type => `list(${type}).() -> ${type}`,
    sumOf,
  ),
  max: overloads(
    ORDERED,
    type => `list_${type}_max_${type}`,
    type => `list(${type}).() -> ${type}`,
    () => extreme('max', -1),
  ),
  min: overloads(
    ORDERED,
    type => `list_${type}_min_${type}`,
    type => `list(${type}).() -> ${type}`,
    () => extreme('min', 1),
  ),
  indexOf: { list_a_index_of_int: ['list(A).(A) -> int', indexOf] },
  lastIndexOf: { list_a_last_index_of_int: ['list(A).(A) -> int', lastIndexOf] },
}

function slice(list: CelList, start: bigint, end: bigint): CelValue {
  const range = `cannot slice(${start}, ${end})`
  if (start < 0n || end < 0n) return new CelError(`${range}, negative indexes not supported`)
  if (start > end) {
    return new CelError(`${range}, start index must be less than or equal to end index`)
  }
  if (BigInt(list.size) < end) return new CelError(`${range}, list is length ${list.size}`)
  return new ArrayList([...list].slice(Number(start), Number(end)))
}

function flatten(list: CelList, depth = 1n): CelValue {
  if (depth < 0n) return new CelError('level must be non-negative')
  return new ArrayList([...flat(list, depth)])
}

function* flat(list: CelList, depth: bigint): Iterable<CelValue> {
  for (const value of list) {
    if (value instanceof CelList && depth > 0n) yield* flat(value, depth - 1n)
    else yield value
  }
}

function sort(list: CelList): CelValue {
  return sortByKeys(list, list)
}

function sortByKeys(list: CelList, keys: CelList): CelValue {
  if (list.size !== keys.size) {
    const sizes = `${list.size} and ${keys.size} elements respectively`
    const expected = 'expected a list of the same size as the associated keys list'
    return new CelError(`@sortByAssociatedKeys() ${expected}, but got ${sizes}`)
  }
  if (list.size === 0) return list
  const kind = typeOf(keys.at(0)).kind
  if (!ORDERED.includes(kind)) return new CelError('list elements must be comparable')
  for (const key of keys) {
    if (typeOf(key).kind !== kind) return new CelError('list elements must have the same type')
  }
  const order = (a: number, b: number): number => {
    const result = compare(keys.at(a), keys.at(b))
    return result instanceof CelError ? 0 : result
  }
  const indices = Array.from({ length: list.size }, (_, i) => i).sort(order)
  return new ArrayList(indices.map(i => list.at(i)))
}

function distinct(list: CelList): CelValue {
  const kept: CelValue[] = []
  for (const value of list) {
    if (!kept.some(other => equal(value, other) === true)) kept.push(value)
  }
  return new ArrayList(kept)
}

export const LISTS: Library = {
  slice: { list_slice: ['list(T).(int, int) -> list(T)', slice] },
  flatten: {
    list_flatten: ['list(list(T)).() -> list(T)', flatten],
    list_flatten_int: ['list(dyn).(int) -> list(dyn)', flatten],
  },
  sort: overloads(
    ORDERED,
    type => `list_${type}_sort`,
    type => `list(${type}).() -> list(${type})`,
    () => sort,
  ),
  '@sortByAssociatedKeys': overloads(
    ORDERED,
    type => `list_${type}_sortByAssociatedKeys`,
    type => `list(T).(list(${type})) -> list(T)`,
    () => sortByKeys as (list: CelList) => CelValue,
  ),
  'lists.range': {
    lists_range: [
      '(int) -> list(int)',
      (end: bigint) =>
        new ArrayList(Array.from({ length: Math.max(0, Number(end)) }, (_, i) => BigInt(i))),
    ],
  },
  reverse: {
    list_reverse: ['list(T).() -> list(T)', (list: CelList) => new ArrayList([...list].reverse())],
  },
  distinct: { list_distinct: ['list(T).() -> list(T)', distinct] },
}

function holds(list: CelList, value: CelValue): boolean {
  for (const other of list) if (equal(other, value) === true) return true
  return false
}

function containsAll(list: CelList, part: CelList): boolean {
  for (const value of part) if (!holds(list, value)) return false
  return true
}

function intersects(a: CelList, b: CelList): boolean {
  for (const value of a) if (holds(b, value)) return true
  return false
}

export const SETS: Library = {
  'sets.contains': { list_sets_contains_list: ['(list(T), list(T)) -> bool', containsAll] },
  'sets.equivalent': {
    list_sets_equivalent_list: [
      '(list(T), list(T)) -> bool',
      (a: CelList, b: CelList) => containsAll(a, b) && containsAll(b, a),
    ],
  },
  'sets.intersects': { list_sets_intersects_list: ['(list(T), list(T)) -> bool', intersects] },
}

/** The accumulator of a macro may change in place; any other map is copied. */
function insert(map: CelMap, key: CelValue, value: CelValue): CelValue {
  if (map.find(key) !== undefined) {
    return new CelError(`insert failed: key ${String(key)} already exists`)
  }
  const target = map instanceof GrowingMap ? map : new ValueMap()
  if (target !== map) for (const known of map.keys()) target.set(known, map.find(known) as CelValue)
  target.set(key, value)
  return target
}

function insertAll(map: CelMap, entries: CelMap): CelValue {
  let result: CelValue = map
  for (const key of entries.keys()) {
    result = insert(result as CelMap, key, entries.find(key) as CelValue)
    if (result instanceof CelError) return result
  }
  return result
}

export const MAP_INSERTION: Library = {
  'cel.@mapInsert': {
    '@mapInsert_map_key_value': ['(map(K, V), K, V) -> map(K, V)', insert],
    '@mapInsert_map_map': ['(map(K, V), map(K, V)) -> map(K, V)', insertAll],
  },
}
