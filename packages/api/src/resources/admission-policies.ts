// ValidatingAdmissionPolicies and their bindings. Part of admissionregistration.ts; their expressions compile on write.
// Ref: kubernetes/pkg/apis/admissionregistration/validation ValidateValidatingAdmissionPolicy

import {
  duplicate,
  type FieldError,
  invalidValue,
  isObject,
  isQualifiedName,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
  validateLabelSelector,
} from '@podless/apimachinery'
import { type PolicyEnvironment, policyEnvironment } from '../policy-environment.ts'
import type { Resource } from '../resource.ts'
import {
  CATEGORIES,
  conditionErrors,
  defaultRules,
  expressionErrors,
  FAILURE_POLICIES,
  GROUP,
  MATCH_POLICIES,
  oneOf,
  ruleErrors,
} from './admission-rules.ts'
import { builtin } from './builtin.ts'
import { AGE, column, NAME, textColumn } from './columns.ts'
import {
  ensureObject,
  fillDefaults,
  fillEmpty,
  listAt,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from './reading.ts'

const REASONS = ['Forbidden', 'Invalid', 'RequestEntityTooLarge']

function defaultMatch(match: JsonObject): void {
  fillEmpty(match, { matchPolicy: 'Equivalent' })
  fillDefaults(match, { namespaceSelector: {}, objectSelector: {} })
  defaultRules([...objectsAt(match, 'resourceRules'), ...objectsAt(match, 'excludeResourceRules')])
}

function matchErrors(match: JsonObject, path: string): FieldError[] {
  const errors = [
    ...oneOf(match, 'matchPolicy', MATCH_POLICIES, path),
    ...validateLabelSelector(valueAt(match, 'namespaceSelector'), `${path}.namespaceSelector`),
    ...validateLabelSelector(valueAt(match, 'objectSelector'), `${path}.objectSelector`),
  ]
  for (const list of ['resourceRules', 'excludeResourceRules']) {
    objectsAt(match, list).forEach((rule, index) => {
      errors.push(...ruleErrors(rule, `${path}.${list}[${index}]`))
    })
  }
  return errors
}

function validationErrors(
  validation: JsonObject,
  path: string,
  { deciding, telling }: PolicyEnvironment,
): FieldError[] {
  const expression = textAt(validation, 'expression').trim()
  const message = textAt(validation, 'messageExpression').trim()
  const text = textAt(validation, 'message')
  const errors =
    expression === ''
      ? [required(`${path}.expression`, 'expression is not specified')]
      : expressionErrors(expression, `${path}.expression`, deciding)
  if (message !== '') {
    const at = `${path}.messageExpression`
    errors.push(...expressionErrors(message, at, telling, 'string'))
  }
  if (text !== text.trim()) {
    errors.push(
      invalidValue(
        `${path}.message`,
        text,
        'message must not contain leading or trailing whitespace',
      ),
    )
  } else if (text.includes('\n')) {
    errors.push(invalidValue(`${path}.message`, text, 'message must not contain line breaks'))
  }
  return [...errors, ...oneOf(validation, 'reason', REASONS, path)]
}

/** What expressions see after the first `count` variables. */
function environmentOf(spec: JsonObject, count?: number): PolicyEnvironment {
  const variables = objectsAt(spec, 'variables').slice(0, count)
  const named = variables.map(variable => ({
    name: textAt(variable, 'name'),
    expression: textAt(variable, 'expression'),
  }))
  return policyEnvironment(named, { hasParams: isObject(spec.paramKind) })
}

function variableErrors(spec: JsonObject): FieldError[] {
  const seen = new Set<string>()
  return objectsAt(spec, 'variables').flatMap((variable, index) => {
    const path = `spec.variables[${index}]`
    const name = textAt(variable, 'name')
    const errors: FieldError[] = []
    if (name === '') errors.push(required(`${path}.name`, 'name is not specified'))
    else if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      errors.push(invalidValue(`${path}.name`, name, 'name is not a valid CEL identifier'))
    }
    if (seen.has(name)) errors.push(duplicate(`${path}.name`, name))
    seen.add(name)
    const expression = textAt(variable, 'expression').trim()
    if (expression === '') {
      return [...errors, required(`${path}.expression`, 'expression is not specified')]
    }
    return [
      ...errors,
      ...expressionErrors(
        expression,
        `${path}.expression`,
        environmentOf(spec, index).deciding,
        'any',
      ),
    ]
  })
}

