// The group admissionregistration.k8s.io: webhooks and policies that look at writes. Read by resources/index.ts;
// admission/* does what they say. Ref: kubernetes/pkg/apis/admissionregistration/{v1/defaults,validation/validation}.go

import {
  compileCel,
  duplicate,
  type FieldError,
  invalidValue,
  isDns1123Subdomain,
  isObject,
  isQualifiedName,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
  validateLabelSelector,
  validateWebhookClient,
} from '@podless/apimachinery'
import type { Resource, Strategy } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, column, NAME, textColumn } from './columns.ts'
import {
  ensureObject,
  fillDefaults,
  fillEmpty,
  listAt,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from './reading.ts'

const GROUP = 'admissionregistration.k8s.io'
const CATEGORIES = ['api-extensions']
const REVIEW_VERSIONS = ['v1', 'v1beta1']
const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE']
const SCOPES = ['*', 'Cluster', 'Namespaced']
const MATCH_POLICIES = ['Equivalent', 'Exact']
const FAILURE_POLICIES = ['Fail', 'Ignore']
const SIDE_EFFECTS = ['None', 'NoneOnDryRun']
const WEBHOOK_PORT = 443
const TIMEOUT_SECONDS_MAX = 30
const CONDITIONS_MAX = 64

/** What an expression of webhooks and policies can see; policies also have params and variables. */
const REQUEST_VARIABLES = ['object', 'oldObject', 'request', 'authorizer'] as const
const POLICY_VARIABLES = [...REQUEST_VARIABLES, 'namespaceObject', 'params', 'variables'] as const

function oneOf(
  root: JsonObject,
  field: string,
  allowed: readonly string[],
  path: string,
): FieldError[] {
  const value = textAt(root, field)
  if (value === '' || allowed.includes(value)) return []
  return [notSupported(`${path}.${field}`, value, allowed)]
}

/** One error when an expression does not compile to a bool (or a string). */
function expressionErrors(
  expression: string,
  path: string,
  variables: readonly string[],
  result: 'bool' | 'string' | 'any' = 'bool',
): FieldError[] {
  if (expression.trim() === '') return [required(path)]
  const declared = Object.fromEntries(variables.map(name => [name, 'dyn' as const]))
  const compiled = compileCel(expression, { variables: declared, result })
  if (compiled.ok) return []
  const detail =
    compiled.reason === 'result-type'
      ? `must evaluate to ${result}`
      : `compilation failed: ${compiled.error}`
  return [invalidValue(path, expression, detail)]
}

function conditionErrors(
  root: JsonObject,
  path: string,
  variables: readonly string[],
): FieldError[] {
  const conditions = objectsAt(root, 'matchConditions')
  const names = new Set<string>()
  const errors = conditions.flatMap((condition, index) => {
    const at = `${path}.matchConditions[${index}]`
    const name = textAt(condition, 'name')
    const found: FieldError[] = expressionErrors(
      textAt(condition, 'expression').trim(),
      `${at}.expression`,
      variables,
    )
    if (name === '') found.push(required(`${at}.name`))
    else found.push(...isQualifiedName(name).map(text => invalidValue(`${at}.name`, name, text)))
    if (names.has(name)) found.push(duplicate(`${at}.name`, name))
    names.add(name)
    return found
  })
  if (conditions.length > CONDITIONS_MAX) {
    const detail = `must have at most ${CONDITIONS_MAX} items`
    errors.push({
      type: 'FieldValueTooMany',
      field: `${path}.matchConditions`,
      badValue: conditions.length,
      detail,
    })
  }
  return errors
}

// --- rules: which requests are meant

/** A list in which `*` stands alone. `detail` names the other things it excludes. */
function wildcardErrors(
  rule: JsonObject,
  field: string,
  path: string,
  others: string,
): FieldError[] {
  const values = textsAt(rule, field)
  if (values.length === 0) return [required(`${path}.${field}`)]
  const errors: FieldError[] = []
  if (values.length > 1 && values.includes('*')) {
    const detail = `if '*' is present, must not specify other ${others}`
    errors.push(invalidValue(`${path}.${field}`, [...values], detail))
  }
  return errors
}

const emptyEntries = (rule: JsonObject, field: string, path: string): FieldError[] =>
  textsAt(rule, field).flatMap((value, index) =>
    value === '' ? [required(`${path}.${field}[${index}]`)] : [],
  )

function ruleErrors(rule: JsonObject, path: string): FieldError[] {
  return [
    ...wildcardErrors(rule, 'operations', path, 'operations'),
    ...textsAt(rule, 'operations').flatMap((operation, index) =>
      OPERATIONS.includes(operation)
        ? []
        : [notSupported(`${path}.operations[${index}]`, operation, OPERATIONS)],
    ),
    ...wildcardErrors(rule, 'apiGroups', path, 'API groups'),
    ...wildcardErrors(rule, 'apiVersions', path, 'API versions'),
    ...emptyEntries(rule, 'apiVersions', path),
    ...resourceErrors(rule, `${path}.resources`),
    ...oneOf(rule, 'scope', SCOPES, path),
  ]
}

/** `*` excludes plain resources, `*\/*` excludes all, `x/*` excludes `x/y`. */
function resourceErrors(rule: JsonObject, path: string): FieldError[] {
  const resources = textsAt(rule, 'resources')
  if (resources.length === 0) return [required(path)]
  const errors: FieldError[] = []
  const wholes = new Set(
    resources.filter(name => /^[^/]+\/\*$/.test(name)).map(name => name.split('/')[0] ?? ''),
  )
  resources.forEach((name, index) => {
    const at = `${path}[${index}]`
    if (name === '') errors.push(required(at))
    const [parent = '', sub] = name.split('/')
    if (sub === undefined || sub === '*') return
    if (wholes.has(parent)) {
      const detail = `if '${parent}/*' is present, must not specify ${name}`
      errors.push(invalidValue(at, name, detail))
    }
    if (parent !== '*' && resources.includes(`*/${sub}`)) {
      const detail = `if '*/${sub}' is present, must not specify ${name}`
      errors.push(invalidValue(at, name, detail))
    }
  })
  const plain = resources.filter(name => !name.includes('/'))
  if (resources.length > 1 && resources.includes('*/*')) {
    const detail = "if '*/*' is present, must not specify other resources"
    errors.push(invalidValue(path, [...resources], detail))
  }
  if (plain.includes('*') && plain.length > 1) {
    const detail = "if '*' is present, must not specify other resources without subresources"
    errors.push(invalidValue(path, [...resources], detail))
  }
  return errors
}

function defaultRules(rules: readonly JsonObject[]): void {
  for (const rule of rules) fillEmpty(rule, { scope: '*' })
}

// --- webhook configurations

const webhooksOf = (obj: KubeObject) => objectsAt(obj, 'webhooks')

function defaultWebhook(webhook: JsonObject, mutating: boolean): void {
  fillEmpty(webhook, { failurePolicy: 'Fail', matchPolicy: 'Equivalent' })
  fillDefaults(webhook, { namespaceSelector: {}, objectSelector: {}, timeoutSeconds: 10 })
  if (mutating) fillEmpty(webhook, { reinvocationPolicy: 'Never' })
  const service = valueAt(webhook, 'clientConfig.service')
  if (isObject(service)) fillDefaults(service, { port: WEBHOOK_PORT })
  defaultRules(objectsAt(webhook, 'rules'))
}

/** A domain of at least three labels. Ref: apimachinery/pkg/util/validation IsFullyQualifiedName */
function qualifiedNameErrors(name: string, path: string): FieldError[] {
  if (name === '') return [required(path)]
  const sentences = isDns1123Subdomain(name)
  if (sentences.length > 0) return [invalidValue(path, name, sentences.join(','))]
  if (name.split('.').length >= 3) return []
  const detail = 'should be a domain with at least three segments separated by dots'
  return [invalidValue(path, name, detail)]
}

function versionErrors(webhook: JsonObject, path: string): FieldError[] {
  const at = `${path}.admissionReviewVersions`
  const versions = textsAt(webhook, 'admissionReviewVersions')
  const list = REVIEW_VERSIONS.join(', ')
  if (versions.length === 0) return [required(at, `must specify one of ${list}`)]
  const errors: FieldError[] = []
  versions.forEach((version, index) => {
    if (versions.indexOf(version) < index) {
      errors.push(invalidValue(`${at}[${index}]`, version, 'duplicate version'))
    }
  })
  if (!versions.some(version => REVIEW_VERSIONS.includes(version))) {
    errors.push(invalidValue(at, [...versions], `must include at least one of ${list}`))
  }
  return errors
}

function webhookErrors(webhook: JsonObject, path: string): FieldError[] {
  const errors = qualifiedNameErrors(textAt(webhook, 'name'), `${path}.name`)
  objectsAt(webhook, 'rules').forEach((rule, index) => {
    errors.push(...ruleErrors(rule, `${path}.rules[${index}]`))
  })
  errors.push(
    ...oneOf(webhook, 'failurePolicy', FAILURE_POLICIES, path),
    ...oneOf(webhook, 'matchPolicy', MATCH_POLICIES, path),
    ...oneOf(webhook, 'reinvocationPolicy', ['IfNeeded', 'Never'], path),
  )
  if (textAt(webhook, 'sideEffects') === '') {
    const detail = `must specify one of ${SIDE_EFFECTS.join(', ')}`
    errors.push(required(`${path}.sideEffects`, detail))
  } else errors.push(...oneOf(webhook, 'sideEffects', SIDE_EFFECTS, path))
  const seconds = numberAt(webhook, 'timeoutSeconds')
  if (seconds !== undefined && (seconds < 1 || seconds > TIMEOUT_SECONDS_MAX)) {
    const detail = `the timeout value must be between 1 and ${TIMEOUT_SECONDS_MAX} seconds`
    errors.push(invalidValue(`${path}.timeoutSeconds`, seconds, detail))
  }
  const client = objectAt(webhook, 'clientConfig')
  return [
    ...errors,
    ...validateLabelSelector(valueAt(webhook, 'namespaceSelector'), `${path}.namespaceSelector`),
    ...validateLabelSelector(valueAt(webhook, 'objectSelector'), `${path}.objectSelector`),
    ...validateWebhookClient(client, `${path}.clientConfig`, { checkCaBundle: false }),
    ...versionErrors(webhook, path),
    ...conditionErrors(webhook, path, REQUEST_VARIABLES),
  ]
}

function configurationErrors(obj: KubeObject): FieldError[] {
  const names = new Set<string>()
  return webhooksOf(obj).flatMap((webhook, index) => {
    const path = `webhooks[${index}]`
    const name = textAt(webhook, 'name')
    const errors = webhookErrors(webhook, path)
    if (name !== '' && names.has(name)) errors.push(duplicate(`${path}.name`, name))
    names.add(name)
    return errors
  })
}

function configurationStrategy(mutating: boolean): Strategy {
  return {
    hasGeneration: true,
    allowUnconditionalUpdate: false,
    default: obj => {
      for (const webhook of webhooksOf(obj)) defaultWebhook(webhook, mutating)
    },
    validate: configurationErrors,
    validateUpdate: configurationErrors,
  }
}

const configurationColumns = [
  NAME,
  column('Webhooks', 'How many webhooks it has.', obj => listAt(obj, 'webhooks').length, {
    type: 'integer',
  }),
  AGE,
]

const webhookConfiguration = (kind: string, mutating: boolean): Resource =>
  builtin({
    group: GROUP,
    kind,
    plural: `${kind.toLowerCase()}s`,
    categories: CATEGORIES,
    namespaced: false,
    strategy: configurationStrategy(mutating),
    columns: configurationColumns,
  })

// --- validating admission policies

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

function validationErrors(validation: JsonObject, path: string): FieldError[] {
  const expression = textAt(validation, 'expression').trim()
  const message = textAt(validation, 'messageExpression').trim()
  const text = textAt(validation, 'message')
  const errors =
    expression === ''
      ? [required(`${path}.expression`, 'expression is not specified')]
      : expressionErrors(expression, `${path}.expression`, POLICY_VARIABLES)
  if (message !== '') {
    const at = `${path}.messageExpression`
    errors.push(...expressionErrors(message, at, POLICY_VARIABLES, 'string'))
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
      ...expressionErrors(expression, `${path}.expression`, POLICY_VARIABLES, 'any'),
    ]
  })
}

