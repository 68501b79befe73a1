// How a changed object changes its managers: whoever writes a field takes it, whoever's field is
// gone loses it. Called by track-update.ts and apply.ts; calls managers.ts. Ref: structured-merge-
// diff/merge/update.go

import type { JsonObject } from '../json.ts'
import type { ManagedFieldsEntry, ObjectMeta } from '../meta.ts'
import type { SchemaNode } from '../schema/node.ts'
import type { Comparison } from './compare.ts'
import { FieldSet } from './field-set.ts'
import { type Managers, reconcileSet, withSet } from './managers.ts'
import type { TypeDef } from './type-def.ts'

/** What every write must say about its resource. */
export interface OwnershipContext {
  /** The schema of the version written; undefined owns fields as the object's shape suggests. */
  readonly schema: SchemaNode | undefined
  /** `v1`, `apps/v1`: the version of the request. */
  readonly apiVersion: string
  readonly subresource?: string | undefined
  readonly now: Date
  /** Field paths the strategy resets, which a writer therefore neither takes nor owns. */
  readonly resetFields?: readonly (readonly string[])[] | undefined
  /**
   * False for versions no longer served: their managers are forgotten. All are served by default.
   */
  readonly servesVersion?: ((apiVersion: string) => boolean) | undefined
}

/** The comparison without the fields the strategy resets. */
export function withoutReset(comparison: Comparison, context: OwnershipContext): Comparison {
  const reset = resetSetOf(context)
  if (reset.isEmpty) return comparison
  return {
    removed: comparison.removed.recursiveDifference(reset),
    modified: comparison.modified.recursiveDifference(reset),
    added: comparison.added.recursiveDifference(reset),
  }
}

export function resetSetOf(context: OwnershipContext): FieldSet {
  return FieldSet.ofFields(...(context.resetFields ?? []))
}

/**
 * Managers with sets that fit the schema of today; managers of versions that are gone are dropped.
 */
export function reconcileManagers(
  managers: Managers,
  type: TypeDef,
  context: OwnershipContext,
): Managers {
  const kept: Managers = new Map()
  for (const [id, manager] of managers) {
    if (context.servesVersion?.(manager.apiVersion) === false) continue
    const set = reconcileSet(manager.set, type)
    const { entry: _, ...rest } = manager
    kept.set(id, set === manager.set ? manager : { ...rest, set })
  }
  return kept
}

/** What each manager but `self` owns of the fields that were set to something else. */
export function conflictsOf(
  managers: Managers,
  comparison: Comparison,
  self: string | undefined,
): Map<string, FieldSet> {
  const written = comparison.modified.union(comparison.added)
  const conflicts = new Map<string, FieldSet>()
  if (written.isEmpty) return conflicts
  for (const [id, manager] of managers) {
    if (id === self) continue
    const conflict = manager.set.intersection(written)
    if (!conflict.isEmpty) conflicts.set(id, conflict)
  }
  return conflicts
}

/**
 * Takes conflicting and removed fields from every manager but `self`; those left with nothing go.
 */
export function takeFields(
  managers: Managers,
  comparison: Comparison,
  conflicts: ReadonlyMap<string, FieldSet>,
  self: string | undefined,
): void {
  for (const [id, manager] of managers) {
    const conflict = conflicts.get(id)
    let set = conflict === undefined ? manager.set : manager.set.difference(conflict)
    if (id !== self) set = set.difference(comparison.removed)
    const left = withSet(manager, set)
    if (left === undefined) managers.delete(id)
    else managers.set(id, left)
  }
}

export function metadataOf(object: JsonObject | undefined): ObjectMeta {
  const metadata = object?.metadata
  return typeof metadata === 'object' && metadata !== null ? (metadata as ObjectMeta) : {}
}

/** The managedFields of an object; undefined when it has none or they are null. */
export function managedFieldsOf(object: JsonObject | undefined): ManagedFieldsEntry[] | undefined {
  const entries = metadataOf(object).managedFields as ManagedFieldsEntry[] | null | undefined
  return Array.isArray(entries) ? entries : undefined
}

/** The object as ownership sees it. Only what leads to metadata.managedFields is copied. */
export function withoutManagedFields(object: JsonObject): JsonObject {
  if (metadataOf(object).managedFields === undefined) return object
  const { managedFields: _, ...metadata } = metadataOf(object)
  return { ...object, metadata }
}
