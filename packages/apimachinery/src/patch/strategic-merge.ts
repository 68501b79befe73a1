// Strategic merge patch of built-in kinds, driven by the schema's patchStrategy and patchMergeKey.
// Called by the patch verb; strategic-list.ts merges and orders the lists.
// Ref: apimachinery/pkg/util/strategicpatch, apiserver/pkg/endpoints/handlers/patch.go

import { goTypeName, printGo } from '../go-value.ts'
import { cloneJson, isObject, type JsonObject, type JsonValue, setOwn } from '../json.ts'
import type { SchemaNode } from '../schema/node.ts'
import { badRequest, failure, type StatusError } from '../status.ts'
import { goJsonType } from './go-json-type.ts'
import { PatchError, type PatchErrorCode } from './patch-error.ts'
import {
  badArgument,
  DELETE_LIST_FORMAT,
  DIRECTIVE,
  deleteScalars,
  elementKind,
  matchesOrder,
  mergeKeyed,
  mergeScalars,
  orderList,
  SET_ORDER_FORMAT,
  splitSpecial,
} from './strategic-list.ts'

const RETAIN_KEYS = '$retainKeys'
const DELETE_LIST = '$deleteFromPrimitiveList'
const SET_ORDER = '$setElementOrder'
const RETAIN_KEYS_FORMAT = 'invalid patch format of retainKeys'

/**
 * Inner errors a client gets as a 400 or a 422; every other one is a 500. Ref:
 * interpretStrategicMergePatchError
 */
const CODES: Partial<Record<PatchErrorCode, 400 | 422>> = { badFormat: 400, listOfLists: 422 }

/**
 * The document with the patch merged in. Neither argument is touched. Throws StatusError, its cause
 * a PatchError: 400 for a malformed directive, 422 for lists of lists, 500 for a patch that does
 * not fit the schema, as kube-apiserver does.
 */
export function applyStrategicMergePatch(
  doc: JsonObject,
  patch: JsonValue,
  schema: SchemaNode,
): JsonObject {
  if (patch === null) return doc
  if (!isObject(patch)) {
    const target = 'Go value of type map[string]interface {}'
    throw badRequest(`json: cannot unmarshal ${goJsonType(patch)} into ${target}`)
  }
  try {
    return mergeMap(cloneJson(doc), cloneJson(patch), schema)
  } catch (error) {
    if (error instanceof PatchError) throw statusOf(error)
    throw error
  }
}

function statusOf(error: PatchError): StatusError {
  const { message } = error
  switch (CODES[error.code]) {
    case 400:
      return failure({ code: 400, reason: 'BadRequest', message, cause: error })
    case 422: {
      const text = 'the server rejected our request due to an error in our request'
      return failure({ code: 422, reason: 'Invalid', message: text, details: {}, cause: error })
    }
    default:
      return failure({ code: 500, message, cause: error })
  }
}

/** Merges `patch` into `original`; both are the caller's to spend. */
function mergeMap(
  original: JsonObject,
  patch: JsonObject,
  schema: SchemaNode | undefined,
): JsonObject {
  if (Object.hasOwn(patch, DIRECTIVE)) return followDirective(patch)
  retainKeys(original, patch)
  mergeOrderedLists(original, patch, schema)
  for (const key of Object.keys(patch)) mergeMember(original, key, patch[key] ?? null, schema)
  return original
}

function followDirective(patch: JsonObject): JsonObject {
  const { [DIRECTIVE]: directive, ...rest } = patch
  if (directive === 'replace') return rest
  if (directive === 'delete') return {}
  throw unknownDirective(directive, patch)
}

function unknownDirective(directive: JsonValue | undefined, patch: JsonObject): PatchError {
  const message = `unknown patch type: ${printGo(directive)} in map: ${printGo(patch)}`
  return new PatchError('unknownDirective', message)
}

/**
 * $retainKeys lists the only keys that may be left, and every key the patch sets must be among
 * them.
 */
