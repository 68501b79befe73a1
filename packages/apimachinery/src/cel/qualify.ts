// One step into data: a field, an index or a key. Called by the interpreter.
// Ref: cel-go/interpreter/attributes.go refQualify

import {
  CelError,
  CelList,
  CelMap,
  CelOptional,
  CelUint,
  type CelValue,
  NONE,
  typeOf,
} from './value.ts'

/** Why a value can not be a field, an index or a key at all; undefined when it can. */
export function checkQualifier(key: CelValue): CelError | undefined {
  if (typeof key !== 'object' || key instanceof CelUint) return undefined
  const { kind } = typeOf(key)
  const name = `${kind.charAt(0).toUpperCase()}${kind.slice(1)}`
  return new CelError(`invalid qualifier type: types.${name}`)
}

/** The value at a key; an error when there is none. */
export function qualify(value: CelValue, key: CelValue): CelValue {
  const found = lookUp(value, key)
  if (found !== undefined) return found
  const problem = value instanceof CelList ? 'index out of bounds' : 'no such key'
  return new CelError(`${problem}: ${print(key)}`)
}

/** An optional of the value at a key. */
export function qualifyIfPresent(value: CelValue, key: CelValue): CelValue {
  const found = lookUp(value, key)
  if (found === undefined) return NONE
  return found instanceof CelError ? found : new CelOptional(found)
}

/** has(value.field) */
export function testPresence(value: CelValue, field: string): CelValue {
  if (value instanceof CelOptional) {
    return value.value === undefined ? false : testPresence(value.value, field)
  }
  const found = lookUp(value, field)
  return found instanceof CelError ? found : found !== undefined
}

function lookUp(value: CelValue, key: CelValue): CelValue | undefined {
  if (value instanceof CelMap) return value.find(key)
  if (!(value instanceof CelList)) return undefined
  const index = toIndex(key)
  if (typeof index !== 'number') return index
  if (index < 0 || index >= value.size) return undefined
  if (value.intIndexOnly && typeof key !== 'bigint') {
    return new CelError(`unsupported index: ${print(key)}`)
  }
  return value.at(index)
}

function toIndex(key: CelValue): number | CelError {
  if (typeof key === 'bigint') return Number(key)
  if (key instanceof CelUint) return Number(key.value)
  if (typeof key !== 'number') {
    return new CelError(`unsupported index type '${typeOf(key).name}' in list`)
  }
  return Number.isInteger(key) ? key : new CelError(`unsupported index value ${key} in list`)
}

function print(key: CelValue): string {
  return key instanceof CelUint ? String(key.value) : String(key)
}
