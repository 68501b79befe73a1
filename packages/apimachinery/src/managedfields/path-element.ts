// One step of a field path as fieldsV1 spells it: `f:name`, `k:{"port":80}`, `v:"x"`, `i:0`. It is
// canonical: equal elements are equal strings. Called by field-set.ts and the walkers; calls json.ts.
// Ref: structured-merge-diff/fieldpath/{element,serialize-pe}.go, value/value.go

import { isJsonNumber, type JsonNumber, parseExact } from '../int64.ts'
import { isObject, type JsonObject, type JsonValue } from '../json.ts'

/** A canonical path element. */
export type PathElement = string

/** Thrown for a fieldsV1 key that is no path element. */
export class FieldsFormatError extends Error {
  override readonly name = 'FieldsFormatError'
}

export function fieldElement(name: string): PathElement {
  return `f:${name}`
}

/** The item of a list map with these key fields; `fields` need not be sorted. */
export function keyElement(fields: readonly (readonly [string, JsonValue])[]): PathElement {
  const sorted = fields.length < 2 ? fields : [...fields].sort((a, b) => compareText(a[0], b[0]))
  const members = sorted.map(([name, value]) => `${goJson(name)}:${goJson(value)}`)
  return `k:{${members.join(',')}}`
}

/** The item of a set with this value. */
export function valueElement(value: JsonValue): PathElement {
  return `v:${goJson(value)}`
}

/** The name a field element selects; undefined for elements of lists. */
export function fieldNameOf(element: PathElement): string | undefined {
  return element.startsWith('f:') ? element.slice(2) : undefined
}

/**
 * Reads a fieldsV1 key. Undefined for a kind of element that is not known, which readers skip.
 * Throws FieldsFormatError for text that is no element at all.
 */
export function parseElement(text: string): PathElement | undefined {
  if (text.length < 2) throw new FieldsFormatError('key must be 2 characters long:')
  if (text[1] !== ':') throw new FieldsFormatError(`missing colon: ${text}`)
  switch (text[0]) {
    case 'f':
      return text
    case 'v':
      return valueElement(parseJson(text))
    case 'k': {
      const fields = parseJson(text)
      if (!isObject(fields)) throw new FieldsFormatError(`not an object: ${text}`)
      return keyElement(entriesOf(fields))
    }
    case 'i':
      if (!/^i:[+-]?\d+$/.test(text)) throw new FieldsFormatError(`not an index: ${text}`)
      return `i:${Number(text.slice(2))}`
    default:
      return undefined
  }
}

type PrintNumber = (value: JsonNumber) => string

/** The element as messages print it: `.name`, `[port=80,protocol="TCP"]`, `[="x"]`, `[0]`. */
export function printElement(element: PathElement, printNumber: PrintNumber = String): string {
  const body = element.slice(2)
  switch (element[0]) {
    case 'f':
      return `.${body}`
    case 'k': {
      const fields = entriesOf(parseJson(element) as JsonObject)
      return `[${fields.map(([name, value]) => `${name}=${printValue(value, printNumber)}`).join(',')}]`
    }
    case 'v':
      return `[=${printValue(parseJson(element), printNumber)}]`
    default:
      return `[${body}]`
  }
}

/** Elements in upstream's order: fields, keys, values, indices; each kind by its content. */
export function sortElements(elements: Iterable<PathElement>): PathElement[] {
  const sorted = [...elements]
  if (sorted.length < 2) return sorted
  if (sorted.every(element => element.startsWith('f:'))) return sorted.sort(compareText)
  return sorted
    .map(element => ({ element, rank: 'fkvi'.indexOf(element[0] ?? ''), body: bodyOf(element) }))
    .sort((a, b) => a.rank - b.rank || compareBodies(a.body, b.body))
    .map(({ element }) => element)
}

function bodyOf(element: PathElement): JsonValue {
  return element.startsWith('f:') ? element.slice(2) : parseJson(element)
}

function compareBodies(a: JsonValue, b: JsonValue): number {
  if (!isObject(a) || !isObject(b)) return compareValues(a, b)
  const left = entriesOf(a)
  const right = entriesOf(b)
  for (const [i, [name, value]] of left.entries()) {
    const other = right[i]
    if (other === undefined) return 1
    const order = compareText(name, other[0]) || compareValues(value, other[1])
    if (order !== 0) return order
  }
  return left.length - right.length
}

const KINDS: readonly ((value: JsonValue) => boolean)[] = [
  isJsonNumber,
  value => typeof value === 'string',
  value => typeof value === 'boolean',
]

/** Numbers before strings before booleans before everything else. */
function compareValues(a: JsonValue, b: JsonValue): number {
  const kind = rankOf(a)
  if (kind !== rankOf(b)) return kind - rankOf(b)
  if (isJsonNumber(a) && isJsonNumber(b)) return a < b ? -1 : a > b ? 1 : 0
  if (kind === 2) return Number(a) - Number(b)
  return kind === 1 ? compareText(String(a), String(b)) : compareText(goJson(a), goJson(b))
}

function rankOf(value: JsonValue): number {
  const kind = KINDS.findIndex(isKind => isKind(value))
  return kind < 0 ? KINDS.length : kind
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function entriesOf(object: JsonObject): [string, JsonValue][] {
  return Object.keys(object)
    .sort(compareText)
    .map(name => [name, object[name] ?? null])
}

function printValue(value: JsonValue, printNumber: PrintNumber): string {
  if (Array.isArray(value)) return `[${value.map(item => printValue(item, printNumber)).join(',')}]`
  if (isJsonNumber(value)) return printNumber(value)
  if (!isObject(value)) return JSON.stringify(value)
  return entriesOf(value)
    .map(([name, member]) => `${name}=${printValue(member, printNumber)}`)
    .join('')
}

function parseJson(element: string): JsonValue {
  try {
    return parseExact(element.slice(2))
  } catch (cause) {
    throw new FieldsFormatError(`not JSON: ${element}`, { cause })
  }
}

const ESCAPES: Record<string, string> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
}

/**
 * JSON as Go's encoder writes it, HTML characters escaped: it is what stands inside fieldsV1 keys.
 */
function goJson(value: JsonValue): string {
  if (isJsonNumber(value) || typeof value === 'boolean') return String(value)
  const text = JSON.stringify(value)
  return /[<>&\u2028\u2029]/.test(text)
    ? text.replace(/[<>&\u2028\u2029]/g, it => ESCAPES[it] ?? it)
    : text
}
