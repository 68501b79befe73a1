// What metadata has to be for each kind: which names, which finalizers, and how often upstream says so.
// Called by create-object.ts and update-object.ts.
// Ref: kubernetes/pkg/apis/core/validation/validation.go ValidateObjectMeta, apiserver/pkg/registry/rest

import {
  type FieldError,
  type ObjectMeta,
  type ObjectMetaRules,
  validateObjectMeta,
  validateObjectMetaUpdate,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'

/** Groups whose rules take any finalizer that is a name. All others want `domain/name`, or one of the few old words. */
const ANY_FINALIZER: ReadonlySet<string> = new Set([
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'coordination.k8s.io',
  'events.k8s.io',
  'policy',
])

function metaRules(resource: Resource): ObjectMetaRules {
  const { validateName } = resource.strategy
  const { group, resource: plural } = resource.gvr
  const takesAny = resource.crd !== undefined || ANY_FINALIZER.has(group) || plural === 'events'
  return {
    namespaced: resource.namespaced,
    qualifiedFinalizers: !takesAny,
    ...(validateName === undefined ? {} : { validateName }),
  }
}

/** Everything wrong with the metadata of a new object. */
export function metaCreateErrors(resource: Resource, meta: ObjectMeta): FieldError[] {
  return validateObjectMeta(meta, metaRules(resource))
}

/**
 * Everything wrong with the metadata of an update. Upstream checks it in the strategy and again for every kind, and clients
 * see both. Strategies of custom resources check the changes only; finalizers are a matter of the strategy.
 */
export function metaUpdateErrors(
  resource: Resource,
  next: ObjectMeta,
  live: ObjectMeta,
): FieldError[] {
  const rules = metaRules(resource)
  const first = [...validateObjectMeta(next, rules), ...validateObjectMetaUpdate(next, live, rules)]
  if (first.length === 0) return first
  const any = { ...rules, qualifiedFinalizers: false }
  const again = resource.crd === undefined ? validateObjectMeta(next, any) : []
  return [...first, ...again, ...validateObjectMetaUpdate(next, live, any)]
}
