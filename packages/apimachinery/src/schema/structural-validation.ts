// Decides whether an OpenAPI schema is structural: what a CRD's schema must be so that objects can be pruned and
// defaulted. Called by the CRD checks; reads schemas by raw-schema.ts.
// Ref: apiextensions-apiserver/pkg/apiserver/schema/{validation,complete,convert}.go

import { RE2JS } from 're2js'
import {
  type FieldError,
  forbiddenField,
  formatFieldError,
  invalidValue,
  required,
} from '../field-error.ts'
import type { JsonObject, JsonValue } from '../json.ts'
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

type Level = 'root' | 'item' | 'field'

/** Why the schema can not even be read as structural; undefined when it can. */
export function unsupportedReason(schema: JsonObject): string | undefined {
  for (const key of ['id', '$schema', '$ref']) {
    const name = key === '$schema' ? 'schema' : key
    if (textOf(schema, key) !== '') return `OpenAPIV3Schema '${name}' is not supported`
  }
  for (const key of ['patternProperties', 'dependencies', 'definitions']) {
    if (schemaMap(schema, key).length > 0) return `OpenAPIV3Schema '${key}' is not supported`
  }
  if (isSet(schema, 'additionalItems')) {
    return "OpenAPIV3Schema 'additionalItems' is not supported"
  }
  if (schema['x-kubernetes-preserve-unknown-fields'] === false) {
    return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined"
  }
  if (subSchemas(schema, 'items').length > 0) {
    return "OpenAPIV3Schema 'items' must be a schema, but is an array"
  }
  for (const child of childrenOf(schema)) {
    const reason = unsupportedReason(child)
    if (reason !== undefined) return reason
  }
  return undefined
}

function* childrenOf(schema: JsonObject): Generator<JsonObject> {
  for (const key of ['not', 'items', 'additionalProperties']) {
    const child = subSchema(schema, key)
    if (child !== undefined) yield child
  }
  for (const key of ['allOf', 'anyOf', 'oneOf']) yield* subSchemas(schema, key)
  for (const [, child] of schemaMap(schema, 'properties')) yield child
}

/** Everything that keeps the schema from being structural, sorted by text. */
export function validateStructural(schema: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  checkInvariants(schema, 'root', path, errors)
  checkClauses(schema, schema, path, path, errors)
  const texts = new Map(errors.map(error => [error, formatFieldError(error)]))
  return errors.sort((a, b) => (texts.get(a)! < texts.get(b)! ? -1 : 1))
}

const EMPTY_TYPE: Readonly<Record<Level, string>> = {
  root: 'must not be empty at the root',
  item: 'must not be empty for specified array items',
  field: 'must not be empty for specified object fields',
}

function checkInvariants(s: JsonObject, level: Level, path: string, errors: FieldError[]): void {
  const items = subSchema(s, 'items')
  const type = textOf(s, 'type')
  if (type === 'array' && items === undefined) {
    errors.push(required(`${path}.items`, 'must be specified'))
  }
  if (items !== undefined) checkInvariants(items, 'item', `${path}.items`, errors)
  for (const [name, property] of schemaMap(s, 'properties')) {
    checkInvariants(property, 'field', `${path}.properties[${name}]`, errors)
  }
  if (isSet(s, 'additionalProperties')) {
    const at = `${path}.additionalProperties`
    if (level === 'root') errors.push(forbiddenField(at, 'must not be used at the root'))
    const additional = subSchema(s, 'additionalProperties')
    if (additional !== undefined) checkInvariants(additional, 'field', at, errors)
  }
  checkIntOrString(s, path, errors)
  const first = subSchemas(s, 'allOf')[0]
  checkValueValidation(s, path, errors, {
    anyOf: isIntOrStringChoice(s),
    firstAllOf: first !== undefined && isIntOrStringChoice(first),
  })
  checkType(s, type, level, path, errors)
  checkMetadata(s, level, path, errors)
}

function checkIntOrString(s: JsonObject, path: string, errors: FieldError[]): void {
  if (!flagOf(s, 'x-kubernetes-int-or-string')) return
  for (const key of ['x-kubernetes-preserve-unknown-fields', 'x-kubernetes-embedded-resource']) {
    if (!flagOf(s, key)) continue
    const detail = 'must be false if x-kubernetes-int-or-string is true'
    errors.push(invalidValue(`${path}.${key}`, true, detail))
  }
}

