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
  type GroupVersionKind,
  isObject,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  parsePatchOptions,
  printGo,
} from '@podless/apimachinery'
import type { RequestContext } from '../context.ts'
import { decodeApplied, decodePatch, decodePatched } from '../objects/decode.ts'
import { chooseMedia } from '../objects/respond.ts'
import type { Reply } from '../serving/exchange.ts'
import { createObject } from '../writing/create-object.ts'
import { resetFieldsOf } from '../writing/ownership.ts'
import { updateObject } from '../writing/update-object.ts'
import {
  matchName,
  matchNamespace,
  type WriteOptions,
  writeOptionsOf,
} from '../writing/write-options.ts'
import { respondWritten } from './respond-written.ts'
import { type ViewChange, withOwners, writeView } from './write-view.ts'

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
  if (subresource?.type === 'virtual') {
    const changeView = (view: KubeObject) => ({
      view: changed(ctx, change, view, options.fieldValidation),
    })
    return await writeView(ctx, write, { change: changeView, retry: true })
  }
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

const typeOf = (gvk: GroupVersionKind) => ({ apiVersion: apiVersionOf(gvk), kind: gvk.kind })

async function applyPatch(
  ctx: RequestContext,
  body: Buffer,
  force: boolean,
  validation: FieldValidation,
  write: WriteOptions,
): Promise<Reply> {
  const { resource, subresource, info, server } = ctx
  const applied = decodeApplied(ctx, body, validation)
  const isView = subresource?.type === 'virtual'
  const target = isView
    ? { schema: subresource.schema, ...typeOf(subresource.gvk) }
    : { schema: resource.schema, ...typeOf({ ...resource.gvr, kind: resource.names.kind }) }
  const merge = (live: KubeObject | undefined): KubeObject => {
    const result = applyConfiguration({
      ...target,
      subresource: info.subresource,
      live,
      applied,
      manager: write.manager,
      force,
      now: server.now(),
      resetFields: isView ? [] : resetFieldsOf(ctx),
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
    return withOwners(made, result.managedFields)
  }
  if (isView) {
    const change: ViewChange = (view, owners) => {
      const made = merge(withOwners(view, owners))
      return { view: made, owners: made.metadata.managedFields ?? [] }
    }
    return await writeView(ctx, write, { change, retry: true })
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
