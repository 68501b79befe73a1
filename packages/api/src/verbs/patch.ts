// PATCH: one of four mechanisms makes the wanted object from the live one; update's path does the rest.
// Ref: apiserver/pkg/endpoints/handlers/patch.go

import {
  apiVersionOf,
  applyConfiguration,
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  badRequest,
  bareMediaType,
  conflict,
  decodeJsonPatch,
  type FieldValidation,
  failure,
  isObject,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  parsePatchOptions,
  printGo,
} from '@podless/apimachinery'
import { type RequestContext, ruleContext } from '../context.ts'
import { decodeApplied, decodePatch, decodePatched } from '../decode.ts'
import { methodNotAllowed } from '../errors.ts'
import type { Reply } from '../exchange.ts'
import { resetFieldsOf } from '../ownership.ts'
import { chooseMedia, respondObject } from '../respond.ts'
import { createObject, updateObject } from '../write.ts'
import { matchName, matchNamespace, type WriteOptions, writeOptionsOf } from '../write-options.ts'
import { asStored, respondWritten } from './respond-written.ts'

const APPLY = 'application/apply-patch+yaml'

/** What a patch of one sort does to an object. */
interface Change {
  readonly apply: (live: KubeObject) => JsonObject
  readonly strictErrors: readonly string[]
  /** What a refusal of the result shows: the result, unless given. */
  readonly shown?: string
  readonly reflective?: boolean
}

type Mechanism = (ctx: RequestContext, body: Buffer, validation: FieldValidation) => Change

/** Content type -> how its patches apply. Each reads its body once and may be run again on newer state. */
const MECHANISMS: Readonly<Record<string, Mechanism>> = {
  'application/json-patch+json': (_ctx, body, validation) => {
    const strict = validation !== 'Ignore'
    const patch = decodePatch(body, strict ? DECODING_PATCH : '', validation)
    const { operations, strictErrors } = decodeJsonPatch(patch.value, { strict })
    const doubled = patch.strictErrors.map(text => `json patch ${text}`)
    return {
      apply: live => objectOf(applyJsonPatch(live, operations)),
      strictErrors: [...doubled, ...(strict ? strictErrors : [])],
    }
  },
  'application/merge-patch+json': (_ctx, body, validation) => {
    const patch = decodePatch(body, DECODING_PATCH, validation)
    return {
      apply: live => objectOf(applyMergePatch(live, patch.value, { strict: true })),
      strictErrors: patch.strictErrors,
    }
  },
  'application/strategic-merge-patch+json': ({ resource, subresource }, body, validation) => {
    const patch = decodePatch(body, '', validation)
    const schema = subresource?.type === 'virtual' ? subresource.schema : resource.schema
    return {
      apply: live => applyStrategicMergePatch(live, patch.value, schema),
      strictErrors: patch.strictErrors,
      shown: printGo(patch.value),
      reflective: true,
    }
  },
}

const DECODING_PATCH = 'error decoding patch: '

/** The object that a change makes of the live one, decoded anew. */
function changed(
  ctx: RequestContext,
  { apply, strictErrors, shown, reflective = false }: Change,
  live: KubeObject,
  validation: FieldValidation,
): KubeObject {
  const value = apply(live)
  return decodePatched(ctx, value, {
    validation,
    strictErrors,
    shown: shown ?? JSON.stringify(value),
    reflective,
  })
}

export async function patch(ctx: RequestContext): Promise<Reply> {
  const { resource, subresource } = ctx
  chooseMedia(ctx)
  const type = bareMediaType(ctx.request.header('content-type') ?? '')
  const isApply = type === APPLY
  const mechanism = Object.hasOwn(MECHANISMS, type) ? MECHANISMS[type] : undefined
  const strategicCustom =
    type === 'application/strategic-merge-patch+json' && resource.crd !== undefined
  if (!isApply && mechanism === undefined) throw unsupported('415: Unsupported Media Type', {})
  if (strategicCustom) throw unsupported(acceptedByCustom())
  const options = parsePatchOptions(ctx.query, isApply)
  const body = await ctx.request.body()
  const write = writeOptionsOf(ctx, 'PatchOptions', options)
  if (isApply)
    return await applyPatch(ctx, body, options.force === true, options.fieldValidation, write)
  const change = mechanism!(ctx, body, options.fieldValidation)
  if (subresource?.type === 'virtual')
    return await patchVirtual(ctx, change, options.fieldValidation, write)
  const next = (live: KubeObject): KubeObject => {
    const made = changed(ctx, change, live, options.fieldValidation)
    matchNamespace(ctx, made)
    matchName(ctx, made)
    return made
  }
  return respondWritten(
    ctx,
    await updateObject(
      ctx,
      { next, retry: true },
      { ...write, options: { ...write.options, kind: 'UpdateOptions' } },
    ),
  )
}