function retainKeys(original: JsonObject, patch: JsonObject): void {
  if (!Object.hasOwn(patch, RETAIN_KEYS)) return
  const list = patch[RETAIN_KEYS]
  delete patch[RETAIN_KEYS]
  if (!Array.isArray(list)) throw new PatchError('badFormat', RETAIN_KEYS_FORMAT)
  const retained = new Set<JsonValue>(list)
  for (const key of Object.keys(patch)) {
    if (patch[key] === null || key.startsWith(DELETE_LIST) || key.startsWith(SET_ORDER)) continue
    if (!retained.has(key)) throw new PatchError('badFormat', RETAIN_KEYS_FORMAT)
  }
  for (const key of Object.keys(original)) if (!retained.has(key)) delete original[key]
}

function mergeMember(
  original: JsonObject,
  patchKey: string,
  value: JsonValue,
  schema: SchemaNode | undefined,
): void {
  const isDeletion = patchKey.startsWith(DELETE_LIST)
  const key = isDeletion ? listKey(patchKey, DELETE_LIST, DELETE_LIST_FORMAT) : patchKey
  if (value === null) {
    delete original[key]
    return
  }
  const current = Object.hasOwn(original, key) ? (original[key] ?? null) : undefined
  if (current === undefined || goTypeName(current) !== goTypeName(value)) {
    if (!isDeletion) setWithoutDirectives(original, key, withoutNulls(value))
  } else if (isObject(current) && isObject(value)) {
    const field = structField(schema, key)
    const replaces = field?.patchStrategy?.includes('replace') === true
    setOwn(original, key, replaces ? value : mergeMap(current, value, field))
  } else if (Array.isArray(current) && Array.isArray(value)) {
    setOwn(original, key, mergeList(current, value, structField(schema, key), isDeletion).items)
  } else setWithoutDirectives(original, key, value)
}

function listKey(key: string, prefix: string, format: string): string {
  const slash = key.indexOf('/')
  if (key.slice(0, Math.max(slash, 0)) !== prefix) throw new PatchError('badFormat', format)
  return key.slice(slash + 1)
}

function setWithoutDirectives(target: JsonObject, key: string, value: JsonValue): void {
  const kept = withoutDirectives(value)
  if (kept === undefined) delete target[key]
  else setOwn(target, key, kept)
}

/** Undefined for a map that is itself a directive. */
function withoutDirectives(value: JsonValue): JsonValue | undefined {
  if (Array.isArray(value)) {
    return value.map(withoutDirectives).filter(item => item !== undefined)
  }
  if (!isObject(value)) return value
  if (Object.hasOwn(value, DIRECTIVE)) return undefined
  for (const key of Object.keys(value)) setWithoutDirectives(value, key, value[key] ?? null)
  return value
}

function withoutNulls(value: JsonValue): JsonValue {
  if (Array.isArray(value)) for (const item of value) withoutNulls(item)
  else if (isObject(value)) {
    for (const key of Object.keys(value)) {
      const member = value[key] ?? null
      if (member === null) delete value[key]
      else withoutNulls(member)
    }
  }
  return value
}

interface MergedList {
  readonly items: JsonValue[]
  /** Where the server's items stood, for a $setElementOrder that is still to come. */
  readonly serverOrder: readonly JsonValue[]
}

function mergeList(
  original: JsonValue[],
  patch: JsonValue[],
  field: SchemaNode | undefined,
  isDeletion: boolean,
): MergedList {
  const serverOrder = [...original]
  const isMerged = isDeletion || field?.patchStrategy?.includes('merge') === true
  if (!isMerged) return { items: patch, serverOrder }
  if (original.length === 0 && patch.length === 0) return { items: original, serverOrder }
  const mergeKey = field?.patchMergeKey ?? ''
  if (elementKind([original, patch]) === 'map[string]interface {}') {
    return mergeListOfMaps(original as JsonObject[], patch as JsonObject[], field?.items, mergeKey)
  }
  if (isDeletion) return { items: deleteScalars(original, patch), serverOrder }
  if (mergeKey !== '') throw badArgument('map[string]interface {}', patch[0] ?? original[0])
  const merged = mergeScalars(original, patch)
  const ordering = { merged, patchOrder: patch, serverOrder, mergeKey, isMaps: false }
  return { items: orderList(ordering), serverOrder }
}

