// What both kinds of admission policies share: what they match, their variables and their parameters. Called by
// admission-policies.ts and mutating-admission-policies.ts. Ref: kubernetes/pkg/apis/admissionregistration/validation

import {
  duplicate,
  type FieldError,
  forbiddenField,
  invalidValue,
  isDns1035Label,
  isDns1123Subdomain,
  isObject,
  isPathSegmentName,
  type JsonObject,
  notSupported,
  required,
  validateLabelSelector,
} from '@podless/apimachinery'
import { type PolicyEnvironment, policyEnvironment } from '../admission/policy-environment.ts'
import {
  conditionErrors,
  defaultRules,
  expressionErrors,
  MATCH_POLICIES,
  oneOf,
  ruleErrors,
} from './admission-rules.ts'
import {
  fillDefaults,
  fillEmpty,
  mapAt,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from './reading.ts'

/** Fills what a policy or binding leaves open about the requests it means. */
export function defaultMatch(match: JsonObject): void {
  fillEmpty(match, { matchPolicy: 'Equivalent' })
  fillDefaults(match, { namespaceSelector: {}, objectSelector: {} })
  defaultRules([...objectsAt(match, 'resourceRules'), ...objectsAt(match, 'excludeResourceRules')])
}

/** Everything wrong with what a policy or binding matches. */
export function matchErrors(match: JsonObject, path: string): FieldError[] {
  const errors = [
    ...oneOf(match, 'matchPolicy', MATCH_POLICIES, path),
    ...validateLabelSelector(valueAt(match, 'namespaceSelector'), `${path}.namespaceSelector`),
    ...validateLabelSelector(valueAt(match, 'objectSelector'), `${path}.objectSelector`),
  ]
  for (const list of ['resourceRules', 'excludeResourceRules']) {
    objectsAt(match, list).forEach((rule, index) => {
      const at = `${path}.${list}[${index}]`
      errors.push(...resourceNameErrors(rule, at), ...ruleErrors(rule, at))
    })
  }
  return errors
}

function resourceNameErrors(rule: JsonObject, path: string): FieldError[] {
  const names = textsAt(rule, 'resourceNames')
  return names.flatMap((name, index) => {
    const at = `${path}.resourceNames[${index}]`
    const errors = isPathSegmentName(name).map(text => invalidValue(at, name, text))
    return names.indexOf(name) < index ? [...errors, duplicate(at, name)] : errors
  })
}

/** A policy's matchConstraints, without which it is about nothing. */
export function constraintErrors(spec: JsonObject): FieldError[] {
  const match = valueAt(spec, 'matchConstraints')
  if (!isObject(match)) return [required('spec.matchConstraints')]
  const errors = matchErrors(match, 'spec.matchConstraints')
  if (objectsAt(match, 'resourceRules').length === 0) {
    errors.push(required('spec.matchConstraints.resourceRules'))
  }
  return errors
}

/** What expressions see after the first `count` variables. */
export function environmentOf(spec: JsonObject, count?: number): PolicyEnvironment {
  const variables = objectsAt(spec, 'variables').slice(0, count)
  const named = variables.map(variable => ({
    name: textAt(variable, 'name'),
    expression: textAt(variable, 'expression'),
  }))
  return policyEnvironment(named, { hasParams: isObject(spec.paramKind) })
}

/** A policy's match conditions, which see no variables when they are checked. */
export function policyConditionErrors(spec: JsonObject): FieldError[] {
  const { variables: _none, ...visible } = environmentOf(spec, 0).deciding
  return conditionErrors(spec, 'spec', visible)
}

/** A policy's variables, each of which sees those before it. */
export function variableErrors(spec: JsonObject): FieldError[] {
  return objectsAt(spec, 'variables').flatMap((variable, index) => {
    const path = `spec.variables[${index}]`
    const name = textAt(variable, 'name')
    const errors: FieldError[] = []
    if (name.trim() === '') errors.push(required(`${path}.name`, 'name is not specified'))
    else if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      errors.push(invalidValue(`${path}.name`, name, 'must be a valid CEL identifier'))
    }
    const expression = textAt(variable, 'expression')
    if (expression.trim() === '') {
      return [...errors, required(`${path}.expression`, 'expression is not specified')]
    }
    const { deciding } = environmentOf(spec, index)
    return [...errors, ...expressionErrors(expression, `${path}.expression`, deciding, 'any')]
  })
}

