// The metadata of custom resources and of objects embedded in them: kept to ObjectMeta's fields and types as Go's
// decoder would, and validated. Called by custom-resource.ts and the checks of defaults; calls decode-object-meta.ts.
// Ref: apiextensions-apiserver/pkg/apiserver/schema/objectmeta/{algorithm,coerce,validation}.go

import { type FieldError, fieldErrorBody, invalidValue, required } from '../field-error.ts'
import { parseApiVersion } from '../gvk.ts'
import { isObject, type JsonObject, type JsonValue } from '../json.ts'
import type { ObjectMeta } from '../meta.ts'
import { isDns1035Label, nameIsPathSegment } from '../names.ts'
import { validateObjectMeta } from '../object-meta.ts'
import { decodeObjectMeta } from './decode-object-meta.ts'
import type { SchemaNode } from './node.ts'
import { sortKeys } from './sorted-json.ts'

export interface CoercedMetadata {
  /** Paths of metadata fields that do not exist and were dropped. */
  readonly unknown: readonly string[]
  /** Why the object can not be decoded: upstream's text, for a 400. */
  readonly error?: string
}

/** Brings the metadata of the object itself into its stored form, in place. */
export function coerceRootMetadata(object: JsonObject): CoercedMetadata {
  if (object.metadata === undefined) return { unknown: [] }
  const decoded = decodeObjectMeta(object.metadata)
  if ('error' in decoded) return { unknown: [], error: decoded.error }
  object.metadata = decoded.metadata
  return { unknown: decoded.unknown.map(path => `metadata.${path}`) }
}

/**
 * Does the same to every x-kubernetes-embedded-resource in `value`. `self` treats `value` itself as one; errors name
 * paths under `path`.
 */
export function coerceEmbeddedMetadata(
  value: JsonValue,
  node: SchemaNode,
  options: { readonly path?: string } = {},
): CoercedMetadata & { readonly failure?: FieldError } {
  const unknown: string[] = []
  const failure = coerce(value, node, options.path ?? '', unknown)
  if (failure === undefined) return { unknown: unknown.sort() }
  return { unknown: [], failure, error: `${failure.field}: ${fieldErrorBody(failure)}` }
}

function coerce(
  value: JsonValue | undefined,
  node: SchemaNode | undefined,
  path: string,
  unknown: string[],
): FieldError | undefined {
  if (node === undefined) return undefined
  if (Array.isArray(value)) {
    return firstError(value.entries(), ([i, item]) =>
      coerce(item, node.items, `${path}[${i}]`, unknown),
    )
  }
  if (!isObject(value)) return undefined
  return firstError(Object.keys(value), key => {
    const own = node.embeddedResource ? coerceMetaField(value, key, path, unknown) : undefined
    if (own !== undefined) return own
    const property = node.properties?.get(key)
    const childPath = property === undefined ? `${path}[${key}]` : join(path, key)
    return coerce(value[key], property ?? node.additionalProperties, childPath, unknown)
  })
}

function coerceMetaField(
  value: JsonObject,
  key: string,
  path: string,
  unknown: string[],
): FieldError | undefined {
  const field = join(path, key)
  const sent = value[key]
  if (key === 'apiVersion' || key === 'kind') {
    return typeof sent === 'string'
      ? undefined
      : invalidValue(field, sortKeys(sent ?? null), 'must be a string')
  }
  if (key !== 'metadata' || sent === undefined) return undefined
  const decoded = decodeObjectMeta(sent)
  if ('error' in decoded) return invalidValue(field, sortKeys(sent), decoded.error)
  value.metadata = decoded.metadata
  unknown.push(...decoded.unknown.map(inner => `${field}.${inner}`))
  return undefined
}

/** Checks apiVersion, kind and metadata of every embedded resource in `value`. */
export function validateEmbeddedResources(
  value: JsonValue | undefined,
  node: SchemaNode | undefined,
  path = '',
): FieldError[] {
  if (node === undefined) return []
  if (Array.isArray(value)) {
    return value.flatMap((item, i) => validateEmbeddedResources(item, node.items, `${path}[${i}]`))
  }
  if (!isObject(value)) return []
  const errors = node.embeddedResource ? validateEmbedded(value, path) : []
  for (const key of Object.keys(value)) {
    const property = node.properties?.get(key)
    const childPath = property === undefined ? `${path}[${key}]` : join(path, key)
    errors.push(
      ...validateEmbeddedResources(value[key], property ?? node.additionalProperties, childPath),
    )
  }
  return errors
}

function validateEmbedded(value: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const key of ['apiVersion', 'kind'] as const) {
    const field = join(path, key)
    const text = value[key]
    if (text === undefined) errors.push(required(field))
    else if (typeof text !== 'string')
      errors.push(invalidValue(field, sortKeys(text), 'must be a string'))
    else if (text === '') errors.push(invalidValue(field, text, 'must not be empty'))
    else errors.push(...TYPE_META_RULES[key](text).map(why => invalidValue(field, text, why)))
  }
  if (value.metadata === undefined) return errors
  const field = join(path, 'metadata')
  const decoded = decodeObjectMeta(value.metadata)
  if ('error' in decoded)
    return [...errors, invalidValue(field, sortKeys(value.metadata), decoded.error)]
  const meta: ObjectMeta = { ...decoded.metadata }
  // An embedded object need not have a name, nor say whether its kind has namespaces.
  if (meta.name === undefined) meta.name = 'unnamed'
  const namespaced = (meta.namespace ?? '') !== ''
  return [
    ...errors,
    ...validateObjectMeta(meta, { namespaced, validateName: nameIsPathSegment, path: field }),
  ]
}

const TYPE_META_RULES = {
  apiVersion: (text: string): string[] =>
    parseApiVersion(text) === undefined ? [`unexpected GroupVersion string: ${text}`] : [],
  kind: (text: string): string[] => {
    const sentences = isDns1035Label(text.toLowerCase())
    if (sentences.length === 0) return []
    return [`may have mixed case, but should otherwise match: ${sentences.join(',')}`]
  },
}

function firstError<T>(
  items: Iterable<T>,
  check: (item: T) => FieldError | undefined,
): FieldError | undefined {
  for (const item of items) {
    const error = check(item)
    if (error !== undefined) return error
  }
  return undefined
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)
