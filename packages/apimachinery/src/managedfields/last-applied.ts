// The annotation of kubectl's client-side apply: what it allows a server-side apply to take over,
// and keeping it current. Called by apply.ts; calls typed.ts. Ref:
// apimachinery/pkg/util/managedfields/internal/lastapplied{,manager,updater}.go

import { parseExact } from '../int64.ts'
import { isObject, type JsonObject, type JsonValue } from '../json.ts'
import { compareTyped } from './compare.ts'
import type { FieldSet } from './field-set.ts'
import { compareText } from './path-element.ts'
import type { TypeDef } from './type-def.ts'
import { ListItemError, TypedError, toFieldSet, validateTyped } from './typed.ts'
import { metadataOf } from './update.ts'

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'
/**
 * All annotations of an object together. Ref: apimachinery/pkg/api/validation/objectmeta.go
 * TotalAnnotationSizeLimitB
 */
const ANNOTATION_BYTES_MAX = 256 * 1024

/**
 * The fields the last client-side apply wrote and nobody changed since; undefined when it left no
 * usable trace.
 */
export function allowedByLastApplied(
  live: JsonObject,
  type: TypeDef,
  apiVersion: string,
): FieldSet | undefined {
  const text = metadataOf(live).annotations?.[LAST_APPLIED]
  if (text === undefined || text === '') return undefined
  try {
    const applied = parseExact(text)
    if (!isObject(applied) || applied.apiVersion !== apiVersion) return undefined
    validateTyped(live, type, { allowDuplicates: false })
    validateTyped(applied, type, { allowDuplicates: false })
    const { modified, added, removed } = compareTyped(applied, live, type)
    return toFieldSet(applied, type).difference(modified).difference(added).difference(removed)
  } catch (error) {
    const isUnusable =
      error instanceof SyntaxError || error instanceof TypedError || error instanceof ListItemError
    if (isUnusable) return undefined
    throw error
  }
}

/**
 * The object with an annotation it has brought up to what is applied now, or dropped where that is
 * too large.
 */
export function syncLastApplied(object: JsonObject, applied: JsonObject): JsonObject {
  const metadata = metadataOf(object)
  const { [LAST_APPLIED]: last, ...others } = metadata.annotations ?? {}
  if (last === undefined || last === '') return object
  const annotations = { ...others, [LAST_APPLIED]: lastAppliedText(applied) }
  const isTooLarge = annotationBytes(annotations) > ANNOTATION_BYTES_MAX
  return {
    ...object,
    metadata: { ...metadata, annotations: isTooLarge ? others : annotations },
  }
}

function annotationBytes(annotations: Record<string, string>): number {
  return Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  )
}

function lastAppliedText(applied: JsonObject): string {
  const { annotations, ...metadata } = metadataOf(applied)
  const { [LAST_APPLIED]: _, ...others } = annotations ?? {}
  const rest = Object.keys(others).length === 0 ? {} : { annotations: others }
  return `${JSON.stringify(sortKeys({ ...applied, metadata: { ...metadata, ...rest } }))}\n`
}

function sortKeys(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (!isObject(value)) return value
  const sorted = Object.keys(value).sort(compareText)
  return Object.fromEntries(sorted.map(key => [key, sortKeys(value[key] ?? null)]))
}
