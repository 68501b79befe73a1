// Reads one level of an OpenAPI v3 schema as a CRD spells it (JSONSchemaProps), with Go's idea of what counts as unset:
// null and a value of the wrong type are absent. Called by structural.ts and the CRD checks; calls nothing.

import { isJsonNumber } from '../int64.ts'
import { isObject, type JsonObject, type JsonValue } from '../json.ts'

/** A sub-schema, or undefined when there is none. */
export function subSchema(schema: JsonObject, key: string): JsonObject | undefined {
  const value = schema[key]
  return isObject(value) ? value : undefined
}

/** The sub-schemas of allOf, anyOf and oneOf. */
export function subSchemas(schema: JsonObject, key: string): readonly JsonObject[] {
  const value = schema[key]
  return Array.isArray(value) ? value.filter(isObject) : []
}

/** Name and schema of each entry of `properties` and its like. */
export function schemaMap(schema: JsonObject, key: string): readonly [string, JsonObject][] {
  const value = schema[key]
  if (!isObject(value)) return []
  return Object.entries(value).map(([name, sub]) => [name, isObject(sub) ? sub : {}])
}

export function textOf(schema: JsonObject, key: string): string {
  const value = schema[key]
  return typeof value === 'string' ? value : ''
}

export function numberOf(schema: JsonObject, key: string): number | undefined {
  const value = schema[key]
  return isJsonNumber(value) ? Number(value) : undefined
}

export function flagOf(schema: JsonObject, key: string): boolean {
  return schema[key] === true
}

export function textsOf(schema: JsonObject, key: string): readonly string[] {
  const value = schema[key]
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
}

/** `default`, where a literal null means that there is none. */
export function defaultOf(schema: JsonObject): JsonValue | undefined {
  return schema.default === null ? undefined : schema.default
}

/** True when the key holds anything but null. */
export function isSet(schema: JsonObject, key: string): boolean {
  return schema[key] !== undefined && schema[key] !== null
}

/** Every schema in and under `schema`, junctors and unsupported places included, itself first. */
export function* walkSchema(schema: JsonObject): Generator<JsonObject> {
  yield schema
  for (const key of ['items', 'not', 'additionalProperties', 'additionalItems']) {
    const sub = subSchema(schema, key)
    if (sub !== undefined) yield* walkSchema(sub)
  }
  for (const key of ['items', 'allOf', 'anyOf', 'oneOf']) {
    for (const sub of subSchemas(schema, key)) yield* walkSchema(sub)
  }
  for (const key of ['properties', 'patternProperties', 'definitions', 'dependencies']) {
    for (const [, sub] of schemaMap(schema, key)) yield* walkSchema(sub)
  }
}
