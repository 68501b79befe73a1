// A request body as an object: format, kind and version checks, unknown fields, defaults. Built-ins decode into their
// type, custom resources are pruned by their schema; both are defaulted as upstream's decoders do.
// Called by verbs. Ref: apiserver/pkg/endpoints/handlers/{create,rest}.go, apiextensions-apiserver/pkg/apiserver/customresource_handler.go

import {
  apiVersionOf,
  badRequest,
  bareMediaType,
  bodyFormat,
  builtinSchema,
  DecodeError,
  decodeProtobuf,
  decodeTyped,
  type FieldValidation,
  type GroupVersionKind,
  invalid,
  invalidValue,
  isObject,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  parseApiVersion,
  parseJsonStrict,
  parseYamlStrict,
  type SchemaNode,
} from '@podless/apimachinery'
import type { RequestContext } from './context.ts'
import type { Resource } from './resource.ts'

/** What a body is expected to be. */
interface Target {
  readonly gvk: GroupVersionKind
  readonly resource: Resource
  readonly schema: SchemaNode
  /** False for virtual subresources: they have no strategy to default them. */
  readonly own: boolean
}

interface Parsed {
  readonly value: JsonValue
  readonly duplicates: readonly string[]
}

function targetOf({ resource, subresource }: RequestContext): Target {
  const { gvr, names } = resource
  if (subresource?.type === 'virtual') return { gvk: subresource.gvk, resource, schema: subresource.schema, own: false }
  const gvk = { group: gvr.group, version: gvr.version, kind: names.kind }
  return { gvk, resource, schema: resource.schema, own: true }
}

/** The object a POST or PUT sends, defaulted. Throws 400, 413, 415. */
export async function decodeBody(ctx: RequestContext, validation: FieldValidation): Promise<KubeObject> {
  const target = targetOf(ctx)
  const format = bodyFormat(ctx.request.header('content-type'), { protobuf: ctx.resource.crd === undefined })
  const body = await ctx.request.body()
  let parsed: Parsed
  try {
    parsed = parseBody(body, format, validation)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw unrecognized(target, error, body)
  }
  const raw = parsed.value
  const typeMeta = readTypeMeta(raw, target, body)
  const { object, unknown } = decodeAs(target, raw, typeMeta)
  report(ctx, [...parsed.duplicates, ...unknown], validation, problems => {
    throw badRequest(`${typeMeta.kind} in version ${JSON.stringify(typeMeta.version)} cannot be handled as a ${target.gvk.kind}: ${problems}`)
  })
  return object
}

function parseBody(body: Buffer, format: 'json' | 'yaml' | 'protobuf', validation: FieldValidation): Parsed {
  const duplicates = validation !== 'Ignore'
  if (format === 'json') return parseJsonStrict(body, { duplicates })
  if (format === 'yaml') return parseYamlStrict(body, { duplicates })
  return { value: decodeProtobuf(body), duplicates: [] }
}

interface TypeMeta {
  readonly kind: string
  readonly version: string
}

const SUMMARY_BYTES = 30

function summarize(body: Buffer): string {
  if (body.length === 0) return '<empty>'
  const encoding = body[0] === 0x7b ? 'utf8' : 'hex'
  const more = body.length > SUMMARY_BYTES ? ' ...' : ''
  return body.toString(encoding, 0, Math.min(body.length, SUMMARY_BYTES)) + more
}

function unrecognized({ gvk }: Target, error: Error, body: Buffer): Error {
  return badRequest(
    `the object provided is unrecognized (must be of type ${gvk.kind}): couldn't get version/kind; json parse error: ${error.message} (${summarize(body)})`,
  )
}

