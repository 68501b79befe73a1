// Writes through a subresource that shows a part of its parent as a kind of its own, as /scale does: the view is changed,
// carried over to the parent, and so is who owns what. Called by update.ts and patch.ts.
// Ref: kubernetes/pkg/registry/apps/deployment/storage, apiextensions-apiserver/pkg/registry/customresource/etcd.go

import {
  apiVersionOf,
  type KubeObject,
  type ManagedFieldsEntry,
  parentEntries,
  scaleEntries,
  trackUpdate,
} from '@podless/apimachinery'
import { type RequestContext, ruleContext } from '../context.ts'
import { methodNotAllowed } from '../errors.ts'
import { respondObject } from '../objects/respond.ts'
import type { VirtualSubresource } from '../resource.ts'
import type { Reply } from '../serving/exchange.ts'
import { updateObject } from '../writing/update-object.ts'
import type { WriteOptions } from '../writing/write-options.ts'
import { asStored } from './respond-written.ts'

/** What a request makes of the view, whose owners are `owners`. */
export type ViewChange = (
  view: KubeObject,
  owners: ManagedFieldsEntry[] | undefined,
) => {
  readonly view: KubeObject
  /** Who owns the changed view, where the change settles that itself, as an apply does. */
  readonly owners?: ManagedFieldsEntry[]
}

type WritableDoor = VirtualSubresource &
  Required<Pick<VirtualSubresource, 'get' | 'update' | 'replicasPaths'>>

/** Answers the view of what was stored. `retry`: on a conflict, change the newer view instead. Throws 405. */
export async function writeView(
  ctx: RequestContext,
  write: WriteOptions,
  { change, retry }: { change: ViewChange; retry: boolean },
): Promise<Reply> {
  const door = writableDoor(ctx)
  const rules = ruleContext(ctx, write.dryRun)
  const { get, update, before = (live: KubeObject) => get(live, rules), replicasPaths } = door
  const apiVersion = apiVersionOf(ctx.resource.gvr)
  const next = (live: KubeObject): KubeObject => {
    const all = live.metadata.managedFields ?? []
    const owners = scaleEntries(all, replicasPaths)
    const shown = before(live)
    const changed = change(shown, owners)
    const settled =
      changed.owners ?? trackView(ctx, door, write, withOwners(shown, owners), changed.view)
    const made = update(changed.view, live, rules)
    return withOwners(made, parentEntries(all, settled ?? [], { apiVersion, paths: replicasPaths }))
  }
  const written = await updateObject(ctx, { next, retry }, { ...write, tracksItself: true })
  return respondObject(ctx, get(asStored(written), rules))
}

function writableDoor({ subresource }: RequestContext): WritableDoor {
  if (subresource?.type !== 'virtual') throw methodNotAllowed()
  const { get, update, replicasPaths } = subresource
  if (get === undefined || update === undefined || replicasPaths === undefined)
    throw methodNotAllowed()
  return { ...subresource, schema: subresource.schema, get, update, replicasPaths }
}

function trackView(
  { server, info }: RequestContext,
  { schema, gvk }: VirtualSubresource,
  { manager }: WriteOptions,
  live: KubeObject,
  updated: KubeObject,
): ManagedFieldsEntry[] | undefined {
  return trackUpdate({
    schema,
    apiVersion: apiVersionOf(gvk),
    live,
    updated,
    manager,
    subresource: info.subresource,
    now: server.now(),
  })
}

export function withOwners(
  object: KubeObject,
  managedFields: ManagedFieldsEntry[] | undefined,
): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata
  const owned = managedFields === undefined ? metadata : { ...metadata, managedFields }
  return { ...object, metadata: owned } as KubeObject
}
