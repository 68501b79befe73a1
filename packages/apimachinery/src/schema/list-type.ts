// Lists that stand for sets and maps must not repeat an item or key. Called by custom-resource.ts.
// Ref: apiextensions-apiserver/pkg/apiserver/schema/listtype/validation.go

import { duplicate, type FieldError, invalidValue } from '../field-error.ts'
import { isObject, type JsonObject, type JsonValue, setOwn } from '../json.ts'
import type { SchemaNode } from './node.ts'
import { sortedText, sortKeys } from './sorted-json.ts'

/** One error per item or key that repeats an earlier one; a third and later repetition is not reported again. */
export function validateListTypes(node: SchemaNode, value: JsonValue, path = ''): FieldError[] {
  const errors: FieldError[] = []
  check(node, value, path, errors)
  return errors
}

function check(
  node: SchemaNode | undefined,
  value: JsonValue | undefined,
  path: string,
  errors: FieldError[],
): void {
  if (node === undefined) return
  if (Array.isArray(value)) {
    if (node.listType === 'set') checkUnique(value, value, path, errors)
    if (node.listType === 'map') checkKeys(node.listMapKeys ?? [], value, path, errors)
    if (node.items?.items ?? node.items?.properties ?? node.items?.additionalProperties) {
      for (const [i, item] of value.entries()) check(node.items, item, `${path}[${i}]`, errors)
    }
  } else if (isObject(value)) {
    for (const key of Object.keys(value)) {
      const property = node.properties?.get(key)
      if (property !== undefined) {
        check(property, value[key], path === '' ? key : `${path}.${key}`, errors)
      } else check(node.additionalProperties, value[key], `${path}[${key}]`, errors)
    }
  }
}

function checkKeys(
  keys: readonly string[],
  items: readonly JsonValue[],
  path: string,
  errors: FieldError[],
): void {
  const stray = items.findIndex(item => item !== null && !isObject(item))
  if (stray >= 0) {
    const detail = 'must be an object for an array of list-type map'
    errors.push(invalidValue(`${path}[${stray}]`, sortKeys(items[stray] ?? null), detail))
    return
  }
  const keysOf = (item: JsonValue): JsonObject => {
    const found: JsonObject = {}
    for (const key of isObject(item) ? [...keys].sort() : []) {
      if (isObject(item) && Object.hasOwn(item, key)) setOwn(found, key, item[key])
    }
    return found
  }
  const present = items.map(keysOf)
  checkUnique(present, present, path, errors)
}

function checkUnique(
  items: readonly JsonValue[],
  shown: readonly JsonValue[],
  path: string,
  errors: FieldError[],
): void {
  const seen = new Map<string, number>()
  for (const [i, item] of items.entries()) {
    const key = sortedText(item)
    const times = seen.get(key) ?? 0
    seen.set(key, times + 1)
    if (times === 1) errors.push(duplicate(`${path}[${i}]`, sortKeys(shown[i] ?? null)))
  }
}
