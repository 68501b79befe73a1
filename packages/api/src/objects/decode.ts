// A request body as an object of its resource: decoded, pruned, defaulted, with what fieldValidation makes of the rest.
// Called by verbs; calls the codecs and the resource's schema.
// Ref: apiserver/pkg/endpoints/handlers/{create,patch}.go, apiextensions-apiserver/pkg/apiserver/customresource_handler.go

import {
  apiVersionOf,
  badRequest,
  bareMediaType,
  bodyFormat,
  builtinSchema,
  cannotBeHandled,
  checkConvertible,
  DecodeError,
  decodeObject,
  decodeTyped,
  duplicateFieldTexts,
  type FieldValidation,
  type GroupVersionKind,
  goJsonType,
  invalid,
  invalidValue,
  isObject,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  parseApiVersion,
  parseJson,
  parseJsonStrict,
  parseYaml,
  refuseTooLarge,
  strictDecodingFailure,
  strictDecodingText,
} from '@podless/apimachinery'
import type { RequestContext } from '../context.ts'
import type { Resource } from '../resource.ts'

const DELETE_OPTIONS: GroupVersionKind = {
  group: 'meta.k8s.io',
  version: 'v1',
  kind: 'DeleteOptions',
}

const gvkOf = ({ gvr, names }: Resource): GroupVersionKind => ({
  group: gvr.group,
  version: gvr.version,
  kind: names.kind,
})

/** The object a POST or PUT sends. Throws 400, 413, 415, and 422 for a custom resource of another kind. */
export async function decodeBody(
  ctx: RequestContext,
  validation: FieldValidation,
): Promise<KubeObject> {
  const { resource, subresource, request } = ctx
  const isView = subresource?.type === 'virtual'
  const builtin = isView || resource.custom === undefined
  const format = bodyFormat(request.header('content-type'), { protobuf: builtin })
  const gvk = isView ? subresource.gvk : gvkOf(resource)
  const body = await request.body()
  const strict = validation !== 'Ignore'
  const { object, gvk: sent, strictErrors } = decodeObject(body, { format, gvk, builtin, strict })
  if (builtin) {
    object.metadata ??= {}
    if (!isView) resource.strategy.default?.(object)
  } else if (object.apiVersion !== apiVersionOf(gvk)) {
    throw badRequest(
      `the API version in the data (${object.apiVersion}) does not match the expected API version (${apiVersionOf(gvk)})`,
    )
  }
  const unknown = builtin
    ? []
    : shapeCustom(resource, object, why => cannotBeHandled(sent, gvk.kind, why))
  const problems = [...strictErrors, ...unknown]
  if (validation === 'Strict' && problems.length > 0)
    throw strictDecodingFailure(sent, gvk.kind, problems)
  if (strict) warnOfStrictErrors(ctx, problems)
  return object
}

const YAML_ERRORS = 'yaml: unmarshal errors:\n'
const FROM_YAML = 'error converting YAML to JSON: '

/** What strict decoding found, as warnings; those about YAML one a line. Ref: handlers/rest.go addStrictDecodingWarnings */
export function warnOfStrictErrors(ctx: RequestContext, errors: readonly string[]): void {
  for (const text of errors) {
    const bare = text.startsWith(FROM_YAML) ? text.slice(FROM_YAML.length) : text
    const lines = bare.startsWith(YAML_ERRORS) ? bare.slice(YAML_ERRORS.length).split('\n') : [text]
    for (const line of lines) ctx.warn(line.trim())
  }
}

/** Prunes and defaults a custom resource; returns the unknown fields. */
function shapeCustom(
  { custom }: Resource,
  object: KubeObject,
  fail: (text: string) => Error,
): readonly string[] {
  if (custom === undefined) return []
  const { unknown, error } = custom.prune(object)
  if (error !== undefined) throw fail(error)
  custom.default(object)
  return unknown.map(path => `unknown field ${JSON.stringify(path)}`)
}

/** Only a JSON patch is a list. */
const JSON_PATCH_VALUE = 'Go struct field jsonPatchOp.value'

