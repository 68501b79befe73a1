// optional_type: values that may be absent. Called by compile.ts. `.?`, `[?]`, or and orValue are
// run by the interpreter, which must not evaluate what is not needed. Ref: cel-go/cel/library.go
// OptionalTypes

import type { Library } from '../function.ts'
import {
  ArrayList,
  CelDuration,
  CelError,
  CelList,
  CelMap,
  CelOptional,
  CelTimestamp,
  CelUint,
  type CelValue,
  NONE,
  typeOf,
} from '../value.ts'

/** Empty, zero and false values; what has no zero value never counts as one. */
function isZero(value: CelValue): boolean {
  if (value === null || value === '' || value === false || value === 0n || value === 0) return true
  if (typeof value !== 'object') return false
  if (value instanceof CelList || value instanceof CelMap) return value.size === 0
  if (value instanceof CelUint) return value.value === 0n
  if (value instanceof CelDuration) return value.nanos === 0n
  if (value instanceof CelTimestamp) return value.nanos === -62135596800n * 1_000_000_000n
  if (value instanceof CelOptional) return value.value === undefined || isZero(value.value)
  return value instanceof Uint8Array && value.length === 0
}

function unwrapAll(list: CelList): CelValue {
  const values: CelValue[] = []
  for (const item of list) {
    if (!(item instanceof CelOptional)) {
      return new CelError(`value ${typeOf(item).name} is not optional`)
    }
    if (item.value !== undefined) values.push(item.value)
  }
  return new ArrayList(values)
}

export const OPTIONALS: Library = {
  'optional.of': {
    optional_of: ['(V) -> optional_type(V)', (value: CelValue) => new CelOptional(value)],
  },
  'optional.ofNonZeroValue': {
    optional_ofNonZeroValue: [
      '(V) -> optional_type(V)',
      (value: CelValue) => (isZero(value) ? NONE : new CelOptional(value)),
    ],
  },
  'optional.none': { optional_none: ['() -> optional_type(V)', () => NONE] },
  'optional.unwrap': {
    optional_unwrap: ['(list(optional_type(V))) -> list(V)', unwrapAll],
  },
  unwrapOpt: { optional_unwrapOpt: ['list(optional_type(V)).() -> list(V)', unwrapAll] },
  value: {
    optional_value: [
      'optional_type(V).() -> V',
      ({ value }: CelOptional) =>
        value === undefined ? new CelError('optional.none() dereference') : value,
    ],
  },
  hasValue: {
    optional_hasValue: [
      'optional_type(V).() -> bool',
      (optional: CelOptional) => optional.value !== undefined,
    ],
  },
  or: {
    optional_or_optional: ['optional_type(V).(optional_type(V)) -> optional_type(V)'],
  },
  orValue: { optional_orValue_value: ['optional_type(V).(V) -> V'] },
  '_?._': { select_optional_field: ['(dyn, string) -> optional_type(V)'] },
  '_[?_]': {
    list_optindex_optional_int: ['(list(V), int) -> optional_type(V)'],
    optional_list_optindex_optional_int: ['(optional_type(list(V)), int) -> optional_type(V)'],
    map_optindex_optional_value: ['(map(K, V), K) -> optional_type(V)'],
    optional_map_optindex_optional_value: ['(optional_type(map(K, V)), K) -> optional_type(V)'],
  },
  '_[_]': {
    optional_list_index_int: ['(optional_type(list(V)), int) -> optional_type(V)'],
    optional_map_index_value: ['(optional_type(map(K, V)), K) -> optional_type(V)'],
  },
  first: {
    list_first: [
      'list(V).() -> optional_type(V)',
      (list: CelList) => (list.size === 0 ? NONE : new CelOptional(list.at(0))),
    ],
  },
  last: {
    list_last: [
      'list(V).() -> optional_type(V)',
      (list: CelList) => (list.size === 0 ? NONE : new CelOptional(list.at(list.size - 1))),
    ],
  },
}
