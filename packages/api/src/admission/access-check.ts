// What expressions of policies and webhooks get by the name of `authorizer`: questions about the request's user, or about
// a ServiceAccount that they name. Called by policy-matching.ts and webhook-config.ts; asks the server's authorizer.
// Ref: apiserver/pkg/cel/library/authz.go

import {
  type AccessQuestion,
  type CelAccessCheck,
  type CelVariable,
  celAuthorizer,
  celResourceCheck,
} from '@podless/apimachinery'
import type { Authorizer, UserInfo } from '../resource.ts'
import type { AdmissionAttributes } from './chain.ts'

/** The types of what is bound below. */
export const AUTHORIZER_VARIABLES = {
  authorizer: 'kubernetes.authorization.Authorizer',
  'authorizer.requestResource': 'kubernetes.authorization.ResourceCheck',
} as const satisfies Readonly<Record<string, CelVariable>>

type AuthorizerBindings = Readonly<Record<keyof typeof AUTHORIZER_VARIABLES, AccessQuestion>>

/** The authorizer for one request, and a question about the very resource that it is about. */
export function authorizerBindings(
  authorizer: Authorizer,
  { user, resource, subresource, namespace, name }: AdmissionAttributes,
): AuthorizerBindings {
  const ask = accessCheck(authorizer, user)
  const { group } = resource.gvr
  return {
    authorizer: celAuthorizer(ask),
    'authorizer.requestResource': celResourceCheck(ask, {
      group,
      resource: resource.gvr.resource,
      subresource,
      namespace,
      name,
    }),
  }
}

function accessCheck(authorizer: Authorizer, user: UserInfo): CelAccessCheck {
  return ({ serviceAccount, ...access }) =>
    authorizer.authorize({
      ...access,
      user: serviceAccount === undefined ? user : serviceAccountUser(serviceAccount),
    })
}

function serviceAccountUser({ namespace, name }: { namespace: string; name: string }): UserInfo {
  const all = 'system:serviceaccounts'
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    groups: [all, `${all}:${namespace}`, 'system:authenticated'],
  }
}
