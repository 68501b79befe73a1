// PUT of an object, of one of its stored subresources, or of a virtual one that writes back to it (scale).
// Ref: apiserver/pkg/endpoints/handlers/update.go

import { parseUpdateOptions } from '@podless/apimachinery'
import { type RequestContext, ruleContext } from '../context.ts'
import { decodeBody } from '../decode.ts'
import { methodNotAllowed } from '../errors.ts'
import type { Reply } from '../exchange.ts'
import { chooseMedia, respondObject } from '../respond.ts'
import { checkIdentity, createObject, updateObject } from '../write.ts'
import { matchName, matchNamespace, writeOptionsOf } from '../write-options.ts'
import { asStored, respondWritten } from './respond-written.ts'

export async function update(ctx: RequestContext): Promise<Reply> {
  const { resource, subresource } = ctx
  chooseMedia(ctx)
  const options = parseUpdateOptions(ctx.query)
  const sent = await decodeBody(ctx, options.fieldValidation)
  matchNamespace(ctx, sent)
  matchName(ctx, sent)
  const write = writeOptionsOf(ctx, 'UpdateOptions', options)
  if (subresource?.type === 'virtual') {
    const { update: apply, get } = subresource
    if (apply === undefined || get === undefined) throw methodNotAllowed()
    const rules = ruleContext(ctx, options.dryRun)
    const written = await updateObject(
      ctx,
      { next: live => apply(sent, live, rules), retry: false },
      write,
    )
    return respondObject(ctx, get(asStored(written), rules))
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
