// The group authentication.k8s.io: questions about identities. They are answered and never stored.
// Read by resources/index.ts; the token check is auth/authenticate.ts.
// Ref: kubernetes/pkg/registry/authentication/{tokenreview,selfsubjectreview}/storage.go

import { badRequest, type JsonObject, type KubeObject } from '@podless/apimachinery'
import type { Resource, RuleContext, UserInfo } from '../resource.ts'
import { builtin } from './builtin.ts'
import { textAt, textsAt } from './reading.ts'

const GROUP = 'authentication.k8s.io'
const API_VERSION = `${GROUP}/v1`

// Object.assign keeps the lazy schema; a spread would read it.
export const authenticationResources: readonly Resource[] = [
  Object.assign(
    builtin({
      group: GROUP,
      kind: 'SelfSubjectReview',
      plural: 'selfsubjectreviews',
      namespaced: false,
      verbs: ['create'],
    }),
    { create: selfSubjectReview },
  ),
  Object.assign(
    builtin({
      group: GROUP,
      kind: 'TokenReview',
      plural: 'tokenreviews',
      namespaced: false,
      verbs: ['create'],
    }),
    { create: tokenReview },
  ),
]

async function selfSubjectReview(_body: KubeObject, ctx: RuleContext): Promise<KubeObject> {
  return {
    apiVersion: API_VERSION,
    kind: 'SelfSubjectReview',
    metadata: { creationTimestamp: `${ctx.now().toISOString().slice(0, 19)}Z` },
    status: { userInfo: userInfo(ctx.user) },
  }
}

/** A token that does not hold is an answer, not an error of the request. */
async function tokenReview(body: KubeObject, ctx: RuleContext): Promise<KubeObject> {
  const token = textAt(body, 'spec.token')
  if (token === '') throw badRequest('token is required for TokenReview in authentication')
  const result = await ctx.services.tokens.review(token, textsAt(body, 'spec.audiences'))
  const status: JsonObject =
    'error' in result
      ? { user: {}, error: result.error }
      : { authenticated: true, user: userInfo(result.user), audiences: [...result.audiences] }
  const { metadata, spec } = body
  return { apiVersion: API_VERSION, kind: 'TokenReview', metadata, spec, status }
}

/** A user as authentication.k8s.io/v1 UserInfo, empty parts left out. */
function userInfo({ extra = {}, groups, name, uid = '' }: UserInfo): JsonObject {
  const lists = Object.entries(extra).map(([key, values]): [string, string[]] => [key, [...values]])
  return {
    username: name,
    ...(uid === '' ? {} : { uid }),
    ...(groups.length === 0 ? {} : { groups: [...groups] }),
    ...(lists.length === 0 ? {} : { extra: Object.fromEntries(lists) }),
  }
}
