// DELETE of a collection: everything the selectors match, each by the rules of a single deletion.
// Ref: apiserver/pkg/registry/generic/registry/store.go DeleteCollection

import { StatusError } from '@podless/apimachinery'
import { listConsistency } from '@podless/storage'
import { collectionOf, collectionOptions } from '../collection.ts'
import type { RequestContext } from '../context.ts'
import { toStatus } from '../errors.ts'
import type { Reply } from '../exchange.ts'
import { chooseMedia, respondList } from '../respond.ts'
import { deleteObject, deleteOptionsOf } from './delete.ts'

/** Deletions under way at once. Ref: DeleteCollectionWorkers, sized so that one batch shares one sync. */
const PARALLEL = 64

export async function deleteCollection(ctx: RequestContext): Promise<Reply> {
  const { resource, server } = ctx
  chooseMedia(ctx)
  const listOptions = collectionOptions(ctx)
  const options = await deleteOptionsOf(ctx)
  const { prefix, predicate } = collectionOf(ctx, listOptions)
  try {
    const answer = await server.storage.list({
      prefix,
      consistency: listConsistency(listOptions),
      limit: listOptions.limit,
      ...(listOptions.continue === '' ? {} : { continue: listOptions.continue }),
      ...(predicate === undefined ? {} : { predicate }),
    })
    for (let i = 0; i < answer.items.length; i += PARALLEL) {
      const batch = answer.items.slice(i, i + PARALLEL)
      await Promise.all(batch.map(({ header }) => deleteOne(ctx, header.namespace, header.name, options)))
    }
    return respondList(ctx, answer)
  } catch (error) {
    throw toStatus(error, { gr: resource.gvr, name: '', verb: 'delete' })
  }
}

/** Someone else may have been faster: gone is what was asked for. */
async function deleteOne(...[ctx, namespace, name, options]: Parameters<typeof deleteObject>): Promise<void> {
  try {
    await deleteObject(ctx, namespace, name, options)
  } catch (error) {
    if (!(error instanceof StatusError && error.code === 404)) throw error
  }
}
