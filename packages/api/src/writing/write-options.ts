// What a write request asks for besides its object: its options, and that the body and the URL name the same thing.
// Called by verbs/* before they write. Ref: apiserver/pkg/endpoints/handlers/{create,update,patch}.go

import {
  badRequest,
  type JsonObject,
  type KubeObject,
  managerName,
  type WriteOptions as ParsedWriteOptions,
} from '@podless/apimachinery'
import type { RequestContext } from '../context.ts'

/** What the options of any write have in common. */
export interface WriteOptions {
  readonly dryRun: boolean
  /** The fieldManager parameter, or the user agent's first word. */
  readonly manager: string
  /** The options object as webhooks see it, with kind and apiVersion. */
  readonly options: JsonObject
  /** True when managedFields are computed already (apply). */
  readonly tracksItself?: boolean
  /** True when an update or apply found nothing and creates: that takes the right to create as well. */
  readonly instead?: boolean
}

/** The options of a write as every rule needs them. `kind` is CreateOptions, UpdateOptions or PatchOptions. */
export function writeOptionsOf(
  ctx: RequestContext,
  kind: string,
  options: ParsedWriteOptions,
): WriteOptions {
  const manager = managerName(options.fieldManager, ctx.request.header('user-agent'))
  return {
    dryRun: options.dryRun,
    manager,
    options: {
      kind,
      apiVersion: 'meta.k8s.io/v1',
      ...(options.dryRun ? { dryRun: ['All'] } : {}),
      ...(options.fieldManager === '' ? {} : { fieldManager: options.fieldManager }),
      ...(options.fieldValidation === '' ? {} : { fieldValidation: options.fieldValidation }),
    },
  }
}

/** A body's namespace has to be the URL's, and is filled in from it. Ref: rest.EnsureObjectNamespaceMatchesRequestNamespace */
export function matchNamespace(ctx: RequestContext, obj: KubeObject): void {
  const { resource, info } = ctx
  const sent = obj.metadata.namespace ?? ''
  if (!resource.namespaced) {
    delete obj.metadata.namespace
    return
  }
  if (sent !== '' && sent !== info.namespace) {
    throw badRequest(
      'the namespace of the provided object does not match the namespace sent on the request',
    )
  }
  obj.metadata.namespace = info.namespace
}

/** Ref: apiserver/pkg/endpoints/handlers/rest.go checkName */
export function matchName(ctx: RequestContext, obj: KubeObject): void {
  const sent = obj.metadata.name ?? ''
  const { name } = ctx.info
  if (sent === name) return
  if (sent === '') {
    throw badRequest(
      `the name of the object (${name} based on URL) was undeterminable: name must be provided`,
    )
  }
  throw badRequest(`the name of the object (${sent}) does not match the name on the URL (${name})`)
}
