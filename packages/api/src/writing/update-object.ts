// The rules of an update through any door: the live object as a client changed it, what stays the server's, admission,
// validation, generation, dry run, finalizers. Called by verbs/update, patch and write-view; calls admission, the
// resource's strategy and storage. Ref: apiserver/pkg/registry/rest/update.go, registry/generic/registry/store.go

import {
  addInt64,
  cloneJson,
  conflict,
  equalJson,
  type FieldError,
  invalid,
  type JsonObject,
  type KubeObject,
  notFound,
  type ObjectMeta,
  OPTIMISTIC_LOCK_MESSAGE,
  parseResourceVersion,
  StatusError,
} from '@podless/apimachinery'
import { type RequestContext, ruleContext } from '../context.ts'
import { toStatus } from '../errors.ts'
import { convertForStorage, isStoredAnew, keyOf, readStored } from '../objects/stored-form.ts'
import type { Resource, RuleContext, StoredSubresource, Subresource } from '../resource.ts'
import { metaUpdateErrors } from './metadata-rules.ts'
import { AFTER_ADMISSION, dedupOwners, keepTimes, trackManager } from './ownership.ts'
import { attributes, customErrors, isReadyToGo, refuseInvalid, type Written } from './write.ts'
import type { WriteOptions } from './write-options.ts'

export interface UpdateRequest {
  /** Makes the wanted object from the live one; both in the request's version. Called again after a lost race. */
  readonly next: (live: KubeObject) => KubeObject | Promise<KubeObject>
  /** True when a lost race is tried again: patches and unconditional updates. */
  readonly retry: boolean
  /** Set when an absent object is created instead (Lease PUT, apply). */
  readonly createAbsent?: () => Promise<Written>
}

/** Rounds of finding nothing to update and then something in the way of a create: each is another client's write. */
const ABSENT_ATTEMPTS_MAX = 8

/** Changes a stored object through the main door or a stored subresource. */
export async function updateObject(
  ctx: RequestContext,
  request: UpdateRequest,
  write: WriteOptions,
): Promise<Written> {
  const { resource, info } = ctx
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await updateStored(ctx, request, write)
    } catch (error) {
      if (!(error instanceof AbsentError))
        throw toStatus(error, { gr: resource.gvr, name: info.name, verb: info.verb })
      if (request.createAbsent === undefined) throw notFound(resource.gvr, info.name)
    }
    try {
      return await request.createAbsent()
    } catch (error) {
      const isThereNow = error instanceof StatusError && error.body.reason === 'AlreadyExists'
      if (!isThereNow || attempt >= ABSENT_ATTEMPTS_MAX) throw error
    }
  }
}

async function updateStored(
  ctx: RequestContext,
  request: UpdateRequest,
  write: WriteOptions,
): Promise<Written> {
  const { resource, info, server } = ctx
  const key = keyOf(resource, info.namespace, info.name)
  let result: KubeObject | undefined
  let undo = (): void => undefined
  try {
    const outcome = await server.storage.update(
      key,
      async current => {
        if (current === undefined) throw new AbsentError()
        undo()
        undo = () => undefined
        const live = await readStored(current.stored, resource)
        const changed = await nextState(ctx, live, request, write)
        result = changed
        undo = () =>
          resource.strategy.releaseUpdate?.(changed, live, ruleContext(ctx, write.dryRun))
        if (write.dryRun) return 'unchanged'
        if (isReadyToGo(resource, changed)) return 'delete'
        const same = equalJson(storable(changed), storable(live))
        return same && !isStoredAnew(current.stored, resource)
          ? 'unchanged'
          : await convertForStorage(changed, resource)
      },
      // A race is lost to somebody who won it; who loses every one ends with the request's time.
      { retry: request.retry, signal: ctx.request.signal },
    )
    if (outcome.type === 'deleted' || write.dryRun) {
      if (outcome.type === 'deleted') resource.strategy.release?.(result!, ruleContext(ctx, false))
      return { object: result!, stored: undefined, created: false }
    }
    return { object: result!, stored: outcome.stored, created: false }
  } catch (error) {
    undo()
    throw error
  }
}

class AbsentError extends Error {}

/** What decides whether a write changes anything: all but the resourceVersion. */
function storable(obj: KubeObject): KubeObject {
  const { resourceVersion: _revision, ...metadata } = obj.metadata
  return { ...obj, metadata }
}

