// GET of a collection. Ref: apiserver/pkg/endpoints/handlers/get.go ListResource

import { badRequest, expired } from '@podless/apimachinery'
import { ContinueError, ContinueExpiredError, listConsistency } from '@podless/storage'
import { collectionOf, collectionOptions } from '../collection.ts'
import type { RequestContext } from '../context.ts'
import { toStatus } from '../errors.ts'
import type { Reply } from '../exchange.ts'
import { chooseMedia, respondList } from '../respond.ts'

export async function list(ctx: RequestContext): Promise<Reply> {
  const { resource, server } = ctx
  chooseMedia(ctx)
  const options = collectionOptions(ctx)
  const { prefix, predicate } = collectionOf(ctx, options)
  try {
    const answer = await server.storage.list({
      prefix,
      consistency: listConsistency(options),
      limit: options.limit,
      ...(options.continue === '' ? {} : { continue: options.continue }),
      ...(predicate === undefined ? {} : { predicate }),
      signal: ctx.request.signal,
    })
    return respondList(ctx, answer)
  } catch (error) {
    throw toStatus(error, { gr: resource.gvr, name: '', verb: 'list' })
  }
}