function unsupported(message: string, details?: JsonObject) {
  return failure({
    code: 415,
    reason: 'UnsupportedMediaType',
    message,
    ...(details === undefined ? {} : { details }),
  })
}

function acceptedByCustom(): string {
  // Upstream names the last one twice.
  const accepted = ['application/json-patch+json', 'application/merge-patch+json', APPLY, APPLY]
  return `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`
}

function objectOf(value: JsonValue): JsonObject {
  if (isObject(value)) return value
  throw badRequest('the patch does not leave an object')
}

/** Scale and its like: patch the view, then carry it over to the parent. */
async function patchVirtual(
  ctx: RequestContext,
  change: Change,
  validation: FieldValidation,
  write: WriteOptions,
): Promise<Reply> {
  const { subresource } = ctx
  if (
    subresource?.type !== 'virtual' ||
    subresource.get === undefined ||
    subresource.update === undefined
  )
    throw methodNotAllowed()
  const rules = ruleContext(ctx, write.dryRun)
  const { get, update, before = (live: KubeObject) => get(live, rules) } = subresource
  const next = (live: KubeObject): KubeObject => {
    const view = changed(ctx, change, before(live), validation)
    return update(view, live, rules)
  }
  const written = await updateObject(ctx, { next, retry: true }, write)
  return respondObject(ctx, get(asStored(written), rules))
}

/** A configuration that names a uid is about an object that was there. */
function checkUnborn({ resource, info }: RequestContext, { metadata }: KubeObject): void {
  const uid = metadata.uid ?? ''
  if (uid === '') return
  throw conflict(
    resource.gvr,
    info.name,
    `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
  )
}

async function applyPatch(
  ctx: RequestContext,
  body: Buffer,
  force: boolean,
  validation: FieldValidation,
  write: WriteOptions,
): Promise<Reply> {
  const { resource, info, server } = ctx
  if (ctx.subresource?.type === 'virtual') throw methodNotAllowed()
  const applied = decodeApplied(ctx, body, validation)
  const merge = (live: KubeObject | undefined): KubeObject => {
    const result = applyConfiguration({
      schema: resource.schema,
      apiVersion: apiVersionOf(resource.gvr),
      kind: resource.names.kind,
      subresource: info.subresource,
      live,
      applied,
      manager: write.manager,
      force,
      now: server.now(),
      resetFields: resetFieldsOf(ctx),
    })
    const made = decodePatched(ctx, result.object, {
      validation: 'Ignore',
      strictErrors: [],
      shown: '',
      reflective: false,
    })
    if (live === undefined) checkUnborn(ctx, made)
    matchNamespace(ctx, made)
    matchName(ctx, made)
    if (result.managedFields === undefined) delete made.metadata.managedFields
    else made.metadata.managedFields = result.managedFields
    return made
  }
  const tracked = { ...write, tracksItself: true }
  const createAbsent =
    info.subresource === ''
      ? () =>
          createObject(ctx, merge(undefined), {
            ...tracked,
            instead: true,
            options: { ...write.options, kind: 'CreateOptions' },
          })
      : undefined
  const request = {
    next: merge,
    retry: true,
    ...(createAbsent === undefined ? {} : { createAbsent }),
  }
  return respondWritten(
    ctx,
    await updateObject(ctx, request, {
      ...tracked,
      options: { ...write.options, kind: 'UpdateOptions' },
    }),
  )
}
