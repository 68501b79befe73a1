// The rules common to all writes: metadata the server owns, names, generation, managed fields, admission, validation,
// dry run, finalizers. Called by verbs/create, update, patch, delete; calls admission, the resource's strategy and storage.
// Ref: apiserver/pkg/registry/rest/{create,update}.go, apiserver/pkg/registry/generic/registry/store.go

import { randomUUID } from 'node:crypto'
import {
  addInt64,
  cloneJson,
  conflict,
  equalJson,
  type FieldError,
  failure,
  generateName,
  invalid,
  invalidValue,
  type JsonObject,
  type KubeObject,
  notFound,
  type ObjectMeta,
  OPTIMISTIC_LOCK_MESSAGE,
  parseResourceVersion,
  StatusError,
  type ValidateObjectOptions,
} from '@podless/apimachinery'
import { StorageError, type StoredObject } from '@podless/storage'
import type { AdmissionAttributes } from '../admission/chain.ts'
import { authorizationError } from '../auth/authorize.ts'
import { type RequestContext, ruleContext } from '../context.ts'
import { toStatus } from '../errors.ts'
import { convertForStorage, isStoredAnew, keyOf, readStored } from '../objects/stored-form.ts'
import type { Resource, RuleContext, StoredSubresource, Subresource } from '../resource.ts'
import { metaCreateErrors, metaUpdateErrors } from './metadata-rules.ts'
import { AFTER_ADMISSION, dedupOwners, keepTimes, trackManager } from './ownership.ts'
import type { WriteOptions } from './write-options.ts'

/** `stored` is absent after a dry run. */
export interface Written {
  readonly object: KubeObject
  readonly stored: StoredObject | undefined
  readonly created: boolean
}

/** Names tried for one generateName. With 27^5 suffixes and a million objects, eight collisions are one in 10^9. */
const NAME_ATTEMPTS_MAX = 8

/**
 * Stores a new object. `obj` is decoded, defaulted and pruned, and belongs to this call.
 * Throws 409 AlreadyExists, 422, what admission throws.
 */
export async function createObject(
  ctx: RequestContext,
  obj: KubeObject,
  write: WriteOptions,
): Promise<Written> {
  const { resource } = ctx
  const rules = ruleContext(ctx, write.dryRun)
  let next = obj
  if (write.tracksItself !== true) {
    dedupOwners(next, ctx.warn, '')
    trackManager(ctx, undefined, next, write)
  }
  next =
    (await ctx.server.admission.mutate(attributes(ctx, 'CREATE', next, undefined, write))) ?? next
  dedupOwners(next, ctx.warn, AFTER_ADMISSION)
  const generates = (next.metadata.name ?? '') === '' && (next.metadata.generateName ?? '') !== ''
  const template = generates ? cloneJson(next) : next
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await createOnce(ctx, generates ? cloneJson(template) : next, write, rules)
    } catch (error) {
      const collided = error instanceof StorageError && error.code === 'exists'
      if (collided && generates && attempt < NAME_ATTEMPTS_MAX) continue
      throw toStatus(error, { gr: resource.gvr, name: obj.metadata.name ?? '', verb: 'create' })
    }
  }
}

async function createOnce(
  ctx: RequestContext,
  obj: KubeObject,
  write: WriteOptions,
  rules: RuleContext,
): Promise<Written> {
  const { resource, server } = ctx
  const { strategy } = resource
  fillSystemMetadata(ctx, obj)
  if (strategy.hasGeneration === true) obj.metadata.generation = 1
  resource.dropStatusOnCreate?.(obj)
  await strategy.prepareForCreate?.(obj, rules)
  try {
    refuseInvalid(resource, obj, createErrors(resource, obj, rules))
    for (const text of strategy.warnings?.(obj, undefined) ?? []) ctx.warn(text)
    strategy.authorizeWrite?.(obj, undefined, rules)
    if (write.instead === true) authorizeCreate(ctx)
    await server.admission.validate(attributes(ctx, 'CREATE', obj, undefined, write))
    if (write.instead !== true && (obj.metadata.resourceVersion ?? '') !== '') {
      throw failure({
        code: 500,
        message: 'resourceVersion should not be set on objects to be created',
      })
    }
    return await putNew(ctx, obj, write)
  } catch (error) {
    strategy.release?.(obj, rules)
    throw error
  }
}

