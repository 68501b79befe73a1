// What a call may cost and how large its result may get, from its arguments' sizes; decides which
// rules a CRD may hold, so it follows upstream to the unit. Called by cost.ts.
// Ref: apiserver/pkg/cel/library/cost.go, cel-go/checker/cost.go, cel-go/ext/{lists,sets}.go

import type { Expr } from './ast.ts'
import { REGEX_FACTOR, TRAVERSAL_FACTOR } from './call-cost.ts'
import type { CelType } from './cel-type.ts'
import { add, fixed, MAX, multiply, ONE, type Range, scale, UNKNOWN, ZERO } from './size-range.ts'

/** An argument as an estimate sees it. */
export interface Operand {
  readonly type: CelType
  readonly expr: Expr
  readonly size: Range | undefined
  /** Of each element, when this is a list of known origin. */
  readonly elementSize: Range | undefined
}

interface CallSite {
  readonly fn: string
  readonly overload: string
  readonly target: Operand | undefined
  readonly args: readonly Operand[]
}

/** Without what the arguments themselves cost. */
export interface CallEstimate {
  readonly cost: Range
  readonly size?: Range | undefined
}

/** The estimate of one overload of a call. */
export function estimateCall(site: CallSite): CallEstimate {
  return (
    LIST_OVERLOADS[site.overload]?.(site) ??
    BY_FUNCTION[site.fn]?.(site) ??
    BUILT_IN[site.overload]?.(site) ?? { cost: ONE }
  )
}

type Estimator = (site: CallSite) => CallEstimate | undefined

function sizeOf(operand: Operand | undefined): Range {
  return operand?.size ?? UNKNOWN
}

const nominal: Estimator = () => ({ cost: ONE })

/** A pass over the first argument or the target. */
const traverseArg: Estimator = ({ args }) =>
  args.length === 0 ? undefined : { cost: scale(sizeOf(args[0]), TRAVERSAL_FACTOR) }

const sameSizeFromArg: Estimator = ({ args }) => {
  if (args.length !== 1) return undefined
  const size = sizeOf(args[0])
  return { cost: scale(size, TRAVERSAL_FACTOR), size }
}

const sameSizeFromTarget: Estimator = ({ target }) => {
  if (target === undefined) return undefined
  const size = sizeOf(target)
  return { cost: scale(size, TRAVERSAL_FACTOR), size }
}

/** Functions that look at every element of a list, or at a string's characters. */
const scanList: Estimator = ({ target }) => {
  if (target === undefined) return undefined
  const element = target.type.params[0]
  if (element === undefined) return { cost: scale(sizeOf(target), TRAVERSAL_FACTOR) }
  const isText = element.kind === 'string' || element.kind === 'bytes'
  const perElement = isText ? add(ONE, scale(target.elementSize ?? UNKNOWN, TRAVERSAL_FACTOR)) : ONE
  return { cost: multiply(sizeOf(target), perElement) }
}

const replace: Estimator = ({ target, args }) => {
  if (target === undefined || args.length < 2) return undefined
  const text = sizeOf(target)
  const from = sizeOf(args[0])
  const to = sizeOf(args[1])
  let [count, kept] = [ZERO, ZERO]
  if (from.min === 0) {
    count = { ...count, max: Math.min(MAX, text.max + 1) }
    kept = { ...kept, max: text.max }
  } else if (to.max <= from.min) {
    kept = { ...kept, max: text.max }
  } else {
    count = { ...count, max: Math.ceil(text.max / from.min) }
  }
  if (from.max === 0) {
    count = { ...count, min: Math.min(MAX, text.min + 1) }
    kept = { ...kept, min: text.min }
  } else if (from.max <= to.min) {
    kept = { ...kept, min: text.min }
  } else {
    count = { ...count, min: Math.ceil(text.min / from.max) }
  }
  const size = add(multiply(count, to), kept)
  return { cost: scale(text, 2 * TRAVERSAL_FACTOR), size }
}

const split: Estimator = ({ target, args }) => {
  if (target === undefined) return undefined
  const text = sizeOf(target)
  const limit = args[1] && literalInt(args[1].expr)
  const max = limit === undefined ? text.max : limit < 0 ? MAX : limit
  return { cost: scale(text, 2 * TRAVERSAL_FACTOR), size: { min: 0, max } }
}

const join: Estimator = ({ target, args }) => {
  if (target === undefined) return undefined
  const list = sizeOf(target)
  let size = ZERO
  if (target.type.params.length > 0) size = multiply(list, target.elementSize ?? UNKNOWN)
  if (args.length > 0) {
    const separators = { min: Math.max(0, list.min - 1), max: Math.max(0, list.max - 1) }
    size = add(size, multiply(sizeOf(args[0]), separators))
  }
  return { cost: scale(size, TRAVERSAL_FACTOR), size }
}