/** The kind of a policy's parameters. */
export function paramKindErrors(spec: JsonObject): FieldError[] {
  if (!isObject(spec.paramKind)) return []
  const apiVersion = textAt(spec, 'paramKind.apiVersion')
  const kind = textAt(spec, 'paramKind.kind')
  const errors = apiVersionErrors(apiVersion, 'spec.paramKind.apiVersion')
  const path = 'spec.paramKind.kind'
  if (kind === '') return [...errors, required(path)]
  const why = isDns1035Label(kind.toLowerCase())
  if (why.length === 0) return errors
  const intro = 'may have mixed case, but should otherwise match: '
  return [...errors, invalidValue(path, kind, intro + why.join(','))]
}

function apiVersionErrors(apiVersion: string, path: string): FieldError[] {
  if (apiVersion === '') return [required(path)]
  const parts = apiVersion.split('/')
  if (apiVersion !== '/' && parts.length > 2) {
    return [invalidValue(path, apiVersion, `unexpected GroupVersion string: ${apiVersion}`)]
  }
  const group = parts.length === 2 ? (parts[0] ?? '') : ''
  const version = parts.at(-1) ?? ''
  const groupErrors = group === '' ? [] : isDns1123Subdomain(group)
  const errors = groupErrors.length === 0 ? [] : [invalidValue(path, group, groupErrors.join(','))]
  if (version === '')
    return [...errors, invalidValue(path, apiVersion, 'version must be specified')]
  const versionErrors = isDns1035Label(version)
  if (versionErrors.length === 0) return errors
  return [...errors, invalidValue(path, version, versionErrors.join(','))]
}

/** What the two kinds of bindings share: the policy's name, the parameters and the requests. */
export function bindingErrors(spec: JsonObject): FieldError[] {
  const policy = textAt(spec, 'policyName')
  const path = 'spec.policyName'
  const errors =
    policy === ''
      ? [required(path)]
      : isDns1123Subdomain(policy).map(text => invalidValue(path, policy, text))
  if (isObject(spec.paramRef)) errors.push(...paramRefErrors(spec.paramRef))
  const match = valueAt(spec, 'matchResources')
  return isObject(match) ? [...errors, ...matchErrors(match, 'spec.matchResources')] : errors
}

function paramRefErrors(param: JsonObject): FieldError[] {
  const path = 'spec.paramRef'
  const name = textAt(param, 'name')
  const { selector } = param
  const both =
    name !== '' && isObject(selector)
      ? (field: string) => [
          forbiddenField(`${path}.${field}`, 'name and selector are mutually exclusive'),
        ]
      : () => []
  const errors: FieldError[] = []
  if (name !== '') {
    errors.push(...isPathSegmentName(name).map(text => invalidValue(`${path}.name`, name, text)))
    errors.push(...both('name'))
  }
  if (isObject(selector)) {
    errors.push(...validateLabelSelector(selector, `${path}.selector`), ...both('selector'))
  }
  if (name === '' && !isObject(selector)) {
    errors.push(required(path, 'one of name or selector must be specified'))
  }
  const action = textAt(param, 'parameterNotFoundAction')
  const at = `${path}.parameterNotFoundAction`
  if (action === '') errors.push(required(at))
  else if (!NOT_FOUND_ACTIONS.includes(action)) {
    errors.push(notSupported(at, action, NOT_FOUND_ACTIONS))
  }
  return errors
}

const NOT_FOUND_ACTIONS = ['Deny', 'Allow']

/** How tables show a binding's parameters; Go prints a selector with its field names. */
export function paramRefCell(spec: JsonObject): string {
  const param = objectAt(spec, 'paramRef')
  const name = textAt(param, 'name')
  if (name !== '') return `${textAt(param, 'namespace') || '*'}/${name}`
  return isObject(param.selector) ? selectorText(param.selector) : '<unset>'
}

function selectorText(selector: JsonObject): string {
  const labels = Object.entries(mapAt(selector, 'matchLabels')).sort()
  const pairs = labels.map(([key, value]) => `${key}: ${value},`).join('')
  const requirements = objectsAt(selector, 'matchExpressions').map(requirement => {
    const values = textsAt(requirement, 'values').join(' ')
    const [key, operator] = [textAt(requirement, 'key'), textAt(requirement, 'operator')]
    return `LabelSelectorRequirement{Key:${key},Operator:${operator},Values:[${values}],},`
  })
  const map = `map[string]string{${pairs}}`
  return `&LabelSelector{MatchLabels:${map},MatchExpressions:[]LabelSelectorRequirement{${requirements.join('')}},}`
}

/** How tables show a policy's kind of parameters. */
export function paramKindCell(spec: JsonObject): string {
  const kind = textAt(spec, 'paramKind.kind')
  return kind === '' ? '<unset>' : `${textAt(spec, 'paramKind.apiVersion')}/${kind}`
}
