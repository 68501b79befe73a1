// What webhooks and policies share: rules that say which requests are meant, conditions and expressions.
// Called by admissionregistration.ts and admission-policies.ts. Ref: kubernetes/pkg/apis/admissionregistration/validation

import {
  type CelVariable,
  type CompileOptions,
  compileCel,
  duplicate,
  type FieldError,
  invalidValue,
  isQualifiedName,
  type JsonObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import { AUTHORIZER_VARIABLES } from '../admission/access-check.ts'
import { fillEmpty, objectsAt, textAt, textsAt } from './reading.ts'

export const GROUP = 'admissionregistration.k8s.io'
export const CATEGORIES = ['api-extensions']
const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE']
const SCOPES = ['*', 'Cluster', 'Namespaced']
export const MATCH_POLICIES = ['Equivalent', 'Exact']
export const FAILURE_POLICIES = ['Fail', 'Ignore']
const CONDITIONS_MAX = 64

/** What an expression of a webhook can see. Policies have their own, see policy-environment.ts. */
export const REQUEST_VARIABLES: Visible = {
  object: 'dyn',
  oldObject: 'dyn',
  request: 'dyn',
  ...AUTHORIZER_VARIABLES,
}

/** One error when a field holds something else than what is allowed. */
export function oneOf(
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
export function expressionErrors(
  expression: string,
  path: string,
  variables: Visible,
  result: CompileOptions['result'] = 'bool',
): FieldError[] {
  if (expression.trim() === '') return [required(path)]
  const compiled = compileCel(expression, { variables, result })
  if (compiled.ok) return []
  const detail =
    compiled.reason === 'result-type'
      ? `must evaluate to ${WANTED[result] ?? result} but got ${compiled.error}`
      : `compilation failed: ${compiled.error}`
  return [invalidValue(path, expression, detail)]
}

/** How upstream lists what an expression may evaluate to. */
const WANTED: Readonly<Record<string, string>> = {
  'string or null': 'one of [string null_type]',
}

type Visible = Readonly<Record<string, CelVariable>>

/** matchConditions: names and expressions. */
export function conditionErrors(root: JsonObject, path: string, variables: Visible): FieldError[] {
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

/** Everything wrong with one rule. */
export function ruleErrors(rule: JsonObject, path: string): FieldError[] {
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

/** What each resource of a list leaves for those after it; `*` and `*\/*` exclude others wherever they stand. */
function resourceErrors(rule: JsonObject, path: string): FieldError[] {
  const resources = textsAt(rule, 'resources')
  if (resources.length === 0) return [required(path)]
  const [parents, subresources] = [new Set<string>(), new Set<string>()]
  const errors = resources.flatMap((name, index) => {
    const at = `${path}[${index}]`
    if (name === '') return [required(at)]
    const slash = name.indexOf('/')
    if (slash < 0) return []
    const [parent, sub] = [name.slice(0, slash), name.slice(slash + 1)]
    const covers = [
      ...(parents.has(parent) ? [`${parent}/*`] : []),
      ...(subresources.has(sub) ? [`*/${sub}`] : []),
    ]
    if (sub === '*') parents.add(parent)
    if (parent === '*') subresources.add(sub)
    return covers.map(cover =>
      invalidValue(at, name, `if '${cover}' is present, must not specify ${name}`),
    )
  })
  if (resources.length > 1 && resources.includes('*/*')) {
    const detail = "if '*/*' is present, must not specify other resources"
    errors.push(invalidValue(path, [...resources], detail))
  }
  // NOTE: upstream looks at the last resource without a subresource only.
  const last = resources.findLast(name => name !== '' && !name.includes('/'))
  if (resources.includes('*') && last !== '*') {
    const detail = "if '*' is present, must not specify other resources without subresources"
    errors.push(invalidValue(path, [...resources], detail))
  }
  return errors
}

/** A rule that does not say is about all scopes. */
export function defaultRules(rules: readonly JsonObject[]): void {
  for (const rule of rules) fillEmpty(rule, { scope: '*' })
}
