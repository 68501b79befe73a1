// What creates and updates have in common: what they result in, how invalid objects are refused, and what admission is told.
// Called by create-object.ts, update-object.ts and deletion.ts; controllers and verbs take the parts that they need.
// Ref: apiserver/pkg/registry/rest/{create,update}.go

import {
  type FieldError,
  invalid,
  invalidValue,
  type KubeObject,
  type ValidateObjectOptions,
} from '@podless/apimachinery'
import type { StoredObject } from '@podless/storage'
import type { AdmissionAttributes } from '../admission/chain.ts'
import type { RequestContext } from '../context.ts'
import type { Resource, RuleContext } from '../resource.ts'
import type { WriteOptions } from './write-options.ts'

/** `stored` is absent after a dry run. */
export interface Written {
  readonly object: KubeObject
  readonly stored: StoredObject | undefined
  readonly created: boolean
}

/** RFC 3339 in UTC with whole seconds: metav1.Time on the wire. */
export function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`
}

/** Deletion was asked for and nothing holds the object any more. */
export function isReadyToGo({ strategy }: Resource, obj: KubeObject): boolean {
  const { deletionTimestamp, finalizers = [] } = obj.metadata
  return (
    deletionTimestamp !== undefined && finalizers.length === 0 && strategy.isHeld?.(obj) !== true
  )
}

/** What is wrong with a custom resource by its schema and rules; nothing with a built-in. Warnings go to the client. */
export function customErrors(
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

/** Throws 422 with the errors, if there are any. */
export function refuseInvalid(
  resource: Resource,
  obj: KubeObject,
  errors: readonly FieldError[],
): void {
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

/** What admission is told of a create or update. */
export function attributes(
  ctx: RequestContext,
  operation: 'CREATE' | 'UPDATE',
  object: KubeObject,
  oldObject: KubeObject | undefined,
  write: WriteOptions,
): AdmissionAttributes {
  const { info, resource, user, warn, annotate, request } = ctx
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
    annotate,
    signal: request.signal,
  }
}
