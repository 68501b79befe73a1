// Values the way Go's fmt prints them inside upstream's messages. Called by typed.ts and strategic-
// merge.ts.

import { formatGoFloat } from './go-float.ts'
import { isObject, type JsonValue } from './json.ts'

/** `%v`: `map[a:1 b:[x y]]`, `[1 2]`, `text`, `<nil>`. */
export function printGo(value: JsonValue | undefined): string {
  if (value === null || value === undefined) return '<nil>'
  if (Array.isArray(value)) return `[${value.map(printGo).join(' ')}]`
  if (!isObject(value)) return printScalar(value)
  const members = Object.keys(value).sort()
  return `map[${members.map(key => `${key}:${printGo(value[key])}`).join(' ')}]`
}

function printScalar(value: string | number | bigint | boolean): string {
  return typeof value === 'number' && !Number.isSafeInteger(value)
    ? formatGoFloat(value)
    : String(value)
}

/** `%#v`: `map[string]interface {}{"a":1}`, `[]interface {}{"x"}`, `"text"`. */
export function printGoSyntax(value: JsonValue | undefined): string {
  if (value === null || value === undefined) return '<nil>'
  if (Array.isArray(value)) {
    return `[]interface {}{${value.map(item => goElement(item)).join(', ')}}`
  }
  if (typeof value === 'string') return JSON.stringify(value)
  if (!isObject(value)) return printScalar(value)
  const members = Object.keys(value).sort()
  const list = members.map(key => `${JSON.stringify(key)}:${goElement(value[key])}`)
  return `map[string]interface {}{${list.join(', ')}}`
}

function goElement(value: JsonValue | undefined): string {
  return value === null || value === undefined ? 'interface {}(nil)' : printGoSyntax(value)
}

/** `%T` of a decoded JSON value. */
export function goTypeName(value: JsonValue | undefined): string {
  if (value === null || value === undefined) return '<nil>'
  if (Array.isArray(value)) return '[]interface {}'
  switch (typeof value) {
    case 'string':
      return 'string'
    case 'boolean':
      return 'bool'
    case 'bigint':
      return 'int64'
    case 'number':
      return Number.isSafeInteger(value) ? 'int64' : 'float64'
    default:
      return 'map[string]interface {}'
  }
}