/** Checks kind and apiVersion. Built-ins may leave them out, custom resources may not. */
function readTypeMeta(raw: JsonValue, target: Target, body: Buffer): TypeMeta {
  const { gvk, resource } = target
  if (raw !== null && !isObject(raw)) {
    const fields = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
    const kind = Array.isArray(raw) ? 'array' : typeof raw === 'boolean' ? 'bool' : typeof raw
    throw unrecognized(target, new DecodeError(`json: cannot unmarshal ${kind} into Go value of type ${fields}`), body)
  }
  const { apiVersion = '', kind = '' } = (raw ?? {}) as { apiVersion?: JsonValue; kind?: JsonValue }
  if (typeof kind !== 'string' || typeof apiVersion !== 'string') {
    const [field, value] = typeof kind === 'string' ? ['apiVersion', apiVersion] : ['kind', kind]
    throw unrecognized(target, new DecodeError(`json: cannot unmarshal ${typeof value === 'boolean' ? 'bool' : typeof value} into Go struct field .${field} of type string`), body)
  }
  if (resource.crd !== undefined && target.own) return customTypeMeta(target, raw ?? {}, kind, apiVersion)
  const gv = apiVersion === '' ? gvk : parseApiVersion(apiVersion)
  const found = { group: gv?.group ?? '', version: gv?.version ?? apiVersion, kind: kind === '' ? gvk.kind : kind }
  if (found.kind === gvk.kind && found.group === gvk.group && found.version === gvk.version) return found
  throw badRequest(`${found.kind} in version ${JSON.stringify(found.version)} cannot be handled as a ${gvk.kind}: ${mismatch(found, gvk)}`)
}

function mismatch(found: GroupVersionKind, gvk: GroupVersionKind): string {
  if (builtinSchema(found) === undefined) {
    const version = apiVersionOf(found)
    return `no kind ${JSON.stringify(found.kind)} is registered for version ${JSON.stringify(version)} in scheme "podless"`
  }
  const group = (name: string): string => (name === '' ? 'core' : name.split('.')[0]!)
  return `converting (${found.version}.${found.kind}) to (${group(gvk.group)}.${gvk.kind}): unknown conversion`
}

function customTypeMeta({ gvk }: Target, raw: JsonObject, kind: string, apiVersion: string): TypeMeta {
  if (kind === '') {
    throw badRequest(`the object provided is unrecognized (must be of type ${gvk.kind}): Object 'Kind' is missing in ${JSON.stringify(JSON.stringify(raw))} (${summarize(Buffer.from(JSON.stringify(raw)))})`)
  }
  if (apiVersion !== '' && apiVersion !== apiVersionOf(gvk)) {
    throw badRequest(`the API version in the data (${apiVersion}) does not match the expected API version (${apiVersionOf(gvk)})`)
  }
  return { kind, version: gvk.version }
}

interface Decoded {
  readonly object: KubeObject
  readonly unknown: readonly string[]
}

/** Throws 400 in upstream's words when the value does not fit. */
function decodeAs(target: Target, raw: JsonValue, typeMeta: TypeMeta): Decoded {
  try {
    return decodeValue(target, raw)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw badRequest(`${typeMeta.kind} in version ${JSON.stringify(typeMeta.version)} cannot be handled as a ${target.gvk.kind}: ${error.message}`)
  }
}

/** Decodes and defaults. Throws DecodeError. */
function decodeValue({ gvk, resource, schema, own }: Target, raw: JsonValue): Decoded {
  if (resource.custom !== undefined && own) return decodeCustom(resource, raw as JsonObject)
  const { object, unknownFields } = decodeTyped(raw, schema)
  const typed = { ...object, apiVersion: apiVersionOf(gvk), kind: gvk.kind, metadata: object.metadata ?? {} } as KubeObject
  if (own) resource.strategy.default?.(typed)
  return { object: typed, unknown: unknownFields }
}

function decodeCustom({ custom, gvr, names }: Resource, raw: JsonObject): Decoded {
  const { apiVersion: _apiVersion, kind, metadata, ...rest } = raw
  const object = { apiVersion: apiVersionOf(gvr), kind: kind ?? names.kind, metadata: metadata ?? {}, ...rest } as KubeObject
  const pruned = custom!.prune(object)
  if (pruned.error !== undefined) throw new DecodeError(pruned.error)
  custom!.default(object)
  return { object, unknown: pruned.unknown.map(path => `unknown field ${JSON.stringify(path)}`) }
}

