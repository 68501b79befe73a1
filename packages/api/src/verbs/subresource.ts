// GET and POST of subresources that have a body of their own kind (scale, token), and GET of stored ones (status).
// Ref: apiserver/pkg/endpoints/handlers/{get,create}.go NamedCreater

import { notFound, parseCreateOptions, parseGetOptions } from '@podless/apimachinery'
import type { StoredObject } from '@podless/storage'
import { getConsistency } from '@podless/storage'
import { type RequestContext, ruleContext } from '../context.ts'
import { methodNotAllowed, toStatus } from '../errors.ts'
import { decodeBody } from '../objects/decode.ts'
import { chooseMedia, respondObject, respondStored } from '../objects/respond.ts'
import { convertStored, decodeStored, keyOf } from '../objects/stored-form.ts'
import type { Reply } from '../serving/exchange.ts'

export async function getSubresource(ctx: RequestContext): Promise<Reply> {
  const { subresource, resource } = ctx
  chooseMedia(ctx)
  const { resourceVersion } = parseGetOptions(ctx.query)
  const stored = await parentOf(ctx, resourceVersion)
  if (subresource?.type !== 'virtual') return respondStored(ctx, stored)
  if (subresource.get === undefined) throw methodNotAllowed()
  return respondObject(
    ctx,
    subresource.get(decodeStored(stored, resource), ruleContext(ctx, false)),
  )
}

export async function createSubresource(ctx: RequestContext): Promise<Reply> {
  const { subresource, resource } = ctx
  chooseMedia(ctx)
  if (subresource?.type !== 'virtual' || subresource.create === undefined) throw methodNotAllowed()
  const options = parseCreateOptions(ctx.query)
  const body = await decodeBody(ctx, options.fieldValidation)
  const stored = await parentOf(ctx, '')
  const rules = ruleContext(ctx, options.dryRun)
  return respondObject(
    ctx,
    await subresource.create(body, decodeStored(stored, resource), rules),
    201,
  )
}

async function parentOf(ctx: RequestContext, resourceVersion: string): Promise<StoredObject> {
  const { resource, info, server } = ctx
  try {
    const key = keyOf(resource, info.namespace, info.name)
    const stored = await server.storage.get(key, getConsistency(resourceVersion), {
      signal: ctx.request.signal,
    })
    if (stored === undefined) throw notFound(resource.gvr, info.name)
    await convertStored([stored], resource)
    return stored
  } catch (error) {
    throw toStatus(error, { gr: resource.gvr, name: info.name, verb: 'get' })
  }
}