function checkType(
  s: JsonObject,
  type: string,
  level: Level,
  path: string,
  errors: FieldError[],
): void {
  const embedded = flagOf(s, 'x-kubernetes-embedded-resource')
  const open = flagOf(s, 'x-kubernetes-preserve-unknown-fields')
  if (embedded && type !== 'object') {
    const detail = 'must be object if x-kubernetes-embedded-resource is true'
    const at = `${path}.type`
    errors.push(type === '' ? required(at, detail) : invalidValue(at, type, detail))
  } else if (type === '' && !flagOf(s, 'x-kubernetes-int-or-string') && !open) {
    errors.push(required(`${path}.type`, EMPTY_TYPE[level]))
  }
  if (embedded && isSet(s, 'additionalProperties')) {
    const detail = 'must not be used if x-kubernetes-embedded-resource is set'
    errors.push(forbiddenField(`${path}.additionalProperties`, detail))
  }
  if (level === 'root' && type !== '' && type !== 'object') {
    errors.push(invalidValue(`${path}.type`, type, 'must be object at the root'))
  }
  if (embedded && !open && schemaMap(s, 'properties').length === 0) {
    const detail =
      'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields'
    errors.push(required(`${path}.properties`, detail))
  }
}

/** Where an object's own apiVersion, kind and metadata stand, a schema may hardly say anything about them. */
function checkMetadata(s: JsonObject, level: Level, path: string, errors: FieldError[]): void {
  const properties = new Map(schemaMap(s, 'properties'))
  const metadata = properties.get('metadata')
  if (level === 'root' || flagOf(s, 'x-kubernetes-embedded-resource')) {
    for (const name of ['kind', 'apiVersion']) {
      const property = properties.get(name)
      if (property === undefined || textOf(property, 'type') === 'string') continue
      const at = `${path}.properties[${name}].type`
      errors.push(invalidValue(at, textOf(property, 'type'), 'must be string'))
    }
    if (metadata !== undefined && textOf(metadata, 'type') !== 'object') {
      const at = `${path}.properties[metadata].type`
      errors.push(invalidValue(at, textOf(metadata, 'type'), 'must be object'))
    }
  }
  if (level === 'root' && metadata !== undefined && restrictsMetadata(metadata)) {
    const detail =
      'must not specify anything other than name and generateName, but metadata is implicitly specified'
    errors.push(forbiddenField(`${path}.properties[metadata]`, detail))
  }
}

const METADATA_NAMES: ReadonlySet<string> = new Set(['name', 'generateName'])

function restrictsMetadata(metadata: JsonObject): boolean {
  return Object.keys(metadata).some(key => {
    if (key === 'type' || key === 'default' || isZero(metadata[key])) return false
    if (key !== 'properties') return true
    return schemaMap(metadata, key).some(([name]) => !METADATA_NAMES.has(name))
  })
}

