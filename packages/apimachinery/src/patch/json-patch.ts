// JSON Patch (RFC 6902) as evanphx/json-patch v4 does it: negative indices, `replace` of an absent
// key, `test` null of an absent key. Called by the patch verb; calls json.ts and status.ts.
// Ref: gopkg.in/evanphx/json-patch.v4/patch.go, apiserver/pkg/endpoints/handlers/patch.go

import { cloneJson, equalJson, isObject, type JsonObject, type JsonValue, setOwn } from '../json.ts'
import { badRequest, failure, requestEntityTooLarge, type StatusError } from '../status.ts'
import { goJsonType } from './go-json-type.ts'
import { PatchError } from './patch-error.ts'

/** The most operations one patch may hold. Ref: patch.go maxJSONPatchOperations */
export const JSON_PATCH_OPERATIONS_MAX = 10_000

/** The most bytes all `copy` operations of one patch may add: the request body's limit, 3 MiB. */
export const JSON_PATCH_COPY_BYTES_MAX = 3 * 1024 * 1024

/** A patch's operations as the client sent them; null elements fail when they are applied. */
export type JsonPatchOperations = readonly (JsonObject | null)[]

export interface DecodedJsonPatch {
  readonly operations: JsonPatchOperations
  /** What strict decoding objects to, in upstream's words: a warning or, under Strict, a 422. */
  readonly strictErrors: readonly string[]
}

type Container = JsonObject | JsonValue[]
type OperationName = 'add' | 'remove' | 'replace' | 'move' | 'test' | 'copy'

const OPERATION_NAMES: ReadonlySet<unknown> = new Set([
  'add',
  'remove',
  'replace',
  'move',
  'test',
  'copy',
])

const STRING_MEMBERS = ['op', 'path', 'from'] as const
const MEMBERS: ReadonlySet<string> = new Set([...STRING_MEMBERS, 'value'])

/**
 * Checks the shape of a parsed patch body. `strict` is true under fieldValidation Warn and Strict,
 * where upstream also decodes into a typed struct: that refuses more and reports unknown members.
 * Throws StatusError 400 for a malformed patch and 413 for too many operations.
 */
export function decodeJsonPatch(
  patch: JsonValue,
  { strict }: { strict: boolean },
): DecodedJsonPatch {
  const prefix = strict ? 'error decoding patch: ' : ''
  if (patch === null) return { operations: [], strictErrors: [] }
  if (!Array.isArray(patch)) {
    const target = strict ? '[]handlers.jsonPatchOp' : 'jsonpatch.Patch'
    throw badRequest(`${prefix}${cannotUnmarshal(patch, `value of type ${target}`)}`)
  }
  const strictErrors: string[] = []
  const operations = patch.map((operation, index) => {
    if (operation !== null && !isObject(operation)) {
      const target = strict ? 'handlers.jsonPatchOp' : 'jsonpatch.Operation'
      throw badRequest(`${prefix}${cannotUnmarshal(operation, `value of type ${target}`)}`)
    }
    if (strict && operation !== null) strictErrors.push(...checkMembers(operation, index))
    return operation
  })
  if (operations.length > JSON_PATCH_OPERATIONS_MAX) {
    throw requestEntityTooLarge(
      `The allowed maximum operations in a JSON patch is ${JSON_PATCH_OPERATIONS_MAX}, got ${operations.length}`,
    )
  }
  return { operations, strictErrors }
}

function cannotUnmarshal(value: JsonValue, target: string): string {
  return `json: cannot unmarshal ${goJsonType(value)} into Go ${target}`
}

function checkMembers(operation: JsonObject, index: number): string[] {
  for (const member of STRING_MEMBERS) {
    const value = operation[member]
    if (value === undefined || value === null || typeof value === 'string') continue
    const target = `struct field jsonPatchOp.${member} of type string`
    throw badRequest(`error decoding patch: ${cannotUnmarshal(value, target)}`)
  }
  return Object.keys(operation)
    .filter(key => !MEMBERS.has(key))
    .map(key => `json patch unknown field ${JSON.stringify(`[${index}].${key}`)}`)
}

/**
 * The document after all operations; the one given is not touched. Throws StatusError 422
 * (upstream's generic text, `cause` a PatchError) when an operation does not apply.
 */
export function applyJsonPatch(doc: JsonValue, operations: JsonPatchOperations): JsonValue {
  if (operations.length === 0) return doc
  try {
    const run = new Run(cloneJson(doc) as Container)
    for (const operation of operations) run.apply(operation ?? {})
    return run.root
  } catch (error) {
    if (error instanceof PatchError) throw unprocessablePatch(error)
    throw error
  }
}

/** What a client sees of a patch that does not apply: no text of the inner error. */
export function unprocessablePatch(cause: PatchError): StatusError {
  return failure({
    code: 422,
    reason: 'Invalid',
    message: 'the server rejected our request due to an error in our request',
    details: {},
    cause,
  })
}

function isOperationName(op: unknown): op is OperationName {
  return OPERATION_NAMES.has(op)
}

/** One application of one patch: the document so far and the bytes copied. */
class Run {
  root: Container
  private copiedBytes = 0

  constructor(root: Container) {
    this.root = root
  }

  apply(operation: JsonObject): void {
    const { op } = operation
    if (isOperationName(op)) {
      this[op](operation)
      return
    }
    const kind = typeof op === 'string' ? op : 'unknown'
    throw new PatchError('unknownOperation', `Unexpected kind: ${kind}`)
  }

  private add(operation: JsonObject): void {
    const { container, key } = this.find(operation, 'path', 'add', 'path')
    at('add for path', operation.path, () =>
      addAt(container, key, cloneJson(operation.value ?? null)),
    )
  }

