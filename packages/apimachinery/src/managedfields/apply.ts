// Server-side apply: merges a configuration into the live object and settles who owns its fields.
// Called by the patch verb, also to create; calls merge.ts, compare.ts and managers.ts.
// Ref: structured-merge-diff/merge/update.go, apimachinery/pkg/util/managedfields/internal

import { equalJson, isObject, type JsonObject, type JsonValue } from '../json.ts'
import type { ManagedFieldsEntry } from '../meta.ts'
import { badRequest, failure } from '../status.ts'
import { compareTyped } from './compare.ts'
import { ApplyConflictError, conflictStatus, listConflicts } from './conflict.ts'
import { EMPTY_SET, type FieldSet } from './field-set.ts'
import { allowedByLastApplied, syncLastApplied } from './last-applied.ts'
import {
  formatTime,
  type Managers,
  managerId,
  readManagers,
  withoutUnowned,
  withSet,
  withTime,
  writeManagers,
} from './managers.ts'
import { mergeTyped, removeFields, withNamedParents } from './merge.ts'
import { recordUpdate } from './track-update.ts'
import { rootTypeOf, type TypeDef } from './type-def.ts'
import { TypedError, toFieldSet, validateTyped } from './typed.ts'
import {
  conflictsOf,
  managedFieldsOf,
  metadataOf,
  type OwnershipContext,
  reconcileManagers,
  resetSetOf,
  takeFields,
  withoutManagedFields,
  withoutReset,
} from './update.ts'

export interface ApplyRequest extends OwnershipContext {
  readonly kind: string
  /** What is stored; undefined when the apply creates. */
  readonly live: JsonObject | undefined
  /** The body of the request. */
  readonly applied: JsonObject
  readonly manager: string
  /** Takes fields from others instead of failing. */
  readonly force: boolean
}

export interface Applied {
  /** The merged object without managedFields; defaults and pruning are still to come. */
  readonly object: JsonObject
  readonly managedFields: ManagedFieldsEntry[] | undefined
}

/** The manager of everything an object held before anyone tracked it. */
const BEFORE_FIRST_APPLY = 'before-first-apply'
/** The only manager whose client-side applied objects are taken over. */
const KUBECTL = 'kubectl'

/**
 * Applies a configuration. Neither object is touched. An apply that changes nothing returns the
 * live object and times. Throws StatusError: 400 for another kind or given managedFields, 500 for
 * an object that does not fit its schema, 409 with a cause per field owned by others.
 */
export function applyConfiguration(request: ApplyRequest): Applied {
  checkApplied(request)
  const type = rootTypeOf(request.schema)
  const applied = withoutManagedFields(request.applied)
  const live = withoutManagedFields(
    request.live ?? { apiVersion: request.apiVersion, kind: request.kind },
  )
  const managers = managersBefore(request, live, type)
  if (Array.isArray(metadataOf(request.applied).managedFields)) {
    throw badRequest('metadata.managedFields must be nil')
  }
  checkTyped(applied, type, PATCH)
  checkTyped(live, type, LIVE)
  const outcome = applyOrTakeOver(new Application(request, type, live, applied), managers, request)
  const object =
    request.manager === KUBECTL ? syncLastApplied(outcome.object, request.applied) : outcome.object
  return { object, managedFields: writeManagers(outcome.managers) }
}

function checkApplied({ applied, apiVersion, kind }: ApplyRequest): void {
  if (applied.apiVersion !== apiVersion || applied.kind !== kind) {
    throw badRequest(`invalid object type: ${printGvk(applied)}`)
  }
}

/** Go's GroupVersionKind: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`. */
function printGvk(object: JsonObject): string {
  const apiVersion = typeof object.apiVersion === 'string' ? object.apiVersion : ''
  const kind = typeof object.kind === 'string' ? object.kind : ''
  return `${apiVersion.includes('/') ? '' : '/'}${apiVersion}, Kind=${kind}`
}

/** How upstream begins the message about an object that does not fit, and what it lets pass. */
interface TypedCheck {
  readonly intro: string
  readonly outro: string
  readonly allowDuplicates: boolean
}

const PATCH: TypedCheck = {
  intro: 'failed to create typed patch object',
  outro: '',
  allowDuplicates: false,
}
const LIVE: TypedCheck = {
  intro: 'failed to create typed live object',
  outro: '',
  allowDuplicates: true,
}
const UNTRACKED: TypedCheck = {
  intro: 'failed to create manager for existing fields: failed to convert new object',
  outro: ' to smd typed',
  allowDuplicates: true,
}

function checkTyped(object: JsonObject, type: TypeDef, check: TypedCheck): void {
  try {
    validateTyped(object, type, check)
  } catch (error) {
    if (!(error instanceof TypedError)) throw error
    const { namespace = '', name = '' } = metadataOf(object)
    const subject = `(${namespace}/${name}; ${printGvk(object)})`
    const message = `${check.intro} ${subject}${check.outro}: ${error.message}`
    throw failure({ code: 500, message, cause: error })
  }
}

