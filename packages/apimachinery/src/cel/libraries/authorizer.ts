// The authorizer's functions: each narrows a question down, and check() asks it. Rules of schemas have no authorizer
// variable, so that only policies can ask. Called by registry.ts. Ref: apiserver/pkg/cel/library/authz.go

import { AccessDecision, type AccessQuestion } from '../authorization.ts'
import type { Library } from '../function.ts'
import { CelError, type CelValue } from '../value.ts'

const AUTHORIZER = 'kubernetes.authorization.Authorizer'
const PATH = 'kubernetes.authorization.PathCheck'
const GROUP = 'kubernetes.authorization.GroupCheck'
const RESOURCE = 'kubernetes.authorization.ResourceCheck'
const DECISION = 'kubernetes.authorization.Decision'

type Asked = AccessQuestion

const needed = (what: string, text: string, next: () => CelValue): CelValue =>
  text === '' ? new CelError(`${what} must not be empty`) : next()

const check = (question: Asked, verb: string): CelValue =>
  new AccessDecision(question.ask({ ...question.access, verb }))

/** RBAC decides for all objects of a resource alike, so what selects among them does not matter. */
const same = (question: Asked, _selector: string): CelValue => question

export const AUTHORIZATION: Library = {
  path: {
    authorizer_path: [
      `${AUTHORIZER}.(string) -> ${PATH}`,
      (it: Asked, path: string) => needed('path', path, () => it.with('path', { path })),
    ],
  },
  group: {
    authorizer_group: [
      `${AUTHORIZER}.(string) -> ${GROUP}`,
      (it: Asked, group: string) => it.with('group', { group }),
    ],
  },
  serviceAccount: {
    authorizer_serviceaccount: [
      `${AUTHORIZER}.(string, string) -> ${AUTHORIZER}`,
      (it: Asked, namespace: string, name: string) =>
        it.with('authorizer', { serviceAccount: { namespace, name } }),
    ],
  },
  resource: {
    groupcheck_resource: [
      `${GROUP}.(string) -> ${RESOURCE}`,
      (it: Asked, resource: string) =>
        needed('resource', resource, () => it.with('resource', { resource })),
    ],
  },
  subresource: {
    resourcecheck_subresource: [
      `${RESOURCE}.(string) -> ${RESOURCE}`,
      (it: Asked, subresource: string) => it.with('resource', { subresource }),
    ],
  },
  namespace: {
    resourcecheck_namespace: [
      `${RESOURCE}.(string) -> ${RESOURCE}`,
      (it: Asked, namespace: string) => it.with('resource', { namespace }),
    ],
  },
  name: {
    resourcecheck_name: [
      `${RESOURCE}.(string) -> ${RESOURCE}`,
      (it: Asked, name: string) => it.with('resource', { name }),
    ],
  },
  check: {
    pathcheck_check: [`${PATH}.(string) -> ${DECISION}`, check],
    resourcecheck_check: [`${RESOURCE}.(string) -> ${DECISION}`, check],
  },
  errored: { decision_errored: [`${DECISION}.() -> bool`, () => false] },
  error: { decision_error: [`${DECISION}.() -> string`, () => ''] },
  allowed: { decision_allowed: [`${DECISION}.() -> bool`, (it: AccessDecision) => it.allowed] },
  reason: { decision_reason: [`${DECISION}.() -> string`, (it: AccessDecision) => it.reason] },
  fieldSelector: { authorizer_fieldselector: [`${RESOURCE}.(string) -> ${RESOURCE}`, same] },
  labelSelector: { authorizer_labelselector: [`${RESOURCE}.(string) -> ${RESOURCE}`, same] },
}