  private remove(operation: JsonObject): void {
    const { container, key } = this.find(operation, 'path', 'remove', 'path')
    at('remove for path', operation.path, () => removeAt(container, key))
  }

  private replace(operation: JsonObject): void {
    const value = cloneJson(operation.value ?? null)
    if (operation.path === '') {
      if (typeof value !== 'object' || value === null) {
        const message = 'replace operation value must be object or array'
        throw new PatchError('invalidValue', message)
      }
      this.root = value
      return
    }
    const { container, key } = this.find(operation, 'path', 'replace', 'path')
    getAt(container, key)
    if (Array.isArray(container)) container[arrayIndex(container, key)] = value
    else setOwn(container, key, value)
  }

  private move(operation: JsonObject): void {
    const from = this.find(operation, 'from', 'move', 'from path')
    const value = at('move for path', from.key, () => getAt(from.container, from.key))
    at('move for path', from.key, () => removeAt(from.container, from.key))
    const to = this.find(operation, 'path', 'move', 'destination path')
    at('move for path', operation.path, () => addAt(to.container, to.key, value ?? null))
  }

  private test(operation: JsonObject): void {
    const expected = operation.value ?? null
    const actual =
      operation.path === '' ? this.root : this.valueAt(operation, 'path', 'test', 'path')
    if (equalJson(actual ?? null, expected)) return
    throw new PatchError('testFailed', `testing value ${operation.path} failed: test failed`)
  }

  private copy(operation: JsonObject): void {
    const value = this.valueAt(operation, 'from', 'copy', 'from path') ?? null
    const { container, key } = this.find(operation, 'path', 'copy', 'destination path')
    if (value !== null) this.copiedBytes += Buffer.byteLength(JSON.stringify(value))
    if (this.copiedBytes > JSON_PATCH_COPY_BYTES_MAX) {
      const message = `Unable to complete the copy, the accumulated size increase of copy is ${this.copiedBytes}, exceeding the limit ${JSON_PATCH_COPY_BYTES_MAX}`
      throw new PatchError('copyTooLarge', message)
    }
    addAt(container, key, cloneJson(value))
  }

  private valueAt(
    operation: JsonObject,
    member: 'path' | 'from',
    op: string,
    what: string,
  ): JsonValue | undefined {
    const { container, key } = this.find(operation, member, op, what)
    return getAt(container, key)
  }

  /**
   * The container a pointer's last segment is looked up in. What stands before the first slash is
   * ignored.
   */
  private find(
    operation: JsonObject,
    member: 'path' | 'from',
    op: string,
    what: string,
  ): { container: Container; key: string } {
    const pointer = operation[member]
    if (typeof pointer !== 'string') {
      const message = `${op} operation failed to decode ${member}: missing value`
      throw new PatchError('missing', message)
    }
    const segments = pointer.split('/').slice(1).map(decodeSegment)
    const key = segments.pop()
    let container: JsonValue | undefined = key === undefined ? undefined : this.root
    for (const segment of segments) container = step(container, segment)
    if (key === undefined || container === null || typeof container !== 'object') {
      const shown = op === 'add' || op === 'remove' ? `"${pointer}"` : pointer
      const message = `${op} operation does not apply: doc is missing ${what}: ${shown}: missing value`
      throw new PatchError('missing', message)
    }
    return { container, key }
  }
}

/** Does a part of an operation; what goes wrong in it is told with the place. */
function at<T>(what: string, place: JsonValue | undefined, part: () => T): T {
  try {
    return part()
  } catch (error) {
    if (!(error instanceof PatchError)) throw error
    throw new PatchError(error.code, `error in ${what}: '${place}': ${error.message}`, {
      cause: error,
    })
  }
}

function step(container: JsonValue | undefined, segment: string): JsonValue | undefined {
  if (Array.isArray(container)) {
    const index = parseIndex(segment)
    return index === undefined ? undefined : container.at(index)
  }
  return isObject(container) && Object.hasOwn(container, segment) ? container[segment] : undefined
}

function decodeSegment(segment: string): string {
  return segment.includes('~')
    ? segment.replace(/~1|~0/g, it => (it === '~1' ? '/' : '~'))
    : segment
}

function getAt(container: Container, key: string): JsonValue | undefined {
  if (Array.isArray(container)) return container[arrayIndex(container, key)]
  return Object.hasOwn(container, key) ? container[key] : undefined
}

function addAt(container: Container, key: string, value: JsonValue): void {
  if (!Array.isArray(container)) setOwn(container, key, value)
  else if (key === '-') container.push(value)
  else container.splice(arrayIndex(container, key, container.length + 1), 0, value)
}

function removeAt(container: Container, key: string): void {
  if (Array.isArray(container)) {
    container.splice(arrayIndex(container, key), 1)
    return
  }
  if (!Object.hasOwn(container, key)) {
    throw new PatchError('missing', `Unable to remove nonexistent key: ${key}: missing value`)
  }
  delete container[key]
}

/** The position a key names in an array of `length` places; negative ones count from the end. */
function arrayIndex(array: JsonValue[], key: string, length = array.length): number {
  const index = parseIndex(key)
  if (index === undefined) {
    const message = `value was not a proper array index: '${key}': strconv.Atoi: parsing ${JSON.stringify(key)}: invalid syntax`
    throw new PatchError('invalidIndex', message)
  }
  if (index >= length || index < -length) {
    const message = `Unable to access invalid index: ${index}: invalid index referenced`
    throw new PatchError('invalidIndex', message)
  }
  return index < 0 ? index + length : index
}

/** Go's strconv.Atoi: a sign and leading zeros are allowed. */
function parseIndex(key: string): number | undefined {
  return /^[+-]?\d+$/.test(key) ? Number(key) : undefined
}
