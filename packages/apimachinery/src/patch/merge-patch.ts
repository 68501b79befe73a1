// JSON Merge Patch (RFC 7386) as evanphx/json-patch v4 does it. Called by the patch verb; calls
// json.ts and status.ts. Ref: gopkg.in/evanphx/json-patch.v4@v4.13.0/merge.go,
// apiserver/pkg/endpoints/handlers/patch.go

import { isObject, type JsonObject, type JsonValue, setOwn } from '../json.ts'
import { badRequest } from '../status.ts'
import { goJsonType } from './go-json-type.ts'

/**
 * The document with the patch merged in. Neither argument is touched; the result shares their
 * unchanged parts. `strict` is true under fieldValidation Warn and Strict, where upstream takes
 * only objects. Throws StatusError 400 for a patch that is neither an object nor (without strict)
 * an array.
 */
export function applyMergePatch(
  doc: JsonValue,
  patch: JsonValue,
  { strict }: { strict: boolean },
): JsonValue {
  if (strict && patch !== null && !isObject(patch)) {
    const target = 'value of type map[string]interface {}'
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${goJsonType(patch)} into Go ${target}`,
    )
  }
  if (patch === null || typeof patch !== 'object') throw badRequest('Invalid JSON Patch')
  if (!isObject(patch) || !isObject(doc)) return withoutNulls(patch)
  return mergeObjects(doc, patch)
}

function mergeObjects(doc: JsonObject, patch: JsonObject): JsonObject {
  const merged: JsonObject = {}
  for (const key of Object.keys(doc)) {
    if (!Object.hasOwn(patch, key)) setOwn(merged, key, doc[key])
    else if (patch[key] !== null) setOwn(merged, key, mergeValue(doc[key], patch[key]))
  }
  for (const key of Object.keys(patch)) {
    const value = patch[key]
    if (Object.hasOwn(doc, key) || value === null || value === undefined) continue
    setOwn(merged, key, withoutNulls(value))
  }
  return merged
}

/**
 * Over an object, an array or scalar lands as it is; anywhere else it loses the nulls of its
 * objects.
 */
function mergeValue(current: JsonValue | undefined, patch: JsonValue | undefined): JsonValue {
  if (patch === undefined) return null
  if (!isObject(current)) return withoutNulls(patch)
  return isObject(patch) ? mergeObjects(current, patch) : patch
}

/** Drops the null members of objects at any depth. Null elements of arrays stay. */
function withoutNulls(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (!isObject(value)) return value
  const kept: JsonObject = {}
  for (const key of Object.keys(value)) {
    const member = value[key]
    if (member !== null && member !== undefined) setOwn(kept, key, withoutNulls(member))
  }
  return kept
}
