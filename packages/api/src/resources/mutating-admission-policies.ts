// MutatingAdmissionPolicies and their bindings. Part of admissionregistration.ts; their expressions compile on write.
// Ref: kubernetes/pkg/apis/admissionregistration/validation ValidateMutatingAdmissionPolicy

import {
  type FieldError,
  invalidValue,
  isObject,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import type { PolicyEnvironment } from '../admission/policy-environment.ts'
import type { Resource } from '../resource.ts'
import { expressionErrors, FAILURE_POLICIES, oneOf } from './admission-rules.ts'
import { column } from './columns.ts'
import { bindingKind, policyKind } from './policy-kind.ts'
import {
  bindingErrors,
  constraintErrors,
  environmentOf,
  paramKindErrors,
  policyConditionErrors,
  variableErrors,
} from './policy-rules.ts'
import { listAt, objectAt, objectsAt, textAt, textsAt } from './reading.ts'

/** A deletion has no object to change. */
const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'UPDATE']
const REINVOCATION_POLICIES = ['IfNeeded', 'Never']

/** The field that each type of patch has its expression in, and what that must evaluate to. */
const PATCHES = {
  ApplyConfiguration: { field: 'applyConfiguration', result: 'Object' },
  JSONPatch: { field: 'jsonPatch', result: 'list(JSONPatch)' },
} as const

const isPatchType = (type: string): type is keyof typeof PATCHES => Object.hasOwn(PATCHES, type)

function operationErrors(match: JsonObject, path: string): FieldError[] {
  return objectsAt(match, 'resourceRules')
    .flatMap(rule => textsAt(rule, 'operations'))
    .filter(operation => !OPERATIONS.includes(operation))
    .map(operation => notSupported(`${path}.resourceRules.operations`, operation, OPERATIONS))
}

function mutationErrors(
  mutation: JsonObject,
  path: string,
  { deciding }: PolicyEnvironment,
): FieldError[] {
  const type = textAt(mutation, 'patchType')
  if (type === '') return [required(`${path}.patchType`)]
  if (!isPatchType(type)) {
    return [notSupported(`${path}.patchType`, type, Object.keys(PATCHES))]
  }
  const { field, result } = PATCHES[type]
  const given = mutation[field]
  const at = `${path}.${field}`
  const errors: FieldError[] = []
  if (!isObject(given)) errors.push(required(at, `must be specified when patchType is ${type}`))
  else {
    const expression = textAt(given, 'expression').trim()
    errors.push(...expressionErrors(expression, `${at}.expression`, deciding, result))
  }
  const other = type === 'JSONPatch' ? 'applyConfiguration' : 'jsonPatch'
  if (mutation[other] !== undefined) {
    const detail = `must not be specified when patchType is ${type}`
    errors.push(invalidValue(`${path}.${other}`, `{${other}}`, detail))
  }
  return errors
}

function policyErrors(obj: KubeObject): FieldError[] {
  const spec = objectAt(obj, 'spec')
  const environment = environmentOf(spec)
  const errors = [
    ...oneOf(spec, 'failurePolicy', FAILURE_POLICIES, 'spec'),
    ...paramKindErrors(spec),
    ...constraintErrors(spec),
    ...operationErrors(objectAt(spec, 'matchConstraints'), 'spec.matchConstraints'),
    ...policyConditionErrors(spec),
    ...variableErrors(spec),
  ]
  const mutations = objectsAt(spec, 'mutations')
  if (mutations.length === 0) {
    errors.push(required('spec.mutations', 'mutations must contain at least one item'))
  }
  mutations.forEach((mutation, index) => {
    errors.push(...mutationErrors(mutation, `spec.mutations[${index}]`, environment))
  })
  if (textAt(spec, 'reinvocationPolicy') === '') errors.push(required('spec.reinvocationPolicy'))
  return [...errors, ...oneOf(spec, 'reinvocationPolicy', REINVOCATION_POLICIES, 'spec')]
}

export const mutatingPolicies: Resource = policyKind(
  { kind: 'MutatingAdmissionPolicy', plural: 'mutatingadmissionpolicies', errors: policyErrors },
  {
    counts: column(
      'Mutations',
      'How many changes it makes.',
      obj => listAt(obj, 'spec.mutations').length,
      { type: 'integer' },
    ),
  },
)

function mutatingBindingErrors(obj: KubeObject): FieldError[] {
  const spec = objectAt(obj, 'spec')
  const match = objectAt(spec, 'matchResources')
  return [...bindingErrors(spec), ...operationErrors(match, 'spec.matchResources')]
}

export const mutatingBindings: Resource = bindingKind({
  kind: 'MutatingAdmissionPolicyBinding',
  plural: 'mutatingadmissionpolicybindings',
  errors: mutatingBindingErrors,
})
