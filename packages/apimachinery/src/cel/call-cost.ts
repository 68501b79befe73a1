// What a call costs while it runs, by its arguments' actual sizes. Called by the interpreter.
// Ref: cel-go/interpreter/runtimecost.go, apiserver/pkg/cel/library/cost.go CallCost,
// cel-go/ext/{lists,sets}.go

import { CelList, CelMap, CelOpaque, type CelValue, sizeOf } from './value.ts'

type Args = readonly CelValue[]
/** `result` runs the call; only costs that depend on its outcome ask for it. */
type CallCost = (args: Args, result: () => CelValue) => number

/** Traversing ten characters or bytes costs a unit. */
export const TRAVERSAL_FACTOR = 0.1
/** Four characters of a regular expression count as one state. */
export const REGEX_FACTOR = 0.25

const one: CallCost = () => 1

/** Two questions of access fit into the limit of one expression. */
const ACCESS_CHECK_COST = 350_000

/** The cost of a call; the overload is undefined when values choose it at run time. */
export function callCost(fn: string, overload: string | undefined): CallCost {
  const id = overload ?? ''
  return BY_OVERLOAD[id] ?? BY_FUNCTION[fn] ?? BUILT_IN[id] ?? one
}

function size(args: Args, index: number): number {
  return sizeOf(args[index] as CelValue)
}

/** A pass over one argument, `times` over. */
function traverse(index: number, times = 1): CallCost {
  return args => Math.ceil(size(args, index) * times * TRAVERSAL_FACTOR)
}

const matchRegex: CallCost = args => {
  const text = Math.ceil((1 + size(args, 0)) * TRAVERSAL_FACTOR)
  return text * Math.ceil(size(args, 1) * REGEX_FACTOR)
}

const compareSmaller: CallCost = args => {
  if (args[0] instanceof CelOpaque) return 1
  return Math.ceil(Math.min(size(args, 0), size(args, 1)) * TRAVERSAL_FACTOR)
}

const addUp: CallCost = args => Math.ceil((size(args, 0) + size(args, 1)) * TRAVERSAL_FACTOR)

const BUILT_IN: Readonly<Record<string, CallCost>> = {
  starts_with_string: traverse(0),
  ends_with_string: traverse(0),
  string_to_bytes: traverse(0),
  bytes_to_string: traverse(0),
  strings_quote: traverse(0),
  string_format: traverse(0),
  in_list: args => size(args, 1),
  equals: compareSmaller,
  not_equals: compareSmaller,
  less_string: compareSmaller,
  less_equals_string: compareSmaller,
  greater_string: compareSmaller,
  greater_equals_string: compareSmaller,
  less_bytes: compareSmaller,
  less_equals_bytes: compareSmaller,
  greater_bytes: compareSmaller,
  greater_equals_bytes: compareSmaller,
  add_string: addUp,
  add_bytes: addUp,
  matches_string: matchRegex,
  contains_string: args =>
    Math.ceil(size(args, 0) * TRAVERSAL_FACTOR) * Math.ceil(size(args, 1) * TRAVERSAL_FACTOR),
}

/** A pass through a value and everything inside it. */
function traversalCost(value: CelValue | undefined): number {
  if (typeof value === 'string') return Math.floor(Buffer.byteLength(value) * TRAVERSAL_FACTOR)
  if (value instanceof Uint8Array) return Math.floor(value.length * TRAVERSAL_FACTOR)
  let cost = 0
  if (value instanceof CelList) {
    for (const item of value) cost += traversalCost(item)
    return cost
  }
  if (!(value instanceof CelMap)) return 1
  for (const key of value.keys()) cost += traversalCost(key) + traversalCost(value.find(key))
  return cost
}

const traverseAll: CallCost = args => traversalCost(args[0])

/** Comparing addresses up to the prefix's length, in bytes. */
const containsIp: CallCost = args => Math.ceil(size(args, 0) * 2 * TRAVERSAL_FACTOR)

const containsCidr: CallCost = (args, result) =>
  containsIp(args, result) + Math.ceil(size(args, 0) * TRAVERSAL_FACTOR) + 1

/** The same for an argument that is parsed first. */
function parsing(cost: CallCost): CallCost {
  return (args, result) => cost(args, result) + Math.ceil(size(args, 1) * TRAVERSAL_FACTOR)
}

const BY_FUNCTION: Readonly<Record<string, CallCost>> = {
  check: () => ACCESS_CHECK_COST,
  'jsonpatch.escapeKey': traverse(0),
  isSorted: traverseAll,
  sum: traverseAll,
  max: traverseAll,
  min: traverseAll,
  indexOf: traverseAll,
  lastIndexOf: traverseAll,
  url: traverse(0),
  lowerAscii: traverse(0),
  upperAscii: traverse(0),
  substring: traverse(0),
  trim: traverse(0),
  replace: traverse(0, 2),
  split: traverse(0, 2),
  join: (_args, result) => Math.ceil(sizeOf(result()) * 2 * TRAVERSAL_FACTOR),
  find: matchRegex,
  findAll: matchRegex,
  cidr: traverse(0),
  isIP: traverse(0),
  isCIDR: traverse(0),
  ip: traverse(0),
  'ip.isCanonical': traverse(0, 2),
  containsIP: containsIp,
  containsCIDR: containsCidr,
  quantity: traverse(0),
  isQuantity: traverse(0),
  semver: traverse(0),
  isSemver: traverse(0),
  validate: args => {
    const regexSize = args[0] instanceof CelOpaque ? (args[0].costSize() ?? 1) : 1
    const text = Math.ceil((1 + size(args, 1)) * TRAVERSAL_FACTOR)
    return text * Math.ceil(regexSize * REGEX_FACTOR)
  },
}

/** A call plus the list it makes, whose elements cost `factor` each. */
function makeList(factor: number, elements: number): number {
  return Math.floor(elements * factor) + 1 + 10
}

function compareElements(list: CelValue | undefined): number {
  if (!(list instanceof CelList) || list.size === 0) return makeList(2, 0)
  const first = list.at(0)
  const isLong = typeof first === 'string' || first instanceof Uint8Array
  return makeList(isLong ? 2 + TRAVERSAL_FACTOR : 2, list.size * list.size)
}

const compareFirst: CallCost = args => compareElements(args[0])
const compareSecond: CallCost = args => compareElements(args[1])
const ORDERED = ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes']

function crossLists(factor: number): CallCost {
  return args => 1 + Math.floor(size(args, 0) * size(args, 1) * factor)
}

const flatten: CallCost = args =>
  makeList(typeof args[1] === 'bigint' ? Math.max(0, Number(args[1])) : 1, size(args, 0))

const BY_OVERLOAD: Readonly<Record<string, CallCost>> = {
  cidr_ip: one,
  cidr_contains_ip_string: parsing(containsIp),
  cidr_contains_cidr_string: parsing(containsCidr),
  list_sets_contains_list: crossLists(1),
  list_sets_intersects_list: crossLists(1),
  list_sets_equivalent_list: crossLists(2),
  list_slice: (_args, result) => makeList(1, sizeOf(result())),
  list_flatten: flatten,
  list_flatten_int: flatten,
  lists_range: args => makeList(1, Math.max(0, Number(args[0]))),
  list_reverse: args => makeList(1, size(args, 0)),
  list_distinct: compareFirst,
  ...Object.fromEntries(ORDERED.map(type => [`list_${type}_sort`, compareFirst])),
  ...Object.fromEntries(ORDERED.map(type => [`list_${type}_sortByAssociatedKeys`, compareSecond])),
}