/**
 * A patch as JSON, with the keys it says twice unless fieldValidation is Ignore. `prefix` begins the text of a 400.
 */
export function decodePatch(
  body: Buffer,
  prefix: string,
  validation: FieldValidation,
): { value: JsonValue; strictErrors: readonly string[] } {
  try {
    const parsed = parseJsonStrict(body, { duplicates: validation !== 'Ignore' })
    refuseTooLarge(parsed, Array.isArray(parsed.value) ? JSON_PATCH_VALUE : undefined)
    return { value: parsed.value, strictErrors: duplicateFieldTexts(parsed) }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw badRequest(`${prefix}${error.message}`)
  }
}

/** The body of an apply: YAML, of which JSON is a part. */
export function decodeApplied(
  ctx: RequestContext,
  body: Buffer,
  validation: FieldValidation,
): JsonObject {
  const strict = validation !== 'Ignore'
  let parsed: ReturnType<typeof parseYaml>
  try {
    parsed = parseYaml(body, { strict })
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw badRequest(`error decoding YAML: ${FROM_YAML}${error.message}`)
  }
  if (parsed.value !== null && !isObject(parsed.value)) {
    throw badRequest(
      `error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${goJsonType(parsed.value)} into Go value of type map[string]interface {}`,
    )
  }
  if (parsed.yamlError !== undefined && validation === 'Strict')
    throw badRequest(`error strict decoding YAML: ${FROM_YAML}${parsed.yamlError}`)
  if (parsed.yamlError !== undefined && strict) warnOfStrictErrors(ctx, [parsed.yamlError])
  return parsed.value ?? {}
}

/** How the result of a patch is looked at. */
export interface PatchResult {
  readonly validation: FieldValidation
  /** What strict decoding found in the patch itself. */
  readonly strictErrors: readonly string[]
  /** What a refusal shows as the bad value. */
  readonly shown: string
  /** True for strategic merges, whose results are converted field by field and objected to in other words. */
  readonly reflective: boolean
}

/** What a patch left, decoded anew. What does not fit is 422 with the field `patch`. */
export function decodePatched(
  ctx: RequestContext,
  value: JsonObject,
  { validation, strictErrors, shown, reflective }: PatchResult,
): KubeObject {
  const { resource, subresource } = ctx
  const isView = subresource?.type === 'virtual'
  const refuse = (text: string): Error =>
    invalid({ group: '', kind: '' }, '', [invalidValue('patch', shown, text)])
  const { object, unknown } =
    isView || resource.custom === undefined
      ? patchedBuiltin(
          isView ? subresource.gvk : gvkOf(resource),
          isView ? subresource.schema : resource.schema,
          value,
          { refuse, reflective },
        )
      : patchedCustom(resource, value, refuse)
  if (!isView) resource.strategy.default?.(object)
  const problems = [...strictErrors, ...(reflective ? [...unknown].sort() : unknown)]
  if (validation === 'Strict' && problems.length > 0) throw refuse(strictDecodingText(problems))
  if (validation !== 'Ignore') warnOfStrictErrors(ctx, problems)
  return object
}

interface Patched {
  readonly object: KubeObject
  readonly unknown: readonly string[]
}

function patchedBuiltin(
  gvk: GroupVersionKind,
  schema: Resource['schema'],
  value: JsonObject,
  { refuse, reflective }: { refuse: (text: string) => Error; reflective: boolean },
): Patched {
  try {
    if (reflective) checkConvertible(value, schema)
    else checkPatchedKind(gvk, value, refuse)
    const { object, unknownFields } = decodeTyped(value, schema)
    const typed = {
      ...object,
      apiVersion: apiVersionOf(gvk),
      kind: gvk.kind,
      metadata: object.metadata ?? {},
    }
    return { object: typed as KubeObject, unknown: unknownFields }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw refuse(error.message)
  }
}

/**
 * A merge or JSON patch may not make another kind of an object; one that leaves none keeps its own.
 * NOTE: upstream first tells what of the object does not fit the other kind.
 */