async function nextState(
  ctx: RequestContext,
  live: KubeObject,
  request: UpdateRequest,
  write: WriteOptions,
): Promise<KubeObject> {
  const { resource, subresource, server, info } = ctx
  const rules = ruleContext(ctx, write.dryRun)
  const sent = await request.next(cloneJson(live))
  checkIdentity(ctx, sent, live)
  if (info.verb === 'update') dedupOwners(sent, ctx.warn, '')
  // Ownership and webhooks see what was asked for: only then does the door put back what it does not own.
  if (write.tracksItself !== true) trackManager(ctx, live, sent, write)
  let next = (await server.admission.mutate(attributes(ctx, 'UPDATE', sent, live, write))) ?? sent
  dedupOwners(next, ctx.warn, AFTER_ADMISSION)
  checkRevision(ctx, next, live)
  next = throughDoor(resource, subresource as StoredSubresource | undefined, next, live)
  keepSystemMetadata(next, live)
  await prepareUpdate(ctx, next, live, rules)
  try {
    refuseInvalid(resource, next, updateErrors(ctx, next, live, rules))
    for (const text of resource.strategy.warnings?.(next, live) ?? []) ctx.warn(text)
    if (!equalJson(storable(next), storable(live)))
      resource.strategy.authorizeWrite?.(next, live, rules)
    keepTimes(next, live)
    await server.admission.validate(attributes(ctx, 'UPDATE', next, live, write))
  } catch (error) {
    resource.strategy.releaseUpdate?.(next, live, rules)
    throw error
  }
  return next
}

function throughDoor(
  resource: Resource,
  door: StoredSubresource | undefined,
  sent: KubeObject,
  live: KubeObject,
): KubeObject {
  const merge = door === undefined ? resource.merge : door.merge
  return merge === undefined ? sent : merge(sent, live)
}

/** The uid in the body is a precondition. Ref: apiserver/pkg/storage/errors.go NewInvalidObjError */
export function checkIdentity(
  ctx: RequestContext,
  sent: KubeObject,
  live: { readonly metadata: ObjectMeta },
): void {
  const { resource, info } = ctx
  const uid = sent.metadata.uid ?? ''
  if (info.verb !== 'update' || uid === '' || uid === live.metadata.uid) return
  const key = keyOf(resource, info.namespace, info.name)
  const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${live.metadata.uid ?? ''}`
  throw conflict(
    resource.gvr,
    info.name,
    `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`,
  )
}

function checkRevision(ctx: RequestContext, sent: KubeObject, live: KubeObject): void {
  const { resource, info } = ctx
  const revision = sent.metadata.resourceVersion ?? ''
  if (revision !== '' && revision !== '0') {
    if (revision === live.metadata.resourceVersion) return
    parseResourceVersion(revision, 'write')
    throw conflict(resource.gvr, info.name, OPTIMISTIC_LOCK_MESSAGE)
  }
  if (resource.strategy.allowUnconditionalUpdate === true) return
  const cause = {
    type: 'FieldValueInvalid',
    field: 'metadata.resourceVersion',
    badValue: 0,
    detail: 'must be specified for an update',
  } as const
  // NOTE: upstream names the resource where every other 422 names the kind.
  const { group, resource: kind } = resource.gvr
  throw invalid({ group, kind }, info.name, [cause])
}

/** What a client cannot change, however it tries. */
function keepSystemMetadata(next: KubeObject, live: KubeObject): void {
  const { metadata } = next
  const old = live.metadata
  if ((metadata.uid ?? '') === '') metadata.uid = old.uid!
  metadata.creationTimestamp = old.creationTimestamp!
  metadata.resourceVersion = old.resourceVersion!
  for (const field of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'generation'] as const) {
    if (old[field] === undefined) delete metadata[field]
    else (metadata as JsonObject)[field] = old[field]
  }
  delete metadata.selfLink
  if (old.namespace !== undefined) metadata.namespace = old.namespace
}

async function prepareUpdate(
  ctx: RequestContext,
  next: KubeObject,
  live: KubeObject,
  rules: RuleContext,
): Promise<void> {
  const { strategy } = ctx.resource
  await strategy.prepareForUpdate?.(next, live, rules)
  if (strategy.hasGeneration !== true) return
  if (strategy.countsAsChange?.(next, live) ?? specChanged(ctx.resource, next, live))
    next.metadata.generation = addInt64(live.metadata.generation ?? 0, 1)
}

/**
 * Generation counts changes of everything but metadata and status; where a CRD has no /status, that is a field like any
 * other. Ref: apiextensions-apiserver/pkg/registry/customresource/strategy.go PrepareForUpdate
 */
function specChanged({ crd, subresources }: Resource, next: KubeObject, live: KubeObject): boolean {
  const { metadata: _a, status: _b, apiVersion: _v, ...now } = next
  const { metadata: _c, status: _d, apiVersion: _w, ...before } = live
  const isPlain = crd !== undefined && !subresources.has('status')
  return !equalJson(now, before) || (isPlain && !equalJson(next.status, live.status))
}

function updateErrors(
  ctx: RequestContext,
  next: KubeObject,
  live: KubeObject,
  rules: RuleContext,
): readonly FieldError[] {
  const { resource } = ctx
  const door = ctx.subresource as StoredSubresource | undefined
  const meta = metaUpdateErrors(resource, next.metadata, live.metadata)
  const part = ctx.info.subresource === 'status' ? 'status' : 'object'
  const custom = customErrors(resource, next, { old: live, earlier: meta, part }, rules)
  const own =
    door === undefined || (door as Subresource).type === 'virtual'
      ? resource.strategy.validateUpdate?.(next, live, rules)
      : door.validateUpdate?.(next, live, rules)
  return [...meta, ...custom, ...(own ?? [])]
}
