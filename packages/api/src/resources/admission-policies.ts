// ValidatingAdmissionPolicies and their bindings. Part of admissionregistration.ts; their expressions compile on write.
// Ref: kubernetes/pkg/apis/admissionregistration/validation ValidateValidatingAdmissionPolicy

import {
  duplicate,
  type FieldError,
  invalidValue,
  isQualifiedName,
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

const REASONS = ['Forbidden', 'Invalid', 'RequestEntityTooLarge']
const ANNOTATIONS_MAX = 20
/** Shorter than an annotation's value may be, as expressions join texts. */
const ANNOTATION_BYTES_MAX = 5 * 1024

function validationErrors(
  validation: JsonObject,
  path: string,
  { deciding, telling }: PolicyEnvironment,
): FieldError[] {
  const expression = textAt(validation, 'expression')
  const errors =
    expression.trim() === ''
      ? [required(`${path}.expression`, 'expression is not specified')]
      : expressionErrors(expression, `${path}.expression`, deciding)
  const message = textAt(validation, 'messageExpression')
  if (message.trim() !== '') {
    errors.push(...expressionErrors(message, `${path}.messageExpression`, telling, 'string'))
  } else if (message !== '') {
    errors.push(invalidValue(`${path}.messageExpression`, message, NOT_EMPTY))
  }
  const text = textAt(validation, 'message')
  if (text !== '' && text.trim() === '') {
    errors.push(invalidValue(`${path}.message`, text, NOT_EMPTY))
  } else if (/[\n\r]/.test(text.trim())) {
    errors.push(invalidValue(`${path}.message`, text, 'must not contain line breaks'))
  }
  return [...errors, ...oneOf(validation, 'reason', REASONS, path)]
}

const NOT_EMPTY = 'must be non-empty if specified'

function auditErrors(obj: KubeObject, { deciding }: PolicyEnvironment): FieldError[] {
  const audits = objectsAt(obj, 'spec.auditAnnotations')
  const errors: FieldError[] = []
  if (audits.length > ANNOTATIONS_MAX) {
    const detail = `must not have more than ${ANNOTATIONS_MAX} auditAnnotations`
    const shown = audits.map(audit => ({
      Key: textAt(audit, 'key'),
      ValueExpression: textAt(audit, 'valueExpression'),
    }))
    errors.push(invalidValue('spec.auditAnnotations', shown, detail))
  }
  const keys = audits.map(audit => textAt(audit, 'key'))
  audits.forEach((audit, index) => {
    const path = `spec.auditAnnotations[${index}]`
    const key = keys[index] ?? ''
    errors.push(...auditKeyErrors(obj.metadata.name ?? '', key, `${path}.key`))
    const value = textAt(audit, 'valueExpression')
    const at = `${path}.valueExpression`
    if (value.trim() === '') errors.push(required(at, 'valueExpression is not specified'))
    else if (Buffer.byteLength(value.trim()) > ANNOTATION_BYTES_MAX) {
      errors.push(required(at, `must not exceed ${ANNOTATION_BYTES_MAX} bytes in length`))
    } else errors.push(...expressionErrors(value, at, deciding, 'string or null'))
    if (keys.indexOf(key) < index) errors.push(duplicate(`${path}.key`, key))
  })
  return errors
}

function auditKeyErrors(policy: string, key: string, path: string): FieldError[] {
  if (policy === '') return [invalidValue(path, key, 'requires metadata.name be non-empty')]
  const full = `${policy}/${key}`
  return isQualifiedName(full).map(text => invalidValue(path, full, text))
}

function policyErrors(obj: KubeObject): FieldError[] {
  const spec = objectAt(obj, 'spec')
  const environment = environmentOf(spec)
  const errors = [
    ...oneOf(spec, 'failurePolicy', FAILURE_POLICIES, 'spec'),
    ...paramKindErrors(spec),
    ...constraintErrors(spec),
    ...policyConditionErrors(spec),
    ...variableErrors(spec),
  ]
  const validations = objectsAt(spec, 'validations')
  if (validations.length + listAt(spec, 'auditAnnotations').length === 0) {
    const detail = 'validations or auditAnnotations must contain at least one item'
    return [
      ...errors,
      required('spec.validations', detail),
      required('spec.auditAnnotations', detail),
    ]
  }
  validations.forEach((validation, index) => {
    errors.push(...validationErrors(validation, `spec.validations[${index}]`, environment))
  })
  return [...errors, ...auditErrors(obj, environment)]
}

export const validatingPolicies: Resource = policyKind(
  {
    kind: 'ValidatingAdmissionPolicy',
    plural: 'validatingadmissionpolicies',
    errors: policyErrors,
  },
  {
    status: true,
    counts: column(
      'Validations',
      'How many expressions it has.',
      obj => listAt(obj, 'spec.validations').length,
      { type: 'integer' },
    ),
  },
)

const ACTIONS = ['Audit', 'Deny', 'Warn']

function validatingBindingErrors(obj: KubeObject): FieldError[] {
  const spec = objectAt(obj, 'spec')
  const errors = bindingErrors(spec)
  const actions = textsAt(spec, 'validationActions')
  const path = 'spec.validationActions'
  actions.forEach((action, index) => {
    if (!ACTIONS.includes(action)) errors.push(notSupported(`${path}[${index}]`, action, ACTIONS))
    if (actions.indexOf(action) < index) errors.push(duplicate(`${path}[${index}]`, action))
  })
  if (actions.includes('Deny') && actions.includes('Warn')) {
    const detail =
      'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)'
    errors.push(invalidValue(path, [...actions], detail))
  }
  if (actions.length === 0) {
    errors.push(required(path, 'at least one validation action is required'))
  }
  return errors
}

export const validatingBindings: Resource = bindingKind({
  kind: 'ValidatingAdmissionPolicyBinding',
  plural: 'validatingadmissionpolicybindings',
  errors: validatingBindingErrors,
})