/** One more than the length, so that an expensive pattern costs something even on an empty text. */
function regexCost(text: Range, pattern: Range): Range {
  const traversal = scale(add(text, ONE), TRAVERSAL_FACTOR)
  return multiply(traversal, scale(pattern, REGEX_FACTOR))
}

const find: Estimator = ({ target, args }) => {
  if (target === undefined || args.length < 1) return undefined
  const text = sizeOf(target)
  return { cost: regexCost(text, sizeOf(args[0])), size: { min: 0, max: text.max } }
}

/** An address is 4 or 16 bytes; a string one has to be parsed as well. */
const ADDRESS: Range = { min: 4, max: 16 }

function containsAddress(extra: (compare: Range) => Range): Estimator {
  return ({ args }) => {
    if (args.length < 1) return undefined
    const compare = extra(scale(add(ADDRESS, ADDRESS), TRAVERSAL_FACTOR))
    const parse = args[0]?.type.kind === 'string' ? scale(sizeOf(args[0]), TRAVERSAL_FACTOR) : ZERO
    return { cost: add(compare, parse) }
  }
}

const MAX_NAME_FORMAT_REGEX = 128
const MAX_FORMAT = 64

const validate: Estimator = ({ args }) => {
  if (args.length < 1) return undefined
  const traversal = scale(sizeOf(args[0]), TRAVERSAL_FACTOR)
  return { cost: scale(traversal, MAX_NAME_FORMAT_REGEX * REGEX_FACTOR) }
}

/** Types of libraries compare at a fixed cost. */
const equality: Estimator = ({ args }) => {
  const [left, right] = args
  if (left === undefined || right === undefined || String(left.type) !== String(right.type)) {
    return undefined
  }
  switch (left.type.name) {
    case 'net.IP':
    case 'net.CIDR':
    case 'kubernetes.Quantity':
    case 'kubernetes.Semver':
      return { cost: ONE }
    case 'kubernetes.NamedFormat':
      return { cost: scale({ min: 1, max: MAX_FORMAT }, TRAVERSAL_FACTOR) }
    case 'kubernetes.URL':
      return { cost: scale({ min: 1, max: right.size?.max ?? 1 }, TRAVERSAL_FACTOR) }
    default:
      return undefined
  }
}

const NOMINAL_FUNCTIONS =
  'masked prefixLength family isUnspecified isLoopback isLinkLocalMulticast isLinkLocalUnicast ' +
  'isGlobalUnicast format.named sign asInteger isInteger asApproximateFloat isGreaterThan isLessThan ' +
  'compareTo add sub major minor patch getScheme getHostname getHost getPort getEscapedPath getQuery'

const BY_FUNCTION: Readonly<Record<string, Estimator>> = {
  ...Object.fromEntries(NOMINAL_FUNCTIONS.split(' ').map(name => [name, nominal])),
  isSorted: scanList,
  sum: scanList,
  max: scanList,
  min: scanList,
  indexOf: scanList,
  lastIndexOf: scanList,
  url: sameSizeFromArg,
  lowerAscii: sameSizeFromTarget,
  upperAscii: sameSizeFromTarget,
  substring: sameSizeFromTarget,
  trim: sameSizeFromTarget,
  replace,
  split,
  join,
  find,
  findAll: find,
  cidr: traverseArg,
  isIP: traverseArg,
  isCIDR: traverseArg,
  ip: site => (site.overload === 'cidr_ip' ? nominal(site) : traverseArg(site)),
  'ip.isCanonical': ({ args }) =>
    args.length === 0 ? undefined : { cost: scale(sizeOf(args[0]), 2 * TRAVERSAL_FACTOR) },
  containsIP: containsAddress(compare => compare),
  containsCIDR: containsAddress(compare =>
    add(add(compare, scale(ADDRESS, TRAVERSAL_FACTOR)), ONE),
  ),
  quantity: traverseArg,
  isQuantity: traverseArg,
  semver: traverseArg,
  isSemver: traverseArg,
  validate,
  '_==_': equality,
}

const compareBoth: Estimator = ({ args }) => {
  const smallest = Math.min(sizeOf(args[0]).max, sizeOf(args[1]).max)
  return { cost: scale({ min: smallest > 0 ? 1 : 0, max: smallest }, TRAVERSAL_FACTOR) }
}

const concatenate: Estimator = ({ args, overload }) => {
  if (args.length !== 2) return undefined
  const size = add(sizeOf(args[0]), sizeOf(args[1]))
  return { cost: overload === 'add_list' ? ONE : scale(size, TRAVERSAL_FACTOR), size }
}

