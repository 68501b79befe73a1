// The answer to an update or patch: the stored object, or what a dry run or a finished deletion would have left.

import type { KubeObject } from '@podless/apimachinery'
import type { RequestContext } from '../context.ts'
import { respondObject, respondStored } from '../objects/respond.ts'
import type { Reply } from '../serving/exchange.ts'
import type { Written } from '../writing/write.ts'

export function respondWritten(
  ctx: RequestContext,
  { stored, object, created }: Written,
): Reply | Promise<Reply> {
  const code = created ? 201 : 200
  return stored === undefined ? respondObject(ctx, object, code) : respondStored(ctx, stored, code)
}

/** The object with the resourceVersion it got. */
export function asStored({ stored, object }: Written): KubeObject {
  if (stored === undefined) return object
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(stored.revision) } }
}
