// ServiceAccounts: the identities that tokens are issued to. Part of core.ts. /token is resources/token-request.ts.
// Ref: kubernetes/pkg/registry/core/serviceaccount/strategy.go

import type { JsonValue, KubeObject } from '@podless/apimachinery'
import type { Resource, Strategy, Subresource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { listAt, objectsAt, textAt } from './reading.ts'

/** References to secrets say nothing but a name: more would be hearsay about another object. */
function keepNames(obj: KubeObject): void {
  if (listAt(obj, 'secrets').length === 0) return
  obj.secrets = objectsAt(obj, 'secrets').map((reference): JsonValue => {
    const name = textAt(reference, 'name')
    return name === '' ? {} : { name }
  })
}

const MOUNTABLE = 'kubernetes.io/enforce-mountable-secrets'

/** Ref: kubernetes/pkg/registry/core/serviceaccount/strategy.go warnIfHasEnforceMountableSecretsAnnotation */
function annotationWarnings({ metadata }: KubeObject): string[] {
  if (metadata.annotations?.[MOUNTABLE] === undefined) return []
  const why = 'prefer separate namespaces to isolate access to mounted secrets'
  return [`metadata.annotations[${MOUNTABLE}]: deprecated in v1.32+; ${why}`]
}

const strategy: Strategy = {
  warnings: annotationWarnings,
  prepareForCreate: keepNames,
  prepareForUpdate: keepNames,
}

/** The ServiceAccount resource, with /token as the caller implements it. */
export function serviceAccounts(token: Subresource): Resource {
  return builtin({
    group: '',
    kind: 'ServiceAccount',
    plural: 'serviceaccounts',
    shortNames: ['sa'],
    strategy,
    subresources: { token },
    more: { returnsDeleted: true },
  })
}
