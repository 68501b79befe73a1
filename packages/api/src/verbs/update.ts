// PUT of an object, of one of its stored subresources, or of a virtual one that writes back to it (scale).
// Ref: apiserver/pkg/endpoints/handlers/update.go

import { parseUpdateOptions } from '@podless/apimachinery'
import type { RequestContext } from '../context.ts'
import { decodeBody } from '../objects/decode.ts'
import { chooseMedia } from '../objects/respond.ts'
import type { Reply } from '../serving/exchange.ts'
import { createObject } from '../writing/create-object.ts'
import { checkIdentity, updateObject } from '../writing/update-object.ts'
import { matchName, matchNamespace, writeOptionsOf } from '../writing/write-options.ts'
import { respondWritten } from './respond-written.ts'
import { writeView } from './write-view.ts'

export async function update(ctx: RequestContext): Promise<Reply> {
  const { resource, subresource } = ctx
  chooseMedia(ctx)
  const options = parseUpdateOptions(ctx.query)
  const sent = await decodeBody(ctx, options.fieldValidation)
  matchNamespace(ctx, sent)
  matchName(ctx, sent)
  const write = writeOptionsOf(ctx, 'UpdateOptions', options)
  if (subresource?.type === 'virtual') {
    return await writeView(ctx, write, { change: () => ({ view: sent }), retry: false })
  }
  const hasRevision = (sent.metadata.resourceVersion ?? '') !== ''
  const mayCreate = resource.strategy.allowCreateOnUpdate === true && subresource === undefined
  const written = await updateObject(
    ctx,
    {
      next: () => structuredClone(sent),
      retry: !hasRevision,
      ...(mayCreate
        ? {
            createAbsent: () => {
              checkIdentity(ctx, sent, { metadata: {} })
              return createObject(ctx, structuredClone(sent), {
                ...write,
                instead: true,
                options: { ...write.options, kind: 'CreateOptions' },
              })
            },
          }
        : {}),
    },
    write,
  )
  return respondWritten(ctx, written)
}