/** Strict refuses, Warn and unset warn, Ignore is silent. */
function report(
  ctx: RequestContext,
  problems: readonly string[],
  validation: FieldValidation,
  refuse: (text: string) => never,
): void {
  if (problems.length === 0 || validation === 'Ignore') return
  if (validation === 'Strict') refuse(`strict decoding error: ${problems.join(', ')}`)
  for (const text of problems) ctx.warn(text)
}

/** A patch body as JSON. `prefix` begins the text of a 400. */
export function decodePatch(body: Buffer, prefix: string): JsonValue {
  try {
    return parseJsonStrict(body, { duplicates: false }).value
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw badRequest(`${prefix}${error.message}`)
  }
}

/** The body of an apply: YAML, of which JSON is a part. */
export function decodePatchYaml(ctx: RequestContext, body: Buffer, validation: FieldValidation): JsonObject {
  let parsed: Parsed
  try {
    parsed = parseYamlStrict(body, { duplicates: validation !== 'Ignore' })
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw badRequest(`error decoding YAML: ${error.message}`)
  }
  if (!isObject(parsed.value)) throw badRequest('error decoding YAML: the body is no object')
  report(ctx, parsed.duplicates, validation, text => {
    throw badRequest(`error decoding YAML: ${text}`)
  })
  return parsed.value
}

/** What a patch left, decoded anew. What does not fit is 422 with the field `patch`. */
export function decodePatched(ctx: RequestContext, value: JsonObject, validation: FieldValidation): KubeObject {
  const target = targetOf(ctx)
  try {
    const { object, unknown } = decodeValue(target, value)
    if (target.resource.custom !== undefined && target.own) checkCustomType(target, value, object)
    report(ctx, unknown, validation, text => {
      throw invalidPatch(text)
    })
    return object
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw invalidPatch(error.message)
  }
}

const invalidPatch = (text: string): Error => invalid({ group: '', kind: '' }, '', [invalidValue('patch', '{}', text)])

function checkCustomType({ gvk }: Target, value: JsonObject, { metadata }: KubeObject): void {
  const kind = String(value.kind ?? '')
  const apiVersion = String(value.apiVersion ?? '')
  const group = parseApiVersion(apiVersion)?.group ?? ''
  if (kind !== gvk.kind) {
    throw invalid({ group, kind }, metadata.name ?? '', [invalidValue('kind', kind, `must be ${gvk.kind}`)])
  }
  if (apiVersion !== apiVersionOf(gvk)) {
    throw invalid({ group, kind }, metadata.name ?? '', [invalidValue('apiVersion', apiVersion, `must be ${apiVersionOf(gvk)}`)])
  }
}

/** DeleteOptions as clients send them: any apiVersion of any group names the same options. */
export function decodeDeleteOptions(ctx: RequestContext, body: Buffer): JsonObject {
  const type = bareMediaType(ctx.request.header('content-type') ?? '')
  try {
    const value = type.includes('protobuf') ? decodeProtobuf(body) : type.includes('yaml') ? parseYamlStrict(body, { duplicates: false }).value : parseJsonStrict(body, { duplicates: false }).value
    if (value === null) return {}
    if (isObject(value)) return value
    throw new DecodeError('the body is no object')
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw badRequest(
      `the object provided is unrecognized (must be of type DeleteOptions): couldn't get version/kind; json parse error: ${error.message} (${summarize(body)})`,
    )
  }
}

/** Brings what a webhook made back into the resource's shape. Throws DecodeError. */
export function normalizeObject(obj: KubeObject, resource: Resource): KubeObject {
  const { gvr, names } = resource
  const gvk = { group: gvr.group, version: gvr.version, kind: names.kind }
  return decodeValue({ gvk, resource, schema: resource.schema, own: true }, obj).object
}

