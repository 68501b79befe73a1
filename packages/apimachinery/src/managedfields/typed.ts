// Values seen through their type: does an object fit, and which fields does it set. Called by
// track-update.ts and apply.ts; calls type-def.ts for types and path-element.ts for the identity of
// list items. Ref: structured-merge-diff/typed/{helpers,validate,tofieldset}.go

import { goTypeName, printGo, printGoSyntax } from '../go-value.ts'
import { isJsonNumber } from '../int64.ts'
import { isObject, type JsonObject, type JsonValue } from '../json.ts'
import { FieldSet } from './field-set.ts'
import {
  fieldElement,
  keyElement,
  type PathElement,
  printElement,
  valueElement,
} from './path-element.ts'
import { LIST, type ListDef, MAP, type MapDef, SCALAR, type TypeDef } from './type-def.ts'

/** A value does not fit its type. The message is upstream's list of errors. */
export class TypedError extends Error {
  override readonly name = 'TypedError'
}

/** Thrown for an item of an associative list that nothing identifies. */
export class ListItemError extends Error {
  override readonly name = 'ListItemError'
}

/** The kinds left once the value is seen: its own if the type takes it, else all of the type. */
export function deduceKinds(type: TypeDef, value: JsonValue | undefined): number {
  if (value === undefined || value === null) return type.kinds
  const kind = Array.isArray(value) ? LIST : typeof value === 'object' ? MAP : SCALAR
  return (type.kinds & kind) === 0 ? type.kinds : kind
}

/** The kind a mask is handled as: upstream looks for a map first, then a scalar, then a list. */
export function handledKind(kinds: number): number {
  return kinds & MAP || kinds & SCALAR || kinds & LIST
}

/** The type of a map's key; undefined where the schema knows no such field. */
export function childType(map: MapDef, key: string): TypeDef | undefined {
  return map.fields.get(key)?.type ?? map.element
}

/** What identifies an item of an associative list. Throws ListItemError when nothing does. */
export function listItemElement(list: ListDef, item: JsonValue | undefined): PathElement {
  if (list.keys.length > 0) return keyedElement(list, item)
  if (isObject(item)) {
    throw new ListItemError("associative list without keys has an element that's a map type")
  }
  if (Array.isArray(item)) {
    throw new ListItemError('not supported: associative list with lists as elements')
  }
  if (item === null || item === undefined) {
    throw new ListItemError("associative list without keys has an element that's an explicit null")
  }
  return valueElement(item)
}

function keyedElement(list: ListDef, item: JsonValue | undefined): PathElement {
  if (item === null || item === undefined) {
    throw new ListItemError('associative list with keys may not have a null element')
  }
  if (!isObject(item)) {
    throw new ListItemError('associative list with keys may not have non-map elements')
  }
  const fields: [string, JsonValue][] = []
  for (const key of list.keys) {
    const value = item[key] ?? (Object.hasOwn(item, key) ? null : undefined)
    const known = value === undefined ? list.element.map.fields.get(key)?.default : value
    if (known !== undefined) fields.push([key, known])
  }
  if (fields.length === 0) {
    const names = list.keys.map(key => JSON.stringify(key)).join(' ')
    throw new ListItemError(
      `associative list with keys has an element that omits all key fields [${names}] (and doesn't have default values for any key fields)`,
    )
  }
  return keyElement(fields)
}

/**
 * Checks that a value fits its type. Sets and list maps may hold equal items only with
 * `allowDuplicates`. Throws TypedError with upstream's text.
 */
export function validateTyped(
  value: JsonValue,
  type: TypeDef,
  { allowDuplicates }: { allowDuplicates: boolean },
): void {
  const errors: string[] = []
  new Validator(allowDuplicates, errors).validate(value, type, '')
  if (errors.length === 1) throw new TypedError(errors[0])
  if (errors.length > 1) throw new TypedError(`errors:\n${errors.map(it => `  ${it}`).join('\n')}`)
}

class Validator {
  readonly #allowDuplicates: boolean
  readonly #errors: string[]

  constructor(allowDuplicates: boolean, errors: string[]) {
    this.#allowDuplicates = allowDuplicates
    this.#errors = errors
  }

