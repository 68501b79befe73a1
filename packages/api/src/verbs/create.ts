// POST to a collection. Ref: apiserver/pkg/endpoints/handlers/create.go

import { parseCreateOptions } from '@podless/apimachinery'
import type { RequestContext } from '../context.ts'
import { ruleContext } from '../context.ts'
import { decodeBody } from '../objects/decode.ts'
import { chooseMedia, respondObject, respondStored } from '../objects/respond.ts'
import type { Reply } from '../serving/exchange.ts'
import { createObject, wipeSystemMetadata } from '../writing/create-object.ts'
import { trackManager } from '../writing/ownership.ts'
import { matchNamespace, writeOptionsOf } from '../writing/write-options.ts'

export async function create(ctx: RequestContext): Promise<Reply> {
  const { resource } = ctx
  chooseMedia(ctx)
  const options = parseCreateOptions(ctx.query)
  const obj = await decodeBody(ctx, options.fieldValidation)
  matchNamespace(ctx, obj)
  wipeSystemMetadata(obj)
  const write = writeOptionsOf(ctx, 'CreateOptions', options)
  if (resource.create !== undefined) {
    trackManager(ctx, undefined, obj, write)
    return respondObject(ctx, await resource.create(obj, ruleContext(ctx, options.dryRun)), 201)
  }
  const written = await createObject(ctx, obj, write)
  return written.stored === undefined
    ? respondObject(ctx, written.object, 201)
    : respondStored(ctx, written.stored, 201)
}
