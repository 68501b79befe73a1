// A request body to an object of the kind an endpoint serves, with upstream's refusals word for word.
// Called by decode.ts of the api package and by tests. Calls json.ts, strict-order.ts, yaml.ts, protobuf.ts and typed.ts.
// Ref: apimachinery/pkg/runtime/serializer/json/json.go Decode, apiserver/pkg/endpoints/handlers/rest.go transformDecodeError

import { apiVersionOf, type GroupVersionKind, parseApiVersion } from '../gvk.ts'
import { isObject, type JsonObject, type JsonValue } from '../json.ts'
import type { KubeObject } from '../meta.ts'
import { goJsonType } from '../patch/go-json-type.ts'
import type { SchemaNode } from '../schema/node.ts'
import { badRequest, type StatusError } from '../status.ts'
import { DecodeError, quoteGo } from './decode-error.ts'
import { optionKinds } from './field-data.ts'
import { builtinSchema } from './field-table.ts'
import {
  duplicateFieldTexts,
  inWireOrder,
  NESTING_MAX,
  type ParsedJson,
  parseJsonStrict,
  refuseTooLarge,
} from './json.ts'
import type { MediaFormat } from './media-type.ts'
import { decodeProtobuf } from './protobuf.ts'
import { inDocumentOrder, isStrictPath } from './strict-order.ts'
import { decodeObjectMeta, decodeTyped } from './typed.ts'
import { parseYaml } from './yaml.ts'

export interface DecodeOptions {
  readonly format: MediaFormat
  /** The kind the endpoint serves. A body may leave its own kind or apiVersion out where upstream fills them in. */
  readonly gvk: GroupVersionKind
  /** True for built-ins: the whole object is typed. False for custom resources: only metadata is. */
  readonly builtin: boolean
  /** Whether strict findings are wanted at all: false under fieldValidation=Ignore. */
  readonly strict: boolean
}

export interface DecodedObject {
  readonly object: KubeObject
  /** The kind and version in the body, defaults filled in; they can differ from the endpoint's for custom resources. */
  readonly gvk: GroupVersionKind
  /** `unknown field "spec.a"`, `duplicate field "spec"`: warnings under Warn, an error under Strict. */
  readonly strictErrors: readonly string[]
}

/**
 * Decodes a body. Throws a 400 StatusError with upstream's text for what is no object of the kind.
 * A custom resource may come back with another kind or version than asked for; the caller refuses it after
 * fieldValidation, as upstream does. Unknown fields of a custom resource outside metadata are found by pruning.
 */
export function decodeObject(body: Uint8Array, options: DecodeOptions): DecodedObject {
  let sent: GroupVersionKind | undefined
  try {
    if (options.format === 'protobuf') return decodeProtobufBody(body, options)
    const parsed = parseBody(body, options)
    sent = sentKind(parsed.value, body, options)
    return options.builtin
      ? decodeBuiltin(parsed, sent, body, options)
      : decodeCustom(parsed, sent, options)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw decodeFailure(error.message, sent, options.gvk.kind, body)
  }
}

/** The 400 that fieldValidation=Strict answers: `... strict decoding error: unknown field "a", ...`. */
export function strictDecodingFailure(
  sent: GroupVersionKind,
  expectedKind: string,
  errors: readonly string[],
): StatusError {
  return cannotBeHandled(sent, expectedKind, strictDecodingText(errors))
}

/** What is wrong, without the sentence around it: patches answer it as a 422. */
export function strictDecodingText(errors: readonly string[]): string {
  return `strict decoding error: ${errors.join(', ')}`
}

function parseBody(body: Uint8Array, options: DecodeOptions): ParsedJson & { yamlError?: string } {
  if (options.format === 'yaml') return parseYaml(body, { strict: options.strict })
  try {
    return parseJsonStrict(body, { duplicates: options.strict })
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw new DecodeError(`couldn't get version/kind; json parse error: ${error.message}`)
  }
}

const TYPE_META_GO_TYPE =
  'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'