function policyErrors(obj: KubeObject): FieldError[] {
  const spec = objectAt(obj, 'spec')
  const errors = oneOf(spec, 'failurePolicy', FAILURE_POLICIES, 'spec')
  const match = valueAt(spec, 'matchConstraints')
  if (!isObject(match)) errors.push(required('spec.matchConstraints'))
  else {
    errors.push(...matchErrors(match, 'spec.matchConstraints'))
    if (objectsAt(match, 'resourceRules').length === 0) {
      errors.push(required('spec.matchConstraints.resourceRules'))
    }
  }
  errors.push(...conditionErrors(spec, 'spec', POLICY_VARIABLES), ...variableErrors(spec))
  const validations = objectsAt(spec, 'validations')
  const audits = objectsAt(spec, 'auditAnnotations')
  if (validations.length + audits.length === 0) {
    const detail = 'validations or auditAnnotations must contain at least one item'
    errors.push(required('spec.validations', detail), required('spec.auditAnnotations', detail))
  }
  validations.forEach((validation, index) => {
    errors.push(...validationErrors(validation, `spec.validations[${index}]`))
  })
  audits.forEach((audit, index) => {
    const path = `spec.auditAnnotations[${index}]`
    const key = textAt(audit, 'key')
    errors.push(...isQualifiedName(key).map(text => invalidValue(`${path}.key`, key, text)))
    const value = textAt(audit, 'valueExpression').trim()
    const at = `${path}.valueExpression`
    errors.push(...expressionErrors(value, at, POLICY_VARIABLES, 'any'))
  })
  return errors
}

const validatingPolicies = builtin({
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

const validatingBindings = builtin({
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

export const admissionregistrationResources: readonly Resource[] = [
  webhookConfiguration('MutatingWebhookConfiguration', true),
  validatingPolicies,
  validatingBindings,
  webhookConfiguration('ValidatingWebhookConfiguration', false),
]
