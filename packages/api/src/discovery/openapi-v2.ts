// The v3 description of schemas and paths, said in OpenAPI v2: what v2 has no words for is left out, and what would make
// older clients refuse fields that the server takes is left open. Called by openapi.ts.
// Ref: apiextensions-apiserver/pkg/controller/openapi/v2/conversion.go ToStructuralOpenAPIV2,
// kube-openapi/pkg/builder/openapi.go

import { isObject, type JsonObject, type JsonValue } from '@podless/apimachinery'

const DROPPED: ReadonlySet<string> = new Set([
  'anyOf',
  'allOf',
  'oneOf',
  'not',
  'nullable',
  'default',
])
const EMBEDDED = 'x-kubernetes-embedded-resource'
const PRESERVES = 'x-kubernetes-preserve-unknown-fields'
const KEPT_AT_OPEN_ROOT = [
  'x-kubernetes-group-version-kind',
  'x-kubernetes-selectable-fields',
] as const

/** The components of a v3 document as v2's definitions; new objects, as the given ones are shared. */
export function definitionsToV2(
  schemas: JsonObject,
  isCustom: (name: string) => boolean,
): JsonObject {
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [
      name,
      (isCustom(name) ? customToV2 : schemaToV2)(asObject(schema)),
    ]),
  )
}

/** A root that takes any field names none: kubectl would refuse all others. */
function customToV2(schema: JsonObject): JsonObject {
  if (schema[PRESERVES] !== true) return schemaToV2(schema)
  const out: JsonObject = { type: 'object' }
  for (const key of KEPT_AT_OPEN_ROOT) if (schema[key] !== undefined) out[key] = schema[key]
  return out
}

function schemaToV2(schema: JsonObject): JsonObject {
  const walk = (child: JsonValue): JsonValue => (isObject(child) ? schemaToV2(child) : child)
  const isOpen = schema.nullable === true || schema[PRESERVES] === true
  const out: JsonObject = { ...referenceOf(schema) }
  for (const [key, item] of Object.entries(schema)) {
    if (item === undefined || key === '$ref' || DROPPED.has(key)) continue
    if (isOpen && (key === 'items' || key === 'properties')) continue
    if (key === 'properties') out.properties = mapValues(asObject(item), walk)
    else out[key] = key === 'items' || key === 'additionalProperties' ? walk(item) : item
  }
  if (isUntyped(schema, out)) delete out.type
  if (takesText(schema)) out.type ??= 'string'
  trimRequired(schema, out)
  return out
}

/** A reference, alone or wrapped in an allOf of one, which v3 needs to say something beside it. */
function referenceOf(schema: JsonObject): JsonObject {
  const only = Array.isArray(schema.allOf) && schema.allOf.length === 1 ? schema.allOf[0] : schema
  const ref = isObject(only) ? only.$ref : undefined
  return typeof ref === 'string'
    ? { $ref: ref.replace('#/components/schemas/', '#/definitions/') }
    : {}
}

/** kubectl knows no null, no list without items, and no object that is open. */
function isUntyped(schema: JsonObject, out: JsonObject): boolean {
  if (schema.nullable === true) return true
  if (out.type === 'array') return out.items === undefined
  return out.type === 'object' && schema[PRESERVES] === true
}

/** Quantities and the like, which v3 calls one of several types, are text to v2. */
function takesText({ oneOf, format }: JsonObject): boolean {
  if (format === 'int-or-string') return true
  return Array.isArray(oneOf) && oneOf.some(item => isObject(item) && item.type === 'string')
}

/** Names of fields that may be null, or that an open object no longer describes, are not required. */
function trimRequired(schema: JsonObject, out: JsonObject): void {
  if (!Array.isArray(out.required)) return
  const { properties, additionalProperties } = schema
  const isNullable = (field: JsonValue | undefined): boolean =>
    isObject(field) && field.nullable === true
  const isOpenEmbedded = schema[PRESERVES] === true && schema[EMBEDDED] === true
  const fields = asObject(properties)
  const required = out.required.filter(
    name =>
      !isNullable(additionalProperties) &&
      !isNullable(fields[String(name)]) &&
      !(isOpenEmbedded && (name === 'kind' || name === 'apiVersion')),
  )
  if (required.length === 0) delete out.required
  else out.required = required
}

/** Paths with v2's parameters, bodies and answers. */
export function pathsToV2(paths: JsonObject): JsonObject {
  return mapValues(paths, path =>
    mapValues(asObject(path), (item, key) =>
      key === 'parameters' ? parametersToV2(item) : operationToV2(asObject(item)),
    ),
  )
}

function operationToV2(operation: JsonObject): JsonObject {
  const { requestBody, parameters, responses, ...rest } = operation
  const body = asObject(requestBody)
  const content = asObject(body.content)
  const [schema] = Object.values(content)
  const own = parametersToV2(parameters)
  const answers = mapValues(asObject(responses), answerToV2)
  const bodyParameter: JsonObject = {
    name: 'body',
    in: 'body',
    ...(body.required === true ? { required: true } : {}),
    schema: schemaToV2(asObject(asObject(schema).schema)),
  }
  const all = requestBody === undefined ? own : [bodyParameter, ...own]
  return {
    ...rest,
    consumes: requestBody === undefined ? ['*/*'] : Object.keys(content),
    produces: ['application/json', 'application/yaml'],
    schemes: ['https'],
    ...(all.length === 0 ? {} : { parameters: all }),
    responses: answers,
  }
}

function answerToV2(answer: JsonValue): JsonObject {
  const { content, ...rest } = asObject(answer)
  const [media] = Object.values(asObject(content))
  if (media === undefined) return rest
  return { ...rest, schema: schemaToV2(asObject(asObject(media).schema)) }
}

function parametersToV2(parameters: JsonValue | undefined): JsonObject[] {
  if (!Array.isArray(parameters)) return []
  return parameters.map(parameter => {
    const { schema, ...rest } = asObject(parameter)
    return { ...rest, ...asObject(schema) }
  })
}

const asObject = (value: JsonValue | undefined): JsonObject => (isObject(value) ? value : {})

function mapValues(
  object: JsonObject,
  change: (value: JsonValue, key: string) => JsonValue,
): JsonObject {
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [key, change(value ?? null, key)]),
  )
}