/** Finds the body's kind and version before anything else is looked at. */
function sentKind(value: JsonValue, body: Uint8Array, options: DecodeOptions): GroupVersionKind {
  const root = value === null ? {} : value
  if (!isObject(root)) {
    throw new DecodeError(
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${goJsonType(root)} into Go value of type ${TYPE_META_GO_TYPE}`,
    )
  }
  const apiVersion = typeMetaString(root, 'apiVersion')
  const kind = typeMetaString(root, 'kind')
  const gv = apiVersion === '' || apiVersion === '/' ? NO_VERSION : parseApiVersion(apiVersion)
  if (gv === undefined) throw new DecodeError(`unexpected GroupVersion string: ${apiVersion}`)
  if (!options.builtin && kind === '') {
    throw new DecodeError(`Object 'Kind' is missing in '${Buffer.from(body).toString()}'`)
  }
  const sent = { ...gv, kind }
  return options.builtin ? withDefaults(sent, options.gvk) : sent
}

const NO_VERSION = { group: '', version: '' }

function typeMetaString(root: JsonObject, key: 'apiVersion' | 'kind'): string {
  const value = root[key] ?? ''
  if (typeof value === 'string') return value
  throw new DecodeError(
    `couldn't get version/kind; json parse error: json: cannot unmarshal ${goJsonType(value)} into Go struct field .${key} of type string`,
  )
}

function withDefaults(sent: GroupVersionKind, expected: GroupVersionKind): GroupVersionKind {
  const kind = sent.kind === '' ? expected.kind : sent.kind
  if (sent.version !== '') return { ...sent, kind }
  return sent.group === '' || sent.group === expected.group
    ? { ...expected, kind }
    : { ...sent, kind }
}

function decodeBuiltin(
  parsed: ParsedJson & { yamlError?: string },
  sent: GroupVersionKind,
  body: Uint8Array,
  options: DecodeOptions,
): DecodedObject {
  const { schema, apiVersion } = schemaOf(sent)
  const { object: fields, unknownFields } = decodeTyped(parsed.value, schema, parsed)
  checkKind(sent, options.gvk)
  checkVersion(sent, options.gvk)
  const typed: JsonObject = { ...fields, apiVersion, kind: sent.kind }
  const duplicates = parsed.duplicates.filter(path => isStrictPath(path, schema))
  const object = inWireOrder(typed) as KubeObject
  if (!options.strict) return { object, gvk: sent, strictErrors: [] }
  const errors = strictErrorsOf({ ...parsed, duplicates }, unknownFields)
  const isMixed = duplicates.length > 0 && unknownFields.length > 0
  const strictErrors =
    isMixed && options.format === 'json' ? inDocumentOrder(body, errors, NESTING_MAX) : errors
  return { object, gvk: sent, strictErrors }
}

function schemaOf(gvk: GroupVersionKind): { schema: SchemaNode; apiVersion: string } {
  const apiVersion = apiVersionOf(gvk)
  const schema = builtinSchema(gvk)
  if (schema !== undefined) return { schema, apiVersion }
  throw new DecodeError(
    `no kind ${quoteGo(gvk.kind)} is registered for version ${quoteGo(apiVersion)} in scheme "pkg/api/legacyscheme/scheme.go:30"`,
  )
}

/** A registered kind that is not the endpoint's cannot be converted to it. */
function checkKind(sent: GroupVersionKind, expected: GroupVersionKind): void {
  if (sent.kind === expected.kind) return
  const from = `${sent.version}.${sent.kind}`
  const to = `${internalPackage(expected.group)}.${expected.kind}`
  throw new DecodeError(`converting (${from}) to (${to}): unknown conversion`)
}

/** A kind that several versions share is accepted by the endpoint of its own version only. */
function checkVersion(sent: GroupVersionKind, expected: GroupVersionKind): void {
  const [inData, atEndpoint] = [apiVersionOf(sent), apiVersionOf(expected)]
  if (inData === atEndpoint || optionKinds().includes(sent.kind)) return
  throw badRequest(
    `the API version in the data (${inData}) does not match the expected API version (${atEndpoint})`,
  )
}

function internalPackage(group: string): string {
  return group === '' ? 'core' : (group.split('.')[0] ?? group)
}

function decodeCustom(
  parsed: ParsedJson & { yamlError?: string },
  sent: GroupVersionKind,
  options: DecodeOptions,
): DecodedObject {
  refuseTooLarge(parsed)
  const root: JsonObject = isObject(parsed.value) ? { ...parsed.value } : {}
  let unknown: readonly string[] = []
  if (root.metadata !== undefined) {
    const { object, unknownFields } = decodeObjectMeta(root.metadata)
    root.metadata = object
    unknown = unknownFields
  } else {
    root.metadata = {}
  }
  return {
    object: inWireOrder(root) as KubeObject,
    gvk: sent,
    strictErrors: options.strict ? strictErrorsOf(parsed, unknown) : [],
  }
}

function strictErrorsOf(
  parsed: { duplicates: ParsedJson['duplicates']; yamlError?: string },
  unknownFields: readonly string[],
): string[] {
  return [
    ...(parsed.yamlError === undefined ? [] : [parsed.yamlError]),
    ...duplicateFieldTexts(parsed),
    ...unknownFields,
  ]
}

function decodeProtobufBody(body: Uint8Array, options: DecodeOptions): DecodedObject {
  const object = decodeProtobuf(body, options.gvk)
  const gv = parseApiVersion(String(object.apiVersion))
  const sent = { ...(gv ?? NO_VERSION), kind: String(object.kind) }
  checkKind(sent, options.gvk)
  checkVersion(sent, options.gvk)
  return { object: object as KubeObject, gvk: sent, strictErrors: [] }
}

function decodeFailure(
  message: string,
  sent: GroupVersionKind | undefined,
  expectedKind: string,
  body: Uint8Array,
): StatusError {
  if (sent !== undefined && sent.kind !== '') return cannotBeHandled(sent, expectedKind, message)
  return badRequest(
    `the object provided is unrecognized (must be of type ${expectedKind}): ${message} (${summary(body)})`,
  )
}

/** 400 for an object that can not become the expected kind; `sent` is the kind it says it has. */
export function cannotBeHandled(
  sent: GroupVersionKind,
  expectedKind: string,
  why: string,
): StatusError {
  return badRequest(
    `${sent.kind} in version ${quoteGo(sent.version)} cannot be handled as a ${expectedKind}: ${why}`,
  )
}

const SUMMARY_BYTES = 30

/** The head of a body: text where it looks like JSON, else hexadecimal. */
function summary(body: Uint8Array): string {
  if (body.length === 0) return '<empty>'
  const head = Buffer.from(body.subarray(0, SUMMARY_BYTES))
  const text = body[0] === 0x7b ? head.toString() : head.toString('hex')
  return body.length > SUMMARY_BYTES ? `${text} ...` : text
}
