// Who owns the fields of what is written, and the owners an object names: the parts of metadata that a write derives.
// Called by create-object.ts, update-object.ts and verbs/*; calls managed fields.
// Ref: apimachinery/pkg/util/managedfields, handlers/rest.go

import {
  apiVersionOf,
  equalJson,
  type JsonObject,
  type KubeObject,
  type OwnerReference,
  parseApiVersion,
  type SchemaNode,
  trackUpdate,
} from '@podless/apimachinery'
import type { RequestContext } from '../context.ts'
import type { Resource, RuleContext } from '../resource.ts'
import type { WriteOptions } from './write-options.ts'

/**
 * A write that leaves everything but the times in managedFields as it is, leaves those too.
 * Ref: apimachinery/pkg/util/managedfields IgnoreManagedFieldsTimestampsTransformer
 */
export function keepTimes(next: KubeObject, live: KubeObject): void {
  const { managedFields } = live.metadata
  if (managedFields === undefined || next.metadata.managedFields === undefined) return
  if (equalJson(withoutTimes(next), withoutTimes(live))) next.metadata.managedFields = managedFields
}

function withoutTimes({ metadata, ...rest }: KubeObject): JsonObject {
  const { resourceVersion: _revision, managedFields = [], ...meta } = metadata
  const entries = managedFields.map(({ time: _time, ...entry }) => entry)
  return { ...rest, metadata: { ...meta, managedFields: entries } }
}

export const AFTER_ADMISSION = ' after mutating admission happens'

/** An owner named twice in the same words counts once. Ref: apiserver/pkg/endpoints/handlers/rest.go dedupOwnerReferences */
export function dedupOwners(
  { metadata }: KubeObject,
  warn: RuleContext['warn'],
  when: string,
): void {
  const { ownerReferences = [] } = metadata
  if (ownerReferences.length < 2) return
  const kept = new Map<string, (typeof ownerReferences)[number]>()
  const doubled: string[] = []
  for (const owner of ownerReferences) {
    const key = ownerKey(owner)
    if (kept.has(key)) doubled.push(owner.uid)
    else kept.set(key, owner)
  }
  if (doubled.length === 0) return
  warn(
    `.metadata.ownerReferences contains duplicate entries${when}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ${doubled.join(', ')}`,
  )
  metadata.ownerReferences = [...kept.values()]
}

/** The same text for equal owners: there may be as many as a body holds, too many to compare each with each. */
function ownerKey(owner: OwnerReference): string {
  const present = Object.entries(owner).filter(([, value]) => value !== undefined)
  return JSON.stringify(present.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** What this door resets, and a writer therefore does not own. Ref: rest.ResetFieldsStrategy */
export function resetFieldsOf({
  resource,
  subresource,
}: RequestContext): readonly (readonly string[])[] {
  if (subresource?.type === 'stored' && subresource.resetFields !== undefined) {
    return subresource.resetFields
  }
  if (subresource !== undefined) {
    return resource.crd === undefined ? [['spec']] : [['metadata'], ['spec']]
  }
  if (resource.resetFields !== undefined) return resource.resetFields
  return resource.dropStatusOnCreate === undefined ? [] : [['status']]
}

/** The schema of another version of the same custom resource. */
function otherSchema(
  { gvr, schemaOfVersion }: Resource,
  apiVersion: string,
): SchemaNode | undefined {
  const parsed = parseApiVersion(apiVersion)
  return parsed?.group === gvr.group ? schemaOfVersion?.(parsed.version) : undefined
}

/** Writes into `next` who owns its fields after this request. */
export function trackManager(
  ctx: RequestContext,
  live: KubeObject | undefined,
  next: KubeObject,
  write: WriteOptions,
): void {
  const { resource, info, server } = ctx
  const managedFields = trackUpdate({
    schema: resource.schema,
    apiVersion: apiVersionOf(resource.gvr),
    live,
    updated: next,
    manager: write.manager,
    subresource: info.subresource,
    now: server.now(),
    resetFields: resetFieldsOf(ctx),
    schemaOf: apiVersion => otherSchema(resource, apiVersion),
  })
  if (managedFields === undefined || managedFields.length === 0) delete next.metadata.managedFields
  else next.metadata.managedFields = managedFields
}
