// Who owns what: metadata.managedFields read into field sets and written back in upstream's order.
// Called by track-update.ts and apply.ts; calls field-set.ts. Ref: apimachinery/pkg/util/managedfie
// lds/internal/{managedfields,capmanagers,stripmeta,buildmanagerinfo}.go

import { isObject } from '../json.ts'
import type { ManagedFieldsEntry } from '../meta.ts'
import { EMPTY_SET, type FieldNode, FieldSet } from './field-set.ts'
import { compareText, fieldNameOf, type PathElement } from './path-element.ts'
import { LIST, MAP, SCALAR, type TypeDef } from './type-def.ts'
import { childType, handledKind } from './typed.ts'

export type Operation = 'Apply' | 'Update'

/**
 * One manager's fields. `entry` is what was read; it is written again if neither set nor time
 * changed.
 */
export interface Manager {
  readonly manager: string
  readonly operation: Operation
  readonly apiVersion: string
  readonly subresource: string
  readonly time: string | undefined
  readonly set: FieldSet
  readonly entry?: ManagedFieldsEntry
}

/** The managers of an object by identity. */
export type Managers = Map<string, Manager>

/** More update managers than this are merged, oldest first. Ref: DefaultMaxUpdateManagers */
const UPDATE_MANAGERS_MAX = 10
const ANCIENT_CHANGES = 'ancient-changes'

/** Thrown for managedFields that cannot be read. */
export class ManagedFieldsError extends Error {
  override readonly name = 'ManagedFieldsError'
}

/**
 * What makes a manager one: an applier's API version may change, an updater with another version is
 * another. Conflicts are listed in the order of these texts, so they are spelled as upstream spells
 * them.
 */
export function managerId(
  manager: Pick<Manager, 'manager' | 'operation' | 'apiVersion' | 'subresource'>,
): string {
  const { manager: name, operation, apiVersion, subresource } = manager
  return JSON.stringify({
    ...(name === '' ? {} : { manager: name }),
    operation,
    ...(operation === 'Apply' ? {} : { apiVersion }),
    ...(subresource === '' ? {} : { subresource }),
  })
}

/**
 * Reads managedFields. Throws ManagedFieldsError, with upstream's text, for entries that cannot be
 * read.
 */
export function readManagers(entries: readonly ManagedFieldsEntry[]): Managers {
  const managers: Managers = new Map()
  for (const [index, entry] of entries.entries()) {
    const manager = readManager(entry, index)
    managers.set(managerId(manager), manager)
  }
  return managers
}

function readManager(entry: ManagedFieldsEntry, index: number): Manager {
  const { operation, apiVersion = '', fieldsType = '' } = entry
  if (operation !== 'Apply' && operation !== 'Update') {
    throw new ManagedFieldsError('operation must be `Apply` or `Update`')
  }
  if (apiVersion === '') throw new ManagedFieldsError('apiVersion must not be empty')
  if (fieldsType !== 'FieldsV1') {
    const problem = fieldsType === '' ? 'missing fieldsType' : `invalid fieldsType "${fieldsType}"`
    throw new ManagedFieldsError(`${problem} in managed fields entry ${index}`)
  }
  const fields = entry.fieldsV1 ?? {}
  if (!isObject(fields)) throw new ManagedFieldsError('error decoding set: not an object')
  return {
    manager: entry.manager ?? '',
    operation,
    apiVersion,
    subresource: entry.subresource ?? '',
    time: entry.time ?? undefined,
    set: FieldSet.fromFieldsV1(fields),
    entry,
  }
}

/**
 * The managedFields of the managers, in upstream's order; undefined when nobody manages anything.
 */
export function writeManagers(managers: Managers): ManagedFieldsEntry[] | undefined {
  if (managers.size === 0) return undefined
  return [...managers.values()].sort(compareManagers).map(writeManager)
}

function writeManager(manager: Manager): ManagedFieldsEntry {
  if (manager.entry !== undefined) return manager.entry
  return {
    ...(manager.manager === '' ? {} : { manager: manager.manager }),
    operation: manager.operation,
    apiVersion: manager.apiVersion,
    ...(manager.time === undefined ? {} : { time: manager.time }),
    fieldsType: 'FieldsV1',
    fieldsV1: manager.set.toFieldsV1(),
    ...(manager.subresource === '' ? {} : { subresource: manager.subresource }),
  }
}

