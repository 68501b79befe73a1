// Ownership after every write that is no apply. Called by the write path for each object it stores;
// a write that changes nothing costs one walk. Calls compare.ts and managers.ts.
// Ref: apimachinery/pkg/util/managedfields/internal/{fieldmanager,managedfieldsupdater}.go

import { equalJson, type JsonObject } from '../json.ts'
import type { ManagedFieldsEntry } from '../meta.ts'
import type { SchemaNode } from '../schema/node.ts'
import { compareTyped, isSame } from './compare.ts'
import {
  capUpdateManagers,
  formatTime,
  ManagedFieldsError,
  type Manager,
  type Managers,
  managerId,
  readManagers,
  withoutUnowned,
  writeManagers,
} from './managers.ts'
import { FieldsFormatError } from './path-element.ts'
import { rootTypeOf, type TypeDef } from './type-def.ts'
import { ListItemError, TypedError, validateTyped } from './typed.ts'
import {
  conflictsOf,
  managedFieldsOf,
  metadataOf,
  type OwnershipContext,
  reconcileManagers,
  takeFields,
  withoutManagedFields,
  withoutReset,
} from './update.ts'

export interface UpdateToTrack extends OwnershipContext {
  /** What is stored; undefined for a create. */
  readonly live: JsonObject | undefined
  /**
   * What will be stored, defaults included. Its managedFields are what the request said about them.
   */
  readonly updated: JsonObject
  /** Who writes, see managerName. */
  readonly manager: string
  /** The schema of another version that fields are owned in; undefined when that version is not known. */
  readonly schemaOf?: (apiVersion: string) => SchemaNode | undefined
}

/**
 * The managedFields of the object to store; undefined when nothing is tracked. Neither object is
 * touched. Objects that do not fit their schema keep the entries they have: validation refuses them
 * later.
 */
export function trackUpdate(update: UpdateToTrack): ManagedFieldsEntry[] | undefined {
  const liveEntries = managedFieldsOf(update.live)
  const requested = requestedManagers(update)
  const isLive = requested === undefined
  if (isLive && liveEntries === undefined && isStored(update.live)) return undefined
  if (requested?.size === 0 && isStored(update.live)) return undefined

  const type = rootTypeOf(update.schema)
  const live = withoutManagedFields(update.live ?? {})
  const updated = withoutManagedFields(update.updated)
  try {
    const comparison = compareTyped(live, updated, type)
    if (isLive && isSame(comparison)) return liveEntries
    validateTyped(updated, type, { allowDuplicates: true })
    validateTyped(live, type, { allowDuplicates: true })
    const managers = requested ?? readOrForget(liveEntries ?? [])
    if (managers.size === 0 && isStored(update.live)) return undefined
    if (!fitsOtherVersions(managers, [live, updated], update)) return undefined
    const tracked = recordUpdate(managers, withoutReset(comparison, update), update, type)
    return writeManagers(tracked)
  } catch (error) {
    if (error instanceof TypedError || error instanceof ListItemError) return liveEntries
    throw error
  }
}

/**
 * Ownership is compared in each owner's version, to which objects are carried over without pruning. When one does not
 * fit there, upstream gives up tracking and drops all entries. Ref: structured-merge-diff/merge/update.go
 */
function fitsOtherVersions(
  managers: Managers,
  objects: readonly JsonObject[],
  { apiVersion, schemaOf }: UpdateToTrack,
): boolean {
  const others = new Set([...managers.values()].map(manager => manager.apiVersion))
  others.delete(apiVersion)
  for (const other of others) {
    const schema = schemaOf?.(other)
    if (schema === undefined) continue
    const type = rootTypeOf(schema)
    try {
      for (const object of objects) validateTyped(object, type, { allowDuplicates: true })
    } catch (error) {
      if (error instanceof TypedError || error instanceof ListItemError) return false
      throw error
    }
  }
  return true
}

function isStored(live: JsonObject | undefined): boolean {
  return (metadataOf(live).uid ?? '') !== ''
}

/**
 * The managers the request sent along: none after a reset ([] or [{}]). Undefined when the stored
 * ones count: for subresources, and when the request's are absent, empty, unreadable or the same.
 */
function requestedManagers(update: UpdateToTrack): Managers | undefined {
  const entries = managedFieldsOf(update.updated)
  if (entries === undefined || (update.subresource ?? '') !== '') return undefined
  if (isReset(entries)) return new Map()
  if (equalJson(entries, managedFieldsOf(update.live))) return undefined
  const managers = readOrForget(entries)
  return managers.size === 0 ? undefined : managers
}

function isReset(entries: readonly ManagedFieldsEntry[]): boolean {
  if (entries.length === 0) return true
  const [first] = entries
  return entries.length === 1 && first !== undefined && Object.keys(first).length === 0
}

function readOrForget(entries: readonly ManagedFieldsEntry[]): Managers {
  try {
    return readManagers(entries)
  } catch (error) {
    if (error instanceof ManagedFieldsError || error instanceof FieldsFormatError) return new Map()
    throw error
  }
}

/** The managers after a write by `update.manager` that changed what the comparison says. */
export function recordUpdate(
  before: Managers,
  comparison: ReturnType<typeof compareTyped>,
  update: OwnershipContext & Pick<UpdateToTrack, 'manager'>,
  type: TypeDef,
): Managers {
  const managers = reconcileManagers(before, type, update)
  takeFields(managers, comparison, conflictsOf(managers, comparison, undefined), undefined)
  const written = withoutUnowned(comparison.modified.union(comparison.added))
  if (!written.isEmpty) {
    const identity = {
      manager: update.manager === '' ? 'unknown' : update.manager,
      operation: 'Update',
      apiVersion: update.apiVersion,
      subresource: update.subresource ?? '',
    } as const
    const id = managerId(identity)
    const previous = managers.get(id)
    const set = previous === undefined ? written : written.union(previous.set)
    const manager: Manager = { ...identity, time: formatTime(update.now), set }
    managers.set(id, manager)
  }
  capUpdateManagers(managers)
  return managers
}