function mergeListOfMaps(
  original: JsonObject[],
  patch: JsonObject[],
  schema: SchemaNode | undefined,
  mergeKey: string,
): MergedList {
  if (mergeKey === '') {
    const message = `cannot merge lists without merge key for ${kindOf(schema)}`
    throw new PatchError('missingMergeKey', message)
  }
  const split = splitSpecial(original, patch, mergeKey)
  const merged = mergeKeyed(split.original, split.patch, mergeKey, (current, item) =>
    mergeMap(current, item, schema),
  )
  const patchOrder = split.patch
  const ordering = { merged, patchOrder, serverOrder: split.original, mergeKey, isMaps: true }
  // Upstream's new items take the places that deleted ones left, and count as the server's from
  // there on.
  return { items: orderList(ordering), serverOrder: merged.slice(0, original.length) }
}

/** Merges the lists that have a $setElementOrder and takes both out of the patch. */
function mergeOrderedLists(
  original: JsonObject,
  patch: JsonObject,
  schema: SchemaNode | undefined,
): void {
  for (const directive of Object.keys(patch)) {
    if (!directive.startsWith(SET_ORDER)) continue
    const order = asList(patch[directive])
    delete patch[directive]
    const key = listKey(directive, SET_ORDER, SET_ORDER_FORMAT)
    const current = Object.hasOwn(original, key) ? asList(original[key]) : undefined
    const changes = Object.hasOwn(patch, key) ? asList(patch[key]) : undefined
    const field = structField(schema, key)
    const mergeKey = field?.patchMergeKey ?? ''
    matchesOrder(changes ?? [], order, mergeKey)
    if (current === undefined && changes === undefined) continue
    const isMaps = elementKind([current ?? [], changes ?? []]) === 'map[string]interface {}'
    const { items: merged, serverOrder } = mergeNamed(current, changes, field)
    setOwn(original, key, orderList({ merged, patchOrder: order, serverOrder, mergeKey, isMaps }))
    delete patch[key]
  }
}

function mergeNamed(
  current: JsonValue[] | undefined,
  changes: JsonValue[] | undefined,
  field: SchemaNode,
): MergedList {
  if (changes === undefined) return { items: current ?? [], serverOrder: [...(current ?? [])] }
  if (current !== undefined) return mergeList(current, changes, field, false)
  const added = withoutDirectives(changes)
  return { items: Array.isArray(added) ? added : [], serverOrder: [] }
}

function asList(value: JsonValue | undefined): JsonValue[] {
  if (Array.isArray(value)) return value
  throw badArgument('[]interface {}', value)
}

/** The field a key names. Throws where Go has no struct or the struct no such field. */
function structField(schema: SchemaNode | undefined, key: string): SchemaNode {
  const kind = kindOf(schema)
  if (kind !== 'struct') {
    const message = `merging an object in json but data type is not struct, instead is: ${kind}`
    throw new PatchError('wrongType', message)
  }
  const field = schema?.properties?.get(key)
  if (field !== undefined) return field
  const name = (schema?.goType ?? '').replace(/^.*\./, '')
  const message = `unable to find api field in struct ${name} for the json field ${JSON.stringify(key)}`
  throw new PatchError('wrongType', message)
}

/** Go's reflect kind of a node: `struct`, `map`, `slice`, `string`, ... */
function kindOf(node: SchemaNode | undefined): string {
  switch (node?.type) {
    case undefined:
      return 'interface'
    case 'array':
      return 'slice'
    case 'object':
      return isStruct(node) ? 'struct' : 'map'
    case 'integer':
      return 'int64'
    case 'number':
      return 'float64'
    case 'boolean':
      return 'bool'
    default:
      return 'string'
  }
}

/** A map may have a named Go type, a struct never has free keys. */
function isStruct(node: SchemaNode): boolean {
  return node.additionalProperties === undefined && node.goType?.startsWith('map[') !== true
}
