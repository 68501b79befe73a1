// GET of a collection. Ref: apiserver/pkg/endpoints/handlers/get.go ListResource

import type { ListOptions } from '@podless/apimachinery'
import { type ListResult, listConsistency } from '@podless/storage'
import type { RequestContext } from '../context.ts'
import { toStatus } from '../errors.ts'
import { type Collection, collectionOf, collectionOptions } from '../objects/collection.ts'
import { chooseMedia, respondList } from '../objects/respond.ts'
import { convertStored } from '../objects/stored-form.ts'
import type { Reply } from '../serving/exchange.ts'

export async function list(ctx: RequestContext): Promise<Reply> {
  chooseMedia(ctx)
  const options = collectionOptions(ctx)
  return respondList(ctx, await readCollection(ctx, collectionOf(ctx, options), options))
}

/** One page of what the request selects. Throws 400, 410, 504. */
export async function readCollection(
  ctx: RequestContext,
  { prefix, key, predicate }: Collection,
  options: ListOptions,
): Promise<ListResult> {
  const { resource, server, request } = ctx
  try {
    const consistency = listConsistency(options)
    // One object is looked up, not searched for, where no older state is asked for.
    if (key !== undefined && consistency.type !== 'exact' && options.continue === '') {
      const { stored, revision } = await server.storage.getAt(key, consistency)
      const items = stored !== undefined && predicate?.(stored) !== false ? [stored] : []
      return { items, revision }
    }
    if (predicate !== undefined && resource.conversion !== undefined)
      await convertStored([...server.cacher.list(prefix)], resource)
    return await server.storage.list({
      prefix,
      consistency,
      limit: options.limit,
      ...(options.continue === '' ? {} : { continue: options.continue }),
      ...(predicate === undefined ? {} : { predicate }),
      signal: request.signal,
    })
  } catch (error) {
    throw toStatus(error, { gr: resource.gvr, name: '', verb: 'list' })
  }
}
