// Who owns the replicas of an object, seen through its scale subresource and carried back. Called by the API's writes
// through /scale; calls managers.ts. Ref: apimachinery/pkg/util/managedfields/scalehandler.go

import type { ManagedFieldsEntry } from '../meta.ts'
import { FieldSet } from './field-set.ts'
import { type Manager, type Managers, readManagers, writeManagers } from './managers.ts'
import { fieldElement } from './path-element.ts'

/** API version of the scaled object -> field names down to its replicas; undefined for a version without them. */
export type ReplicasPaths = ReadonlyMap<string, readonly string[] | undefined>

const SCALE_VERSION = 'autoscaling/v1'
const SCALE_REPLICAS = ['spec', 'replicas'] as const

/** The managedFields of the Scale: who owns the replicas of its parent. Throws ManagedFieldsError. */
export function scaleEntries(
  parent: readonly ManagedFieldsEntry[],
  paths: ReplicasPaths,
): ManagedFieldsEntry[] | undefined {
  const owners: Managers = new Map()
  for (const [id, manager] of readManagers(parent)) {
    if (!ownsReplicas(manager, paths)) continue
    owners.set(id, withFields(manager, SCALE_VERSION, SCALE_REPLICAS))
  }
  return writeManagers(owners)
}

/**
 * The managedFields of the parent after a write to its Scale: who owns the replicas there owns them in the parent, in
 * `apiVersion`; who no longer does loses them. Entries in a version that is not in `paths` are dropped.
 * Throws ManagedFieldsError.
 */
export function parentEntries(
  parent: readonly ManagedFieldsEntry[],
  scale: readonly ManagedFieldsEntry[],
  { apiVersion, paths }: { apiVersion: string; paths: ReplicasPaths },
): ManagedFieldsEntry[] | undefined {
  const before = readManagers(parent)
  const scalers = readManagers(scale)
  const after: Managers = new Map()
  for (const [id, manager] of before) {
    if (!paths.has(manager.apiVersion)) continue
    const isOwner = ownsReplicas(manager, paths)
    if (isOwner && !scalers.has(id)) {
      const { entry: _, ...rest } = manager
      const set = manager.set.difference(FieldSet.ofFields(paths.get(manager.apiVersion) ?? []))
      if (!set.isEmpty) after.set(id, { ...rest, set })
      continue
    }
    if (isOwner) scalers.delete(id)
    after.set(id, manager)
  }
  for (const [id, manager] of scalers) {
    if (!has(manager, SCALE_REPLICAS)) continue
    // NOTE: an updater is looked up by its id in the Scale's version, so that its time is not found, as upstream.
    const owner = withFields(manager, apiVersion, paths.get(apiVersion) ?? [])
    after.set(id, { ...owner, time: before.get(id)?.time })
  }
  return writeManagers(after)
}

function ownsReplicas(manager: Manager, paths: ReplicasPaths): boolean {
  const path = paths.get(manager.apiVersion)
  return path !== undefined && has(manager, path)
}

const has = ({ set }: Manager, path: readonly string[]): boolean => set.has(path.map(fieldElement))

function withFields(manager: Manager, apiVersion: string, path: readonly string[]): Manager {
  const { entry: _, ...rest } = manager
  return { ...rest, apiVersion, set: FieldSet.ofFields(path) }
}