  validate(value: JsonValue, type: TypeDef, path: string): void {
    switch (handledKind(deduceKinds(type, value))) {
      case MAP:
        this.#map(value, type.map, path)
        return
      case LIST:
        this.#list(value, type.list, path)
        return
      default: {
        const message = scalarError(type, value)
        if (message !== undefined) this.#report(path, message)
      }
    }
  }

  #report(path: string, message: string): void {
    this.#errors.push(path === '' ? message : `${path}: ${message}`)
  }

  #map(value: JsonValue, map: MapDef, path: string): void {
    if (value === null) return
    if (!isObject(value)) {
      this.#report(path, `expected map, got &{${printGo(value)}}`)
      return
    }
    for (const key of Object.keys(value)) {
      const child = value[key]
      if (child === undefined) continue
      const type = childType(map, key)
      if (type === undefined) {
        this.#report(`${path}.${key}`, 'field not declared in schema')
        return
      }
      if (typeof child !== 'object' && scalarError(type, child) === undefined) continue
      this.validate(child, type, `${path}.${key}`)
    }
  }

  #list(value: JsonValue, list: ListDef, path: string): void {
    if (value === null) return
    if (!Array.isArray(value)) {
      this.#report(path, `expected list, got &{${printGo(value)}}`)
      return
    }
    const seen = new Set<PathElement>()
    for (const [i, item] of value.entries()) {
      let element = `i:${i}`
      if (!list.atomic) {
        try {
          element = listItemElement(list, item)
        } catch (error) {
          if (!(error instanceof ListItemError)) throw error
          this.#report(path, `element ${i}: ${error.message}`)
          return
        }
        if (seen.has(element) && !this.#allowDuplicates) {
          this.#report(path, `duplicate entries for key ${printElement(element)}`)
        }
        seen.add(element)
      }
      this.validate(item, list.element, path + printElement(element))
    }
  }
}

/** Why a value is no scalar of the type; undefined when it is one. Null is one of any kind. */
function scalarError(type: TypeDef, value: JsonValue): string | undefined {
  if ((type.kinds & SCALAR) === 0) return 'expected map or list'
  if (value === null) return undefined
  const kind = typeof value
  switch (type.scalar) {
    case 'numeric':
      if (isJsonNumber(value)) return undefined
      return `expected numeric (int or float), got ${goTypeName(value)}`
    case 'string':
      if (kind === 'string') return undefined
      return `expected string, got &value.valueUnstructured{Value:${printGoSyntax(value)}}`
    case 'boolean':
      return kind === 'boolean' ? undefined : `expected boolean, got &{${printGo(value)}}`
    default:
      return kind === 'object' ? `expected any scalar, got &{${printGo(value)}}` : undefined
  }
}

/** Every leaf and list item the value sets. The value must fit the type. */
export function toFieldSet(value: JsonValue, type: TypeDef): FieldSet {
  const set = new FieldSet()
  collect(value, type, [], set)
  return set
}

function collect(value: JsonValue, type: TypeDef, path: PathElement[], set: FieldSet): void {
  switch (handledKind(deduceKinds(type, value))) {
    case MAP:
      if (type.map.atomic) set.insert(path)
      else if (isObject(value)) collectMap(value, type.map, path, set)
      return
    case LIST:
      if (type.list.atomic) set.insert(path)
      else if (Array.isArray(value)) collectList(value, type.list, path, set)
      return
    default:
      set.insert(path)
  }
}

function collectMap(value: JsonObject, map: MapDef, path: PathElement[], set: FieldSet): void {
  for (const key of Object.keys(value)) {
    const child = value[key]
    const type = childType(map, key)
    if (child === undefined || type === undefined) continue
    path.push(fieldElement(key))
    collect(child, type, path, set)
    const empty = child === null || (isObject(child) && Object.keys(child).length === 0)
    if (empty || !map.fields.has(key)) set.insert(path)
    path.pop()
  }
}

function collectList(value: JsonValue[], list: ListDef, path: PathElement[], set: FieldSet): void {
  const counts = new Map<PathElement, number>()
  const elements = value.map(item => listItemElement(list, item))
  for (const element of elements) counts.set(element, (counts.get(element) ?? 0) + 1)
  for (const [i, element] of elements.entries()) {
    path.push(element)
    if (counts.get(element) === 1) collect(value[i] ?? null, list.element, path, set)
    set.insert(path)
    path.pop()
  }
}
