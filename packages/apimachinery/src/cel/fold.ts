// Parts of comprehensions: what they iterate over and where they keep what they bind. Called by the
// interpreter.
// Ref: cel-go/interpreter/interpretable.go evalFold

import type { Evaluator } from './frame.ts'
import {
  CelError,
  CelList,
  CelMap,
  type CelValue,
  GrowingList,
  GrowingMap,
  typeOf,
} from './value.ts'

/** The value in a slot that was filled before. */
export function readSlot(slot: number): Evaluator {
  return frame => frame.slots[slot] as CelValue
}

/** The value in a slot, which `init` fills when it is first read. */
export function lazily(slot: number, init: Evaluator): Evaluator {
  return frame => {
    const known = frame.slots[slot]
    if (known !== undefined) return known
    const value = init(frame)
    frame.slots[slot] = value
    return value
  }
}

/** An empty aggregate that a macro starts from may change in place. */
export function growing(value: CelValue): CelValue {
  if (value instanceof CelList && value.size === 0) return new GrowingList([])
  return value instanceof CelMap && value.size === 0 ? new GrowingMap() : value
}

type Visit = (key: CelValue, value: CelValue) => boolean

/** Elements of a list or keys of a map; the second value is unused. */
export function iterateOne(values: CelValue, visit: Visit): CelError | undefined {
  if (values instanceof CelList) {
    for (let i = 0; i < values.size; i++) if (!visit(values.at(i), null)) break
    return undefined
  }
  if (!(values instanceof CelMap)) {
    return new CelError(`got '${goTypeName(values)}', expected iterable type`)
  }
  for (const key of values.keys()) if (!visit(key, null)) break
  return undefined
}

/** Indices and elements of a list, or keys and values of a map. */
export function iterateTwo(values: CelValue, visit: Visit): CelError | undefined {
  if (values instanceof CelList) {
    for (let i = 0; i < values.size; i++) if (!visit(BigInt(i), values.at(i))) break
    return undefined
  }
  if (!(values instanceof CelMap)) {
    return new CelError(`unsupported comprehension range type: ${goTypeName(values)}`)
  }
  for (const key of values.keys()) if (!visit(key, values.find(key) as CelValue)) break
  return undefined
}

function goTypeName(value: CelValue): string {
  const { kind } = typeOf(value)
  return `types.${kind.charAt(0).toUpperCase()}${kind.slice(1)}`
}
