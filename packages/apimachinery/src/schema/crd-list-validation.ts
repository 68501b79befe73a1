// What a CRD's schema may say about list and map types. Called by crd-schema-validation.ts.
// Ref: apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go

import {
  type FieldError,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
} from '../field-error.ts'
import type { JsonObject } from '../json.ts'
import { internalItems } from './crd-internal-form.ts'
import {
  defaultOf,
  flagOf,
  isSet,
  schemaMap,
  subSchema,
  subSchemas,
  textOf,
  textsOf,
} from './raw-schema.ts'

const LIST_TYPE = 'x-kubernetes-list-type'
const MAP_TYPE = 'x-kubernetes-map-type'
const MAP_KEYS = 'x-kubernetes-list-map-keys'

/** Everything wrong with one schema's x-kubernetes-map-type, -list-type and -list-map-keys. */
export function checkLists(schema: JsonObject, path: string): FieldError[] {
  const listType = textOf(schema, LIST_TYPE)
  const errors = [
    ...checkOwner(schema, MAP_TYPE, 'object', path),
    ...checkChoice(schema, MAP_TYPE, ['atomic', 'granular'], path),
    ...checkOwner(schema, LIST_TYPE, 'array', path),
  ]
  if (listType === 'set' && textOf(schema, 'type') === 'array') {
    errors.push(...checkSetItems(schema, path))
  }
  errors.push(...checkChoice(schema, LIST_TYPE, ['atomic', 'set', 'map'], path))
  if (textsOf(schema, MAP_KEYS).length > 0 && listType !== 'map') {
    const detail = 'must be map if x-kubernetes-list-map-keys is non-empty'
    const at = `${path}.${LIST_TYPE}`
    errors.push(
      isSet(schema, LIST_TYPE) ? invalidValue(at, listType, detail) : required(at, detail),
    )
  }
  if (listType === 'map') errors.push(...checkMapItems(schema, path))
  if (listType === 'map' || listType === 'set') errors.push(...checkNullable(schema, path))
  return errors
}

/** The field stands on values of one type only. */
function checkOwner(schema: JsonObject, key: string, owner: string, path: string): FieldError[] {
  const type = textOf(schema, 'type')
  if (!isSet(schema, key) || type === owner) return []
  const detail = `must be ${owner} if ${key} is specified`
  const at = `${path}.type`
  return [type === '' ? required(at, detail) : invalidValue(at, type, detail)]
}

function checkChoice(
  schema: JsonObject,
  key: string,
  choices: readonly string[],
  path: string,
): FieldError[] {
  const value = textOf(schema, key)
  if (!isSet(schema, key) || choices.includes(value)) return []
  return [notSupported(`${path}.${key}`, value, choices)]
}

/** Items of a set are compared whole, so they must be atomic. */
function checkSetItems(schema: JsonObject, path: string): FieldError[] {
  const items = subSchema(schema, 'items')
  if (items === undefined) return []
  const detail = 'must be atomic as item of a list with x-kubernetes-list-type=set'
  const value = isSet(items, LIST_TYPE) ? textOf(items, LIST_TYPE) : null
  const type = textOf(items, 'type')
  if (type === 'array' && value !== null && value !== 'atomic') {
    return [invalidValue(`${path}.items.${LIST_TYPE}`, value, detail)]
  }
  if (type === 'object' && textOf(items, MAP_TYPE) !== 'atomic') {
    return [invalidValue(`${path}.items.${MAP_TYPE}`, value, detail)]
  }
  return []
}

function checkMapItems(schema: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  const keys = textsOf(schema, MAP_KEYS)
  if (keys.length === 0) {
    const detail = 'must not be empty if x-kubernetes-list-type is map'
    errors.push(required(`${path}.${MAP_KEYS}`, detail))
  }
  if (!isSet(schema, 'items')) {
    const detail = 'must have a schema if x-kubernetes-list-type is map'
    errors.push(required(`${path}.items`, detail))
  } else if (subSchemas(schema, 'items').length > 0) {
    const detail = 'must only have a single schema if x-kubernetes-list-type is map'
    errors.push(invalidValue(`${path}.items`, internalItems(schema.items ?? null), detail))
  }
  const items = subSchema(schema, 'items')
  if (items === undefined) return errors
  const type = textOf(items, 'type')
  if (type !== 'object') {
    const detail = "must be object if parent array's x-kubernetes-list-type is map"
    return [...errors, invalidValue(`${path}.items.type`, type, detail)]
  }
  const properties = new Map(schemaMap(items, 'properties'))
  const at = `${path}.${MAP_KEYS}`
  for (const [i, key] of keys.entries()) {
    const property = properties.get(key)
    if (property === undefined) {
      errors.push(invalidValue(at, [...keys], 'entries must all be names of item properties'))
    } else if (['array', 'object'].includes(textOf(property, 'type'))) {
      const detail = "must be a scalar type if parent array's x-kubernetes-list-type is map"
      errors.push(invalidValue(`${path}.items.properties[${key}].type`, type, detail))
    }
    if (keys.indexOf(key) < i) {
      errors.push(invalidValue(at, [...keys], 'must not contain duplicate entries'))
    }
  }
  return errors
}

/** Items and keys must always have a value to be compared by. */
function checkNullable(schema: JsonObject, path: string): FieldError[] {
  const items = subSchema(schema, 'items')
  if (items === undefined) return []
  const errors: FieldError[] = []
  const listType = textOf(schema, LIST_TYPE)
  if (flagOf(items, 'nullable')) {
    const detail = `cannot be nullable when x-kubernetes-list-type is ${listType}`
    errors.push(forbiddenField(`${path}.items.nullable`, detail))
  }
  if (listType !== 'map') return errors
  const properties = new Map(schemaMap(items, 'properties'))
  const needed = new Set(textsOf(items, 'required'))
  for (const key of textsOf(schema, MAP_KEYS)) {
    const property = properties.get(key)
    if (property === undefined) continue
    const at = `${path}.items.properties[${key}]`
    if (!needed.has(key) && defaultOf(property) === undefined) {
      const detail =
        'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property'
      errors.push(required(`${at}.default`, detail))
    }
    if (flagOf(property, 'nullable')) {
      const detail = 'this property is in x-kubernetes-list-map-keys, so it cannot be nullable'
      errors.push(forbiddenField(`${at}.nullable`, detail))
    }
  }
  return errors
}
