// What both kinds of discovery say of a resource: the verbs it offers and its subresources.
// Called by discovery.ts and aggregated.ts.

import type { Resource, Subresource } from '../resource.ts'

/** Ref: apiextensions-apiserver/pkg/apiserver/customresource_discovery_controller.go */
export function offeredVerbs({ verbs, isTerminating }: Resource): string[] {
  return verbs.filter(
    verb => isTerminating !== true || !['patch', 'create', 'update'].includes(verb),
  )
}

type WithGvk = Subresource & { gvk: NonNullable<Extract<Subresource, { type: 'virtual' }>['gvk']> }

export const isForeign = (sub: Subresource): sub is WithGvk =>
  sub.type !== 'stored' && sub.gvk !== undefined

/** By name, but a CRD lists status before scale, as upstream does. */
export function subresourcesOf(resource: Resource): [string, Subresource][] {
  const entries = [...resource.subresources]
  return resource.crd === undefined ? entries.sort(([a], [b]) => (a < b ? -1 : 1)) : entries
}
