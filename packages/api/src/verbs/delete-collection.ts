// DELETE of a collection: everything the selectors match, each by the rules of a single deletion.
// Ref: apiserver/pkg/registry/generic/registry/store.go DeleteCollection

import { StatusError } from '@podless/apimachinery'
import { inBatches } from '../batches.ts'
import type { RequestContext } from '../context.ts'
import { collectionOf, collectionOptions } from '../objects/collection.ts'
import { chooseMedia, respondList } from '../objects/respond.ts'
import type { Reply } from '../serving/exchange.ts'
import { deleteObject, deleteOptionsOf } from './delete.ts'
import { readCollection } from './list.ts'

export async function deleteCollection(ctx: RequestContext): Promise<Reply> {
  chooseMedia(ctx)
  const listOptions = collectionOptions(ctx)
  const options = await deleteOptionsOf(ctx)
  const answer = await readCollection(ctx, collectionOf(ctx, listOptions), listOptions)
  await inBatches(answer.items, ({ header }) =>
    deleteOne(ctx, header.namespace, header.name, options),
  )
  return respondList(ctx, answer)
}

/** Someone else may have been faster: gone is what was asked for. */
async function deleteOne(
  ...[ctx, namespace, name, options]: Parameters<typeof deleteObject>
): Promise<void> {
  try {
    await deleteObject(ctx, namespace, name, options)
  } catch (error) {
    if (!(error instanceof StatusError && error.code === 404)) throw error
  }
}