function policyErrors(obj: KubeObject): FieldError[] {
  const spec = objectAt(obj, 'spec')
  const environment = environmentOf(spec)
  const errors = oneOf(spec, 'failurePolicy', FAILURE_POLICIES, 'spec')
  const match = valueAt(spec, 'matchConstraints')
  if (!isObject(match)) errors.push(required('spec.matchConstraints'))
  else {
    errors.push(...matchErrors(match, 'spec.matchConstraints'))
    if (objectsAt(match, 'resourceRules').length === 0) {
      errors.push(required('spec.matchConstraints.resourceRules'))
    }
  }
  errors.push(...conditionErrors(spec, 'spec', environment.deciding), ...variableErrors(spec))
  const validations = objectsAt(spec, 'validations')
  const audits = objectsAt(spec, 'auditAnnotations')
  if (validations.length + audits.length === 0) {
    const detail = 'validations or auditAnnotations must contain at least one item'
    errors.push(required('spec.validations', detail), required('spec.auditAnnotations', detail))
  }
  validations.forEach((validation, index) => {
    errors.push(...validationErrors(validation, `spec.validations[${index}]`, environment))
  })
  audits.forEach((audit, index) => {
    const path = `spec.auditAnnotations[${index}]`
    const key = textAt(audit, 'key')
    errors.push(...isQualifiedName(key).map(text => invalidValue(`${path}.key`, key, text)))
    const value = textAt(audit, 'valueExpression').trim()
    const at = `${path}.valueExpression`
    errors.push(...expressionErrors(value, at, environment.telling, 'any'))
  })
  return errors
}

export const validatingPolicies: Resource = builtin({
  group: GROUP,
  kind: 'ValidatingAdmissionPolicy',
  plural: 'validatingadmissionpolicies',
  categories: CATEGORIES,
  namespaced: false,
  strategy: {
    hasGeneration: true,
    allowUnconditionalUpdate: false,
    default: obj => {
      const spec = ensureObject(obj, 'spec')
      fillEmpty(spec, { failurePolicy: 'Fail' })
      const match = spec.matchConstraints
      if (isObject(match)) defaultMatch(match)
    },
    validate: policyErrors,
    validateUpdate: policyErrors,
  },
  status: true,
  columns: [
    NAME,
    column(
      'Validations',
      'How many expressions it has.',
      obj => listAt(obj, 'spec.validations').length,
      { type: 'integer' },
    ),
    column('ParamKind', 'Where its parameters are.', obj => {
      const kind = textAt(obj, 'spec.paramKind.kind')
      return kind === '' ? '<unset>' : `${textAt(obj, 'spec.paramKind.apiVersion')}/${kind}`
    }),
    AGE,
  ],
})

const ACTIONS = ['Audit', 'Deny', 'Warn']

function bindingErrors(obj: KubeObject): FieldError[] {
  const errors: FieldError[] = []
  const spec = objectAt(obj, 'spec')
  const policy = textAt(spec, 'policyName')
  if (policy === '') errors.push(required('spec.policyName'))
  const param = valueAt(spec, 'paramRef')
  if (isObject(param)) errors.push(...paramErrors(param))
  const match = valueAt(spec, 'matchResources')
  if (isObject(match)) errors.push(...matchErrors(match, 'spec.matchResources'))
  const actions = textsAt(spec, 'validationActions')
  const path = 'spec.validationActions'
  if (actions.length === 0) {
    errors.push(required(path, 'at least one validation action is required'))
  }
  if (actions.includes('Deny') && actions.includes('Warn')) {
    const detail =
      'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)'
    errors.push(invalidValue(path, [...actions], detail))
  }
  actions.forEach((action, index) => {
    if (!ACTIONS.includes(action)) errors.push(notSupported(`${path}[${index}]`, action, ACTIONS))
    if (actions.indexOf(action) < index) errors.push(duplicate(`${path}[${index}]`, action))
  })
  return errors
}

function paramErrors(param: JsonObject): FieldError[] {
  const named = textAt(param, 'name') !== ''
  const selected = isObject(param.selector)
  const errors: FieldError[] = []
  const path = 'spec.paramRef'
  if (named === selected) {
    const detail = 'name or selector must be specified'
    errors.push(
      named
        ? { ...required(path, 'name and selector are mutually exclusive') }
        : required(path, detail),
    )
  }
  if (textAt(param, 'parameterNotFoundAction') === '') {
    errors.push(required(`${path}.parameterNotFoundAction`))
  } else errors.push(...oneOf(param, 'parameterNotFoundAction', ['Allow', 'Deny'], path))
  return errors
}

export const validatingBindings: Resource = builtin({
  group: GROUP,
  kind: 'ValidatingAdmissionPolicyBinding',
  plural: 'validatingadmissionpolicybindings',
  categories: CATEGORIES,
  namespaced: false,
  strategy: {
    hasGeneration: true,
    allowUnconditionalUpdate: false,
    default: obj => {
      const match = valueAt(obj, 'spec.matchResources')
      if (isObject(match)) defaultMatch(match)
    },
    validate: bindingErrors,
    validateUpdate: bindingErrors,
  },
  columns: [
    NAME,
    textColumn('PolicyName', 'spec.policyName', 'The policy it puts to work.'),
    column('ParamRef', 'The parameters it uses.', obj => {
      const name = textAt(obj, 'spec.paramRef.name')
      if (name === '') return isObject(valueAt(obj, 'spec.paramRef.selector')) ? '*' : '<unset>'
      const namespace = textAt(obj, 'spec.paramRef.namespace')
      return namespace === '' ? name : `${namespace}/${name}`
    }),
    AGE,
  ],
})