/** The managers of the live object. What it holds without any is given to `before-first-apply`. */
function managersBefore(request: ApplyRequest, live: JsonObject, type: TypeDef): Managers {
  const managers = readManagers(managedFieldsOf(request.live) ?? [])
  if (managers.size > 0 || request.live === undefined) return managers
  checkTyped(live, type, UNTRACKED)
  const empty = { apiVersion: request.apiVersion, kind: request.kind }
  const comparison = withoutReset(compareTyped(empty, live, type), request)
  return recordUpdate(managers, comparison, { ...request, manager: BEFORE_FIRST_APPLY }, type)
}

interface Outcome {
  readonly object: JsonObject
  readonly managers: Managers
}

/** kubectl may overwrite, without force, what its own client-side apply wrote last. */
function applyOrTakeOver(
  application: Application,
  managers: Managers,
  request: ApplyRequest,
): Outcome {
  try {
    return application.run(managers, request.force)
  } catch (error) {
    if (!(error instanceof ApplyConflictError)) throw error
    if (request.manager !== KUBECTL) throw conflictStatus(error)
    const allowed = allowedByLastApplied(application.live, application.type, request.apiVersion)
    if (allowed === undefined) throw conflictStatus(error)
    const left = error.conflicts.filter(conflict => !allowed.has(conflict.path))
    if (left.length > 0) throw conflictStatus(new ApplyConflictError(left))
    return application.run(managers, true)
  }
}

/** One configuration applied to one live object, once or, to take over, twice. */
class Application {
  readonly request: ApplyRequest
  readonly type: TypeDef
  readonly live: JsonObject
  readonly applied: JsonObject

  constructor(request: ApplyRequest, type: TypeDef, live: JsonObject, applied: JsonObject) {
    this.request = request
    this.type = type
    this.live = live
    this.applied = applied
  }

  /** Throws ApplyConflictError. */
  run(before: Managers, force: boolean): Outcome {
    const { request, type, live } = this
    const managers = reconcileManagers(before, type, request)
    const identity = {
      manager: request.manager === '' ? 'unknown' : request.manager,
      operation: 'Apply',
      apiVersion: request.apiVersion,
      subresource: request.subresource ?? '',
    } as const
    const id = managerId(identity)
    const last = managers.get(id)
    const appliedSet = toFieldSet(this.applied, type).recursiveDifference(resetSetOf(request))
    const time = last?.time
    managers.set(id, { ...identity, time, set: appliedSet })
    const merged = mergeTyped(live, this.applied, type) ?? null
    const next = prune(merged, type, last?.set ?? EMPTY_SET, managers)
    const object = isObject(next) ? next : {}
    this.#settle(managers, id, object, force)

    const isNoop = equalJson(live, object)
    const own = managers.get(id)
    const kept = own && withSet(own, withoutUnowned(own.set))
    if (kept === undefined) managers.delete(id)
    else {
      const settled = isNoop ? kept : withTime(kept, formatTime(request.now))
      const same = last !== undefined && last.apiVersion === settled.apiVersion
      const reuse = same && last.time === settled.time && last.set.equals(settled.set)
      managers.set(id, reuse ? last : settled)
    }
    return { object: isNoop ? live : object, managers }
  }

  #settle(managers: Managers, id: string, object: JsonValue, force: boolean): void {
    const compared = compareTyped(this.live, object, this.type)
    const comparison = withoutReset(compared, this.request)
    const conflicts = conflictsOf(managers, comparison, id)
    if (!force && conflicts.size > 0) {
      throw new ApplyConflictError(listConflicts(managers, conflicts))
    }
    takeFields(managers, comparison, conflicts, id)
  }
}

/**
 * Removes what the manager applied last time and no longer does, unless someone else owns it.
 * `managers` already hold what it applies now.
 */
function prune(merged: JsonValue, type: TypeDef, last: FieldSet, managers: Managers): JsonValue {
  if (last.isEmpty) return merged
  const named = (set: FieldSet) => withNamedParents(set, type)
  const lastNamed = named(last)
  let pruned = removeFields(merged, lastNamed, type)
  const mergedSet = named(toFieldSet(merged, type))
  let owned = EMPTY_SET
  for (const manager of managers.values()) owned = owned.union(manager.set)
  const keep = named(toFieldSet(pruned, type)).union(named(owned))
  pruned = removeFields(merged, mergedSet.difference(keep), type)
  const prunedSet = named(toFieldSet(pruned, type))
  return removeFields(merged, mergedSet.difference(prunedSet).intersection(lastNamed), type)
}
