// The rules of a create: names, metadata the server owns, managed fields, admission, validation, dry run.
// Called by verbs/create, update and patch; calls admission, the resource's strategy and storage.
// Ref: apiserver/pkg/registry/rest/create.go, apiserver/pkg/registry/generic/registry/store.go

import { randomUUID } from 'node:crypto'
import {
  cloneJson,
  type FieldError,
  failure,
  generateName,
  type KubeObject,
} from '@podless/apimachinery'
import { StorageError } from '@podless/storage'
import { authorizationError } from '../auth/authorize.ts'
import { type RequestContext, ruleContext } from '../context.ts'
import { toStatus } from '../errors.ts'
import { convertForStorage, keyOf } from '../objects/stored-form.ts'
import type { Resource, RuleContext } from '../resource.ts'
import { metaCreateErrors } from './metadata-rules.ts'
import { AFTER_ADMISSION, dedupOwners, trackManager } from './ownership.ts'
import { attributes, customErrors, refuseInvalid, timestamp, type Written } from './write.ts'
import type { WriteOptions } from './write-options.ts'

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