function compareManagers(a: Manager, b: Manager): number {
  return (
    compareText(a.operation, b.operation) ||
    secondsOf(a) - secondsOf(b) ||
    compareText(a.manager, b.manager) ||
    compareText(a.apiVersion, b.apiVersion) ||
    compareText(a.subresource, b.subresource)
  )
}

function secondsOf(manager: Manager): number {
  return manager.time === undefined ? 0 : Math.floor(Date.parse(manager.time) / 1000)
}

/** The manager with another set; undefined, to be dropped, when the set is empty. */
export function withSet(manager: Manager, set: FieldSet): Manager | undefined {
  if (set === manager.set) return set.isEmpty ? undefined : manager
  if (set.isEmpty) return undefined
  const { entry: _, ...rest } = manager
  return { ...rest, set }
}

export function withTime(manager: Manager, time: string | undefined): Manager {
  if (time === manager.time) return manager
  const { entry: _, ...rest } = manager
  return { ...rest, time }
}

/** metav1.Time on the wire: RFC 3339 in UTC, whole seconds. */
export function formatTime(now: Date): string {
  return `${now.toISOString().slice(0, 19)}Z`
}

/** Fields nobody owns: the server sets them. */
const UNOWNED = FieldSet.ofFields(
  ['apiVersion'],
  ['kind'],
  ['metadata'],
  ['metadata', 'name'],
  ['metadata', 'namespace'],
  ['metadata', 'creationTimestamp'],
  ['metadata', 'selfLink'],
  ['metadata', 'uid'],
  ['metadata', 'clusterName'],
  ['metadata', 'generation'],
  ['metadata', 'managedFields'],
  ['metadata', 'resourceVersion'],
)

export function withoutUnowned(set: FieldSet): FieldSet {
  return set.difference(UNOWNED)
}

/** Merges the oldest update managers, per API version, until few enough are left. */
export function capUpdateManagers(managers: Managers): void {
  const updaters = [...managers].filter(([, manager]) => manager.operation === 'Update')
  let excess = updaters.length - UPDATE_MANAGERS_MAX
  if (excess <= 0) return
  updaters.sort(([idA, a], [idB, b]) => secondsOf(a) - secondsOf(b) || compareText(idA, idB))
  const firstOfVersion = new Map<string, string>()
  for (const [id, updater] of updaters) {
    if (excess <= 0) return
    const first = firstOfVersion.get(updater.apiVersion)
    if (first === undefined) {
      firstOfVersion.set(updater.apiVersion, id)
      continue
    }
    const identity = {
      manager: ANCIENT_CHANGES,
      operation: 'Update',
      apiVersion: updater.apiVersion,
      subresource: '',
    } as const
    const bucketId = managerId(identity)
    if (id === bucketId) continue
    const bucket = managers.get(bucketId) ?? managers.get(first)
    if (!managers.has(bucketId)) managers.delete(first)
    managers.set(bucketId, {
      ...identity,
      time: updater.time,
      set: updater.set.union(bucket?.set ?? EMPTY_SET),
    })
    managers.delete(id)
    excess -= 1
  }
}

/**
 * Adapts a set to types that changed since it was written: what is now owned as a whole loses its
 * inner fields. Ref: structured-merge-diff/typed/reconcile_schema.go
 */
export function reconcileSet(set: FieldSet, type: TypeDef): FieldSet {
  if (handledKind(type.kinds) === MAP && type.map.deduced) return set
  const nodes = new Map<PathElement, FieldNode>()
  let changed = false
  for (const [element, node] of set.nodes) {
    const child = elementType(type, element)
    const reconciled = child === undefined ? node : reconcileNode(node, child)
    changed ||= reconciled !== node
    nodes.set(element, reconciled)
  }
  return changed ? new FieldSet(nodes) : set
}

function reconcileNode(node: FieldNode, type: TypeDef): FieldNode {
  if (node.children === undefined) return node
  const kind = handledKind(type.kinds)
  if (kind === SCALAR || (kind === MAP && type.map.deduced)) return node
  if (kind === MAP ? type.map.atomic : type.list.atomic)
    return { member: true, children: undefined }
  const children = reconcileSet(node.children, type)
  return children === node.children ? node : { member: node.member, children }
}

function elementType(type: TypeDef, element: PathElement): TypeDef | undefined {
  const name = fieldNameOf(element)
  switch (handledKind(type.kinds)) {
    case MAP:
      return name === undefined ? type.map.element : childType(type.map, name)
    case LIST:
      return type.list.element
    default:
      return undefined
  }
}