function checkPatchedKind(
  own: GroupVersionKind,
  { apiVersion, kind }: JsonObject,
  refuse: (text: string) => Error,
): void {
  const named = typeof kind === 'string' && kind !== '' ? kind : own.kind
  const version =
    typeof apiVersion === 'string' && apiVersion !== '' ? apiVersion : apiVersionOf(own)
  if (named === own.kind && version === apiVersionOf(own)) return
  const other = parseApiVersion(version)
  if (other === undefined || builtinSchema({ ...other, kind: named }) === undefined) {
    throw refuse(notRegistered(named, version))
  }
  const internal = own.group === '' ? 'core' : own.group.split('.')[0]
  const from = `${other.version}.${named}`
  throw refuse(`converting (${from}) to (${internal}.${own.kind}): unknown conversion`)
}

function patchedCustom(
  resource: Resource,
  value: JsonObject,
  refuse: (text: string) => Error,
): Patched {
  const object = { ...value, metadata: value.metadata ?? {} } as KubeObject
  checkCustomType(gvkOf(resource), object)
  return { object, unknown: shapeCustom(resource, object, refuse) }
}

/** Ref: apiextensions-apiserver/pkg/registry/customresource/validator.go validateKindVersion */
function checkCustomType(gvk: GroupVersionKind, { kind, apiVersion, metadata }: KubeObject): void {
  const group = parseApiVersion(apiVersion)?.group ?? ''
  const name = metadata.name ?? ''
  if (kind !== gvk.kind) {
    throw invalid({ group, kind }, name, [invalidValue('kind', kind, `must be ${gvk.kind}`)])
  }
  const expected = apiVersionOf(gvk)
  if (apiVersion !== expected) {
    throw invalid({ group, kind }, name, [
      invalidValue('apiVersion', apiVersion, `must be ${expected}`),
    ])
  }
}

/** DeleteOptions as clients send them: istiod, for one, sends them under the group of what it deletes. */
export function decodeDeleteOptions(ctx: RequestContext, body: Buffer): JsonObject {
  const type = bareMediaType(ctx.request.header('content-type') ?? '')
  if (type.endsWith('protobuf')) {
    return decodeObject(body, {
      format: 'protobuf',
      gvk: DELETE_OPTIONS,
      builtin: true,
      strict: false,
    }).object
  }
  try {
    const value = type.endsWith('yaml') ? parseYaml(body, { strict: false }).value : parseJson(body)
    if (value === null) return {}
    if (isObject(value)) {
      refuseOtherKind(value)
      return value
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw unreadableOptions(error.message)
  }
  throw unreadableOptions('the body is no object')
}

function refuseOtherKind({ kind, apiVersion }: JsonObject): void {
  if (typeof kind !== 'string' || kind === '' || kind === DELETE_OPTIONS.kind) return
  throw badRequest(notRegistered(kind, typeof apiVersion === 'string' ? apiVersion : ''))
}

/** What Go's scheme says of a kind it does not know. */
function notRegistered(kind: string, apiVersion: string): string {
  const [shown, version] = [JSON.stringify(kind), JSON.stringify(apiVersion)]
  return `no kind ${shown} is registered for version ${version} in scheme "pkg/runtime/scheme.go:111"`
}

const unreadableOptions = (why: string): Error =>
  badRequest(
    `the object provided is unrecognized (must be of type DeleteOptions): couldn't get version/kind; json parse error: ${why}`,
  )

/** Brings what a webhook made back into the resource's shape. Throws DecodeError. */
export function normalizeObject(obj: KubeObject, resource: Resource): KubeObject {
  if (resource.custom !== undefined) {
    shapeCustom(resource, obj, text => new DecodeError(text))
    return obj
  }
  const { object } = decodeTyped(obj, resource.schema)
  const typed = {
    ...object,
    apiVersion: obj.apiVersion,
    kind: obj.kind,
    metadata: object.metadata ?? {},
  } as KubeObject
  resource.strategy.default?.(typed)
  return typed
}
