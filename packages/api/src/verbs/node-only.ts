// exec, attach, portforward, log and proxy need a kubelet; there is none, and the answer says so.
// A missing parent is still 404, as clients tell the two apart.

import { failure, notFound } from '@podless/apimachinery'
import type { RequestContext } from '../context.ts'
import { keyOf } from '../objects/stored-form.ts'
import type { Reply } from '../serving/exchange.ts'

export async function nodeOnly(ctx: RequestContext): Promise<Reply> {
  const { resource, info, server } = ctx
  const stored = await server.storage.get(keyOf(resource, info.namespace, info.name))
  if (stored === undefined) throw notFound(resource.gvr, info.name)
  throw failure({
    code: 501,
    reason: 'NotImplemented',
    message: `${info.resource}/${info.subresource} needs a kubelet, and this API server has no nodes: workloads run elsewhere (on VMs), reach them there`,
    details: { name: info.name, kind: info.resource },
  })
}
