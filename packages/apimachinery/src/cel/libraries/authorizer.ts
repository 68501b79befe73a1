// Declares the authorizer's functions, so that compile errors about them read as upstream's. Rules
// of schemas have no authorizer variable, so none of them can run. Called by registry.ts. Ref:
// apiserver/pkg/cel/library/authz.go

import type { Library } from '../function.ts'

const AUTHORIZER = 'kubernetes.authorization.Authorizer'
const PATH = 'kubernetes.authorization.PathCheck'
const GROUP = 'kubernetes.authorization.GroupCheck'
const RESOURCE = 'kubernetes.authorization.ResourceCheck'
const DECISION = 'kubernetes.authorization.Decision'

export const AUTHORIZATION: Library = {
  path: { authorizer_path: [`${AUTHORIZER}.(string) -> ${PATH}`] },
  group: { authorizer_group: [`${AUTHORIZER}.(string) -> ${GROUP}`] },
  serviceAccount: {
    authorizer_serviceaccount: [`${AUTHORIZER}.(string, string) -> ${AUTHORIZER}`],
  },
  resource: { groupcheck_resource: [`${GROUP}.(string) -> ${RESOURCE}`] },
  subresource: { resourcecheck_subresource: [`${RESOURCE}.(string) -> ${RESOURCE}`] },
  namespace: { resourcecheck_namespace: [`${RESOURCE}.(string) -> ${RESOURCE}`] },
  name: { resourcecheck_name: [`${RESOURCE}.(string) -> ${RESOURCE}`] },
  check: {
    pathcheck_check: [`${PATH}.(string) -> ${DECISION}`],
    resourcecheck_check: [`${RESOURCE}.(string) -> ${DECISION}`],
  },
  errored: { decision_errored: [`${DECISION}.() -> bool`] },
  error: { decision_error: [`${DECISION}.() -> string`] },
  allowed: { decision_allowed: [`${DECISION}.() -> bool`] },
  reason: { decision_reason: [`${DECISION}.() -> string`] },
  fieldSelector: { authorizer_fieldselector: [`${RESOURCE}.(string) -> ${RESOURCE}`] },
  labelSelector: { authorizer_labelselector: [`${RESOURCE}.(string) -> ${RESOURCE}`] },
}
