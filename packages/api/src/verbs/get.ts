// GET of one object. Ref: apiserver/pkg/endpoints/handlers/get.go

import { notFound, parseGetOptions } from '@podless/apimachinery'
import { getConsistency } from '@podless/storage'
import type { RequestContext } from '../context.ts'
import { toStatus } from '../errors.ts'
import { chooseMedia, respondStored } from '../objects/respond.ts'
import { keyOf } from '../objects/stored-form.ts'
import type { Reply } from '../serving/exchange.ts'

export async function get(ctx: RequestContext): Promise<Reply> {
  const { resource, info, server } = ctx
  chooseMedia(ctx)
  const { resourceVersion } = parseGetOptions(ctx.query)
  try {
    const key = keyOf(resource, info.namespace, info.name)
    const stored = await server.storage.get(key, getConsistency(resourceVersion))
    if (stored === undefined) throw notFound(resource.gvr, info.name)
    return respondStored(ctx, stored)
  } catch (error) {
    throw toStatus(error, { gr: resource.gvr, name: info.name, verb: 'get' })
  }
}
