// DELETE of one object; deleteObject is shared with deletecollection. The rules are in ../deletion.ts.
// Ref: apiserver/pkg/endpoints/handlers/delete.go

import {
  type DeleteOptions,
  deleteOptionsFromBody,
  type KubeObject,
  parseDeleteOptions,
  successStatus,
} from '@podless/apimachinery'
import type { AdmissionAttributes } from '../admission/chain.ts'
import { type RequestContext, ruleContext } from '../context.ts'
import { toStatus } from '../errors.ts'
import { decodeDeleteOptions } from '../objects/decode.ts'
import { chooseMedia, encodeValue, respondObject, respondStored } from '../objects/respond.ts'
import { keyOf } from '../objects/stored-form.ts'
import type { Reply } from '../serving/exchange.ts'
import { type DeleteOutcome, deleteStored } from '../writing/deletion.ts'

export async function deleteVerb(ctx: RequestContext): Promise<Reply> {
  const media = chooseMedia(ctx)
  const options = await deleteOptionsOf(ctx)
  const outcome = await deleteObject(ctx, ctx.info.namespace, ctx.info.name, options)
  if (outcome.type === 'pending') {
    return outcome.stored === undefined
      ? respondObject(ctx, outcome.object)
      : respondStored(ctx, outcome.stored)
  }
  if (ctx.resource.returnsDeleted === true) return respondObject(ctx, outcome.object)
  const { gvr } = ctx.resource
  const status = successStatus({
    name: ctx.info.name,
    ...(gvr.group === '' ? {} : { group: gvr.group }),
    kind: gvr.resource,
    uid: outcome.object.metadata.uid!,
  })
  return {
    code: 200,
    contentType: media.contentType,
    body: { type: 'bytes', bytes: encodeValue(status, media) },
  }
}

/** Options from the body when there is one, else from the query. */
export async function deleteOptionsOf(ctx: RequestContext): Promise<DeleteOptions> {
  const body = await ctx.request.body()
  if (body.length === 0) return parseDeleteOptions(ctx.query)
  const fromBody = deleteOptionsFromBody(decodeDeleteOptions(ctx, body))
  return ctx.query.has('dryRun')
    ? { ...fromBody, dryRun: parseDeleteOptions(ctx.query).dryRun }
    : fromBody
}

export async function deleteObject(
  ctx: RequestContext,
  namespace: string,
  name: string,
  options: DeleteOptions,
): Promise<DeleteOutcome> {
  const { resource, server } = ctx
  for (const text of resource.strategy.deletionWarnings?.(options) ?? []) ctx.warn(text)
  const check = (live: KubeObject): Promise<void> =>
    server.admission.validate(attributes(ctx, namespace, name, live, options))
  try {
    const key = keyOf(resource, namespace, name)
    const outcome = await deleteStored(server.storage, {
      resource,
      key,
      name,
      options,
      now: server.now,
      signal: ctx.request.signal,
      check,
    })
    if (outcome.type === 'deleted' && !options.dryRun) {
      resource.strategy.release?.(outcome.object, { ...ruleContext(ctx, false), namespace })
    }
    return outcome
  } catch (error) {
    throw toStatus(error, { gr: resource.gvr, name, verb: 'delete' })
  }
}

function attributes(
  ctx: RequestContext,
  namespace: string,
  name: string,
  live: KubeObject,
  options: DeleteOptions,
): AdmissionAttributes {
  const { dryRun, preconditions, ...rest } = options
  return {
    operation: 'DELETE',
    resource: ctx.resource,
    subresource: '',
    namespace,
    name,
    object: undefined,
    oldObject: live,
    options: {
      kind: 'DeleteOptions',
      apiVersion: 'meta.k8s.io/v1',
      ...(dryRun ? { dryRun: ['All'] } : {}),
      ...(preconditions === undefined ? {} : { preconditions: { ...preconditions } }),
      ...rest,
    },
    dryRun,
    user: ctx.user,
    warn: ctx.warn,
    annotate: ctx.annotate,
    signal: ctx.request.signal,
  }
}