const startOrEnd: Estimator = ({ args }) =>
  args.length === 1 ? { cost: scale(sizeOf(args[0]), TRAVERSAL_FACTOR) } : undefined

/** A conversion that passes over its argument and may change its size. */
function convert(resize: (size: Range) => Range): Estimator {
  return ({ args }) => {
    if (args.length !== 1) return undefined
    const size = sizeOf(args[0])
    return { cost: scale(size, TRAVERSAL_FACTOR), size: resize(size) }
  }
}

const BUILT_IN: Readonly<Record<string, Estimator>> = {
  string_format: ({ target }) => target && { cost: scale(sizeOf(target), TRAVERSAL_FACTOR) },
  string_to_bytes: convert(size => ({ min: size.min, max: Math.min(MAX, size.max * 4) })),
  bytes_to_string: convert(size => ({ min: Math.floor(size.min / 4), max: size.max })),
  // Upstream's arithmetic wraps around for a text of unknown size.
  strings_quote: convert(({ min, max }) => ({ min: min + 2, max: max >= MAX ? 0 : max * 2 + 2 })),
  starts_with_string: startOrEnd,
  ends_with_string: startOrEnd,
  in_list: ({ args }) => (args.length === 2 ? { cost: sizeOf(args[1]) } : undefined),
  matches_string: ({ target, args }) =>
    target && args.length === 1 ? { cost: regexCost(sizeOf(target), sizeOf(args[0])) } : undefined,
  contains_string: ({ target, args }) => {
    if (target === undefined || args.length !== 1) return undefined
    const text = scale(sizeOf(target), TRAVERSAL_FACTOR)
    return { cost: multiply(text, scale(sizeOf(args[0]), TRAVERSAL_FACTOR)) }
  },
  add_string: concatenate,
  add_bytes: concatenate,
  add_list: concatenate,
  equals: compareBoth,
  not_equals: compareBoth,
  less_string: compareBoth,
  less_equals_string: compareBoth,
  greater_string: compareBoth,
  greater_equals_string: compareBoth,
  less_bytes: compareBoth,
  less_equals_bytes: compareBoth,
  greater_bytes: compareBoth,
  greater_equals_bytes: compareBoth,
}

/** A call that makes a list whose elements cost `factor` each. */
function makeList(factor: number, size: Range): CallEstimate {
  return { cost: add(add(scale(size, factor), ONE), fixed(10)), size }
}

function literalInt(expr: Expr): number | undefined {
  if (expr.kind !== 'literal' || typeof expr.value !== 'bigint') return undefined
  return Number(expr.value)
}

/** A literal index, or what to assume for a computed one; negative ones count as zero. */
function indexOr(operand: Operand | undefined, otherwise: number): number {
  const value = operand && literalInt(operand.expr)
  return value === undefined ? otherwise : Math.max(0, value)
}

function crossLists(factor: number): Estimator {
  return ({ args }) => {
    const pairs = multiply(sizeOf(args[0]), sizeOf(args[1]))
    return { cost: add(scale(pairs, factor), ONE) }
  }
}

const flatten: Estimator = ({ target, args }) =>
  target && makeList(args.length === 1 ? indexOr(args[0], MAX) : 1, sizeOf(target))

const ORDERED = ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes']

function sortBy(type: string, keys: (site: CallSite) => Operand | undefined): Estimator {
  const factor = type === 'string' || type === 'bytes' ? 2 + TRAVERSAL_FACTOR : 2
  return site => {
    const size = sizeOf(keys(site))
    return makeList(factor, multiply(size, size))
  }
}

const LIST_OVERLOADS: Readonly<Record<string, Estimator>> = {
  list_sets_contains_list: crossLists(1),
  list_sets_intersects_list: crossLists(1),
  list_sets_equivalent_list: crossLists(2),
  list_slice: ({ target, args }) => {
    const start = indexOr(args[0], 0)
    const length = indexOr(args[1], sizeOf(target).max) - start
    // Upstream's unsigned difference wraps around when the end comes first.
    return makeList(1, fixed(length < 0 ? MAX + length : length))
  },
  list_flatten: flatten,
  list_flatten_int: flatten,
  lists_range: ({ args }) => makeList(1, fixed(indexOr(args[0], MAX))),
  list_reverse: ({ target }) => makeList(1, sizeOf(target)),
  list_distinct: ({ target }) => makeList(2, multiply(sizeOf(target), sizeOf(target))),
  ...Object.fromEntries(
    ORDERED.flatMap(type => [
      [`list_${type}_sort`, sortBy(type, site => site.target)],
      [`list_${type}_sortByAssociatedKeys`, sortBy(type, site => site.args[0])],
    ]),
  ),
}