/** Ref: apiserver/pkg/endpoints/handlers/update.go withAuthorization */
function authorizeCreate({ user, info, server }: RequestContext): void {
  const { group, version, resource, subresource, name, namespace } = info
  const wanted = { user, verb: 'create', group, version, resource, subresource, name, namespace }
  const { allowed, reason } = server.services.authorizer.authorize(wanted)
  if (!allowed) throw authorizationError(wanted, reason)
}

async function putNew(ctx: RequestContext, obj: KubeObject, write: WriteOptions): Promise<Written> {
  const { resource, server } = ctx
  const key = keyOf(resource, obj.metadata.namespace ?? '', obj.metadata.name ?? '')
  if (write.dryRun) {
    if ((await server.storage.get(key)) !== undefined) throw new StorageError('exists', { key })
    return { object: obj, stored: undefined, created: true }
  }
  const { ttlSeconds } = resource
  const { signal } = ctx.request
  const stored = await server.storage.create(key, await convertForStorage(obj, resource), {
    signal,
    ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
  })
  return { object: obj, stored, created: true }
}

/**
 * Takes off what no client decides, before anybody can own it.
 * Ref: apiserver/pkg/registry/rest/meta.go WipeObjectMetaSystemFields
 */
export function wipeSystemMetadata({ metadata }: KubeObject): void {
  for (const field of SYSTEM_FIELDS) delete metadata[field]
}

const SYSTEM_FIELDS = [
  'creationTimestamp',
  'uid',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
] as const

/** Ref: apiserver/pkg/registry/rest/meta.go FillObjectMetaSystemFields */
function fillSystemMetadata(ctx: RequestContext, obj: KubeObject): void {
  const { metadata } = obj
  wipeSystemMetadata(obj)
  if (ctx.resource.namespaced) metadata.namespace = ctx.info.namespace
  else delete metadata.namespace
  metadata.creationTimestamp = timestamp(ctx.server.now())
  metadata.uid = randomUUID()
  if ((metadata.name ?? '') === '' && (metadata.generateName ?? '') !== '') {
    metadata.name = generateName(metadata.generateName ?? '', ctx.server.random)
  }
}

/** RFC 3339 in UTC with whole seconds: metav1.Time on the wire. */
export function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`
}

function createErrors(
  resource: Resource,
  obj: KubeObject,
  rules: RuleContext,
): readonly FieldError[] {
  const { strategy } = resource
  const meta = metaCreateErrors(resource, obj.metadata)
  const custom = customErrors(resource, obj, { earlier: meta }, rules)
  return [...meta, ...custom, ...(strategy.validate?.(obj, rules) ?? [])]
}

function customErrors(
  { custom, names }: Resource,
  obj: KubeObject,
  options: ValidateObjectOptions,
  rules: RuleContext,
): readonly FieldError[] {
  if (custom === undefined) return []
  if (obj.kind !== names.kind) return [invalidValue('kind', obj.kind, `must be ${names.kind}`)]
  const { errors, warnings } = custom.validate(obj, options)
  for (const text of warnings) rules.warn(text)
  return errors
}

function refuseInvalid(resource: Resource, obj: KubeObject, errors: readonly FieldError[]): void {
  if (errors.length === 0) return
  throw invalid(
    {
      group: resource.errorGroup ?? resource.gvr.group,
      // The object's own word, which a custom resource may have wrong.
      kind: resource.crd === undefined ? resource.names.kind : obj.kind,
    },
    obj.metadata.name ?? '',
    errors,
  )
}

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

/** Deletion was asked for and nothing holds the object any more. */
export function isReadyToGo({ strategy }: Resource, obj: KubeObject): boolean {
  const { deletionTimestamp, finalizers = [] } = obj.metadata
  return (
    deletionTimestamp !== undefined && finalizers.length === 0 && strategy.isHeld?.(obj) !== true
  )
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

function attributes(
  ctx: RequestContext,
  operation: 'CREATE' | 'UPDATE',
  object: KubeObject,
  oldObject: KubeObject | undefined,
  write: WriteOptions,
): AdmissionAttributes {
  const { info, resource, user, warn, request } = ctx
  return {
    operation,
    resource,
    subresource: info.subresource,
    namespace: info.namespace,
    name: info.name === '' ? (object.metadata.name ?? '') : info.name,
    object,
    oldObject,
    options: write.options,
    dryRun: write.dryRun,
    user,
    warn,
    signal: request.signal,
  }
}