/** Go's unset: numbers are pointers and so never zero here. */
function isZero(value: JsonValue | undefined): boolean {
  if (value === undefined || value === null || value === false || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

/** `anyOf: [{type: integer}, {type: string}]`, the one place where a junctor may name types. */
function isIntOrStringChoice(s: JsonObject): boolean {
  const clauses = subSchemas(s, 'anyOf')
  const types = ['integer', 'string']
  return (
    clauses.length === 2 &&
    clauses.every((clause, i) =>
      Object.keys(clause).every(key => isZero(clause[key]) || clause[key] === types[i]),
    ) &&
    clauses.every((clause, i) => clause.type === types[i])
  )
}

function checkValueValidation(
  v: JsonObject,
  path: string,
  errors: FieldError[],
  skip: { anyOf?: boolean; firstAllOf?: boolean } = {},
): void {
  const junctor = (key: string, skipAnyOf: (index: number) => boolean): void => {
    for (const [i, clause] of subSchemas(v, key).entries()) {
      checkNested(clause, `${path}.${key}[${i}]`, errors, skipAnyOf(i))
    }
  }
  if (!skip.anyOf) junctor('anyOf', () => false)
  junctor('allOf', i => i === 0 && skip.firstAllOf === true)
  junctor('oneOf', () => false)
  const not = subSchema(v, 'not')
  if (not !== undefined) checkNested(not, `${path}.not`, errors, false)
  const pattern = textOf(v, 'pattern')
  const why = pattern === '' ? undefined : patternError(pattern)
  if (why !== undefined) {
    const detail = `must be a valid regular expression, but isn't: ${why}`
    errors.push(invalidValue(`${path}.pattern`, pattern, detail))
  }
}

function patternError(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

// What a junctor's clause must leave out, with the sentence for each: structure belongs outside of it.
const NESTED_FORBIDDEN: readonly [string, string][] = [
  ['type', 'must be empty to be structural'],
  ['additionalProperties', 'must be undefined to be structural'],
  ['default', 'must be undefined to be structural'],
  ['title', 'must be empty to be structural'],
  ['description', 'must be empty to be structural'],
  ['nullable', 'must be false to be structural'],
  ['x-kubernetes-preserve-unknown-fields', 'must be false to be structural'],
  ['x-kubernetes-embedded-resource', 'must be false to be structural'],
  ['x-kubernetes-int-or-string', 'must be false to be structural'],
  ['x-kubernetes-list-map-keys', 'must be empty to be structural'],
  ['x-kubernetes-list-type', 'must be undefined to be structural'],
  ['x-kubernetes-map-type', 'must be undefined to be structural'],
  ['x-kubernetes-validations', 'must be empty to be structural'],
]

function checkNested(v: JsonObject, path: string, errors: FieldError[], skipAnyOf: boolean): void {
  checkValueValidation(v, path, errors, { anyOf: skipAnyOf })
  const items = subSchema(v, 'items')
  if (items !== undefined) checkNested(items, `${path}.items`, errors, false)
  for (const [name, property] of schemaMap(v, 'properties')) {
    checkNested(property, `${path}.properties[${name}]`, errors, false)
    if (name === 'metadata') {
      const detail = 'must not be specified in a nested context'
      errors.push(forbiddenField(`${path}.properties[metadata]`, detail))
    }
  }
  for (const [key, detail] of NESTED_FORBIDDEN) {
    if (isForbiddenInClause(v, key)) errors.push(forbiddenField(`${path}.${key}`, detail))
  }
}

function isForbiddenInClause(v: JsonObject, key: string): boolean {
  switch (key) {
    case 'default':
      return defaultOf(v) !== undefined
    case 'additionalProperties':
      return subSchema(v, key) !== undefined || flagOf(v, key)
    case 'x-kubernetes-list-map-keys':
      return textsOf(v, key).length > 0
    default:
      return !isZero(v[key])
  }
}

/** Every field and item that a clause looks at must also be specified outside of it. */
function checkClauses(
  v: JsonObject,
  s: JsonObject,
  sPath: string,
  vPath: string,
  errors: FieldError[],
): void {
  const not = subSchema(v, 'not')
  if (not !== undefined) checkComplete(not, s, sPath, `${vPath}.not`, errors)
  for (const key of ['allOf', 'anyOf', 'oneOf']) {
    for (const [i, clause] of subSchemas(v, key).entries()) {
      checkComplete(clause, s, sPath, `${vPath}.${key}[${i}]`, errors)
    }
  }
}

function checkComplete(
  v: JsonObject,
  s: JsonObject | undefined,
  sPath: string,
  vPath: string,
  errors: FieldError[],
): void {
  if (s === undefined) {
    errors.push(required(sPath, `because it is defined in ${vPath}`))
    return
  }
  checkClauses(v, s, sPath, vPath, errors)
  const items = subSchema(v, 'items')
  if (items !== undefined) {
    checkComplete(items, subSchema(s, 'items'), `${sPath}.items`, `${vPath}.items`, errors)
  }
  const specified = new Map(schemaMap(s, 'properties'))
  for (const [name, property] of schemaMap(v, 'properties')) {
    const at = `properties[${name}]`
    checkComplete(property, specified.get(name), `${sPath}.${at}`, `${vPath}.${at}`, errors)
  }
}
