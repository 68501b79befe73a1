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
  decodeJsonPatch,
  type FieldValidation,
  failure,
  isObject,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  parsePatchOptions,
} from '@podless/apimachinery'
import { type RequestContext, ruleContext } from '../context.ts'
import { decodeApplied, decodePatch, decodePatched } from '../decode.ts'
import { methodNotAllowed } from '../errors.ts'
import type { Reply } from '../exchange.ts'
import { chooseMedia, respondObject } from '../respond.ts'
import {
  createObject,
  matchName,
  matchNamespace,
  resetFieldsOf,
  updateObject,
  type WriteOptions,
  writeOptionsOf,
} from '../write.ts'
import { respondWritten } from './respond-written.ts'

const APPLY = 'application/apply-patch+yaml'

type Mechanism = (
  ctx: RequestContext,
  body: Buffer,
  validation: FieldValidation,
) => (live: KubeObject) => JsonObject

/** Content type -> how its patches apply. Each reads its body once and may be run again on newer state. */
const MECHANISMS: Readonly<Record<string, Mechanism>> = {
  'application/json-patch+json': (ctx, body, validation) => {
    const patch = decodePatch(body, 'error decoding patch: ')
    const { operations, strictErrors } = decodeJsonPatch(patch, { strict: validation === 'Strict' })
    for (const text of validation === 'Ignore' ? [] : strictErrors) ctx.warn(text)
    return live => objectOf(applyJsonPatch(live, operations))
  },
  'application/merge-patch+json': (_ctx, body) => {
    const patch = decodePatch(body, 'error decoding patch: ')
    return live => objectOf(applyMergePatch(live, patch, { strict: true }))
  },
  'application/strategic-merge-patch+json': (ctx, body) => {
    const patch = decodePatch(body, '')
    return live => applyStrategicMergePatch(live, patch, ctx.resource.schema)
  },
}

export async function patch(ctx: RequestContext): Promise<Reply> {
  const { resource, subresource } = ctx
  chooseMedia(ctx)
  const type = bareMediaType(ctx.request.header('content-type') ?? '')
  const isApply = type === APPLY
  const mechanism = MECHANISMS[type]
  const strategicCustom =
    type === 'application/strategic-merge-patch+json' && resource.crd !== undefined
  if (!isApply && mechanism === undefined) throw unsupported('415: Unsupported Media Type', {})
  if (strategicCustom) throw unsupported(acceptedByCustom(type))
  const options = parsePatchOptions(ctx.query, isApply)
  const body = await ctx.request.body()
  const write = writeOptionsOf(ctx, 'PatchOptions', options)
  if (isApply)
    return await applyPatch(ctx, body, options.force === true, options.fieldValidation, write)
  const change = mechanism!(ctx, body, options.fieldValidation)
  if (subresource?.type === 'virtual')
    return await patchVirtual(ctx, change, options.fieldValidation, write)
  const next = (live: KubeObject): KubeObject => {
    const made = decodePatched(ctx, change(live), options.fieldValidation)
    matchName(ctx, made)
    matchNamespace(ctx, made)
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

function acceptedByCustom(_type: string): string {
  const accepted = ['application/json-patch+json', 'application/merge-patch+json', APPLY]
  return `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`
}

function objectOf(value: JsonValue): JsonObject {
  if (isObject(value)) return value
  throw badRequest('the patch does not leave an object')
}

/** Scale and its like: patch the view, then carry it over to the parent. */
async function patchVirtual(
  ctx: RequestContext,
  change: (live: KubeObject) => JsonObject,
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
  const { get, update } = subresource
  const rules = ruleContext(ctx, write.dryRun)
  const next = (live: KubeObject): KubeObject => {
    const view = decodePatched(ctx, change(get(live, rules)), validation)
    return update(view, live, rules)
  }
  const written = await updateObject(ctx, { next, retry: true }, write)
  const parent =
    written.stored === undefined
      ? written.object
      : {
          ...written.object,
          metadata: {
            ...written.object.metadata,
            resourceVersion: String(written.stored.revision),
          },
        }
  return respondObject(ctx, get(parent, rules))
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
    const made = decodePatched(ctx, result.object, 'Ignore')
    if ((made.metadata.name ?? '') === '') made.metadata.name = info.name
    matchName(ctx, made)
    matchNamespace(ctx, made)
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
