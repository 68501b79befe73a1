// Which function answers a request: one table from RBAC's verb to the verb's file, and what subresources allow.
// Called by handler-chain.ts.

import type { RequestContext } from '../context.ts'
import type { RequestInfo } from '../request/request-info.ts'
import type { Resource, ResourceVerb, Subresource } from '../resource.ts'
import type { Reply } from '../serving/exchange.ts'
import { create } from './create.ts'
import { deleteVerb } from './delete.ts'
import { deleteCollection } from './delete-collection.ts'
import { get } from './get.ts'
import { list } from './list.ts'
import { nodeOnly } from './node-only.ts'
import { patch } from './patch.ts'
import { createSubresource, getSubresource } from './subresource.ts'
import { update } from './update.ts'
import { watch } from './watch.ts'

export type Verb = (ctx: RequestContext) => Promise<Reply>

const VERBS: Readonly<Record<ResourceVerb, Verb>> = {
  create,
  get,
  list,
  watch,
  update,
  patch,
  delete: deleteVerb,
  deletecollection: deleteCollection,
}

const SUBRESOURCE_VERBS: Readonly<Partial<Record<ResourceVerb, Verb>>> = {
  create: createSubresource,
  get: getSubresource,
  update,
  patch,
}

/** Undefined when the method is not allowed here (405). */
export function verbFor(
  info: RequestInfo,
  subresource: Subresource | undefined,
  resource: Resource,
): Verb | undefined {
  const verb = info.verb as ResourceVerb
  if (subresource !== undefined) {
    if (subresource.type === 'node') return nodeOnly
    return subresource.verbs.includes(verb) ? SUBRESOURCE_VERBS[verb] : undefined
  }
  if (!resource.verbs.includes(verb) || needsNamespace(info, resource)) return undefined
  if (verb === 'create' && info.name !== '' && resource.crd !== undefined) return createAnyName
  return fitsPath(verb, info.name) ? VERBS[verb] : undefined
}

/** Custom resources take a create at any path, and look for the name in the body. Ref: customresource_handler.go */
const createAnyName: Verb = ctx => create({ ...ctx, info: { ...ctx.info, name: '' } })

const NAMED_VERBS: ReadonlySet<ResourceVerb> = new Set([
  'delete',
  'get',
  'patch',
  'update',
  'watch',
])

const ACROSS_NAMESPACES: ReadonlySet<string> = new Set(['list', 'watch'])

/** All namespaces at once can be listed and watched, and nothing else. */
export function needsNamespace({ namespace, verb }: RequestInfo, resource: Resource): boolean {
  return resource.namespaced && namespace === '' && !ACROSS_NAMESPACES.has(verb)
}

/** False when no method at all is served on this path, so that a refusal is a 404: reviews have no names. */
export function isRouted(
  info: RequestInfo,
  subresource: Subresource | undefined,
  resource: Resource,
): boolean {
  if (needsNamespace(info, resource)) return resource.verbs.includes('list')
  const isNamed = info.name !== '' && subresource === undefined
  return !isNamed || resource.verbs.some(verb => NAMED_VERBS.has(verb))
}

/** Objects are created in a collection and changed by name. A watch of one name is the legacy path's. */
function fitsPath(verb: ResourceVerb, name: string): boolean {
  const wantsName: Partial<Record<ResourceVerb, boolean>> = {
    create: false,
    update: true,
    patch: true,
  }
  return wantsName[verb] === undefined || wantsName[verb] === (name !== '')
}
