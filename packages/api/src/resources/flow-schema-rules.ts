// What must hold of a FlowSchema. Called by flowcontrol.ts.
// Ref: kubernetes/pkg/apis/flowcontrol/validation ValidateFlowSchema

import {
  type FieldError,
  forbiddenField,
  invalidValue,
  isDns1123Label,
  isDns1123Subdomain,
  isObject,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import { numberAt, objectsAt, textAt, textsAt, valueAt } from './reading.ts'

const PRECEDENCE_MAX = 10_000
const METHODS = ['ByNamespace', 'ByUser']
const VERBS = [
  ...['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'proxy', 'update', 'watch'],
]
/** Where each kind of subject has its name. */
const SUBJECTS: Readonly<Record<string, string>> = {
  Group: 'group',
  ServiceAccount: 'serviceAccount',
  User: 'user',
}

/** Everything wrong with a FlowSchema. */
export function flowSchemaErrors(obj: KubeObject): FieldError[] {
  const path = 'spec.priorityLevelConfiguration.name'
  const level = textAt(obj, path)
  return [
    ...precedenceErrors(obj),
    ...methodErrors(obj),
    ...(level === ''
      ? [required(path, 'must reference a priority level')]
      : isDns1123Subdomain(level).map(text => invalidValue(path, level, text))),
    ...objectsAt(obj, 'spec.rules').flatMap((rule, index) =>
      ruleErrors(rule, `spec.rules[${index}]`),
    ),
  ]
}

function precedenceErrors(obj: KubeObject): FieldError[] {
  const path = 'spec.matchingPrecedence'
  const precedence = numberAt(obj, path) ?? 0
  if (precedence <= 0) return [invalidValue(path, precedence, 'must be a positive value')]
  if (precedence > PRECEDENCE_MAX) {
    return [invalidValue(path, precedence, `must not be greater than ${PRECEDENCE_MAX}`)]
  }
  if (precedence > 1 || obj.metadata.name === 'exempt') return []
  const detail = "only the schema named 'exempt' may have matchingPrecedence 1"
  return [invalidValue(path, precedence, detail)]
}

function methodErrors(obj: KubeObject): FieldError[] {
  const method = valueAt(obj, 'spec.distinguisherMethod')
  if (!isObject(method)) return []
  const type = textAt(method, 'type')
  // NOTE: upstream shows the whole method where it means its type.
  return METHODS.includes(type)
    ? []
    : [notSupported('spec.distinguisherMethod.type', { Type: type }, METHODS)]
}

function ruleErrors(rule: JsonObject, path: string): FieldError[] {
  const subjects = objectsAt(rule, 'subjects')
  const [resources, urls] = [objectsAt(rule, 'resourceRules'), objectsAt(rule, 'nonResourceRules')]
  const errors: FieldError[] = []
  if (subjects.length === 0) {
    errors.push(required(`${path}.subjects`, 'subjects must contain at least one value'))
  }
  if (resources.length + urls.length === 0) {
    const detail = 'at least one of resourceRules and nonResourceRules has to be non-empty'
    errors.push(required(path, detail))
  }
  return [
    ...subjects.flatMap((entry, at) => subjectErrors(entry, `${path}.subjects[${at}]`)),
    ...errors,
    ...resources.flatMap((entry, at) => resourceErrors(entry, `${path}.resourceRules[${at}]`)),
    ...urls.flatMap((entry, at) => urlErrors(entry, `${path}.nonResourceRules[${at}]`)),
  ]
}

function subjectErrors(subject: JsonObject, path: string): FieldError[] {
  const kind = textAt(subject, 'kind')
  const own = SUBJECTS[kind]
  if (own === undefined) return [notSupported(`${path}.kind`, kind, Object.keys(SUBJECTS))]
  const others = Object.entries(SUBJECTS).filter(
    ([, field]) => field !== own && subject[field] !== undefined,
  )
  const forbidden = others.map(([other, field]) =>
    forbiddenField(`${path}.${field}`, `${field} is forbidden when subject kind is not '${other}'`),
  )
  return [...subjectNameErrors(subject[own], own, kind, `${path}.${own}`), ...forbidden]
}

function subjectNameErrors(
  named: JsonObject[string],
  field: string,
  kind: string,
  path: string,
): FieldError[] {
  if (!isObject(named)) {
    return [required(path, `${field} is required when subject kind is '${kind}'`)]
  }
  const name = textAt(named, 'name')
  const errors = name === '' ? [required(`${path}.name`)] : []
  if (kind !== 'ServiceAccount') return errors
  if (name !== '' && name !== '*') {
    const problems = isDns1123Subdomain(name)
    errors.push(...problems.map(text => invalidValue(`${path}.name`, name, text)))
  }
  const namespace = textAt(named, 'namespace')
  const at = `${path}.namespace`
  if (namespace === '')
    return [...errors, required(at, 'must specify namespace for service account')]
  return [...errors, ...isDns1123Label(namespace).map(text => invalidValue(at, namespace, text))]
}

function verbErrors(rule: JsonObject, path: string): FieldError[] {
  const verbs = [...textsAt(rule, 'verbs')]
  const at = `${path}.verbs`
  if (verbs.length === 0) return [required(at, 'verbs must contain at least one value')]
  if (verbs.includes('*')) return aloneErrors(verbs, at, 'verbs')
  return verbs.every(verb => VERBS.includes(verb)) ? [] : [notSupported(at, verbs, VERBS)]
}

function aloneErrors(values: readonly string[], path: string, what: string): FieldError[] {
  if (values.length === 1 || !values.includes('*')) return []
  return [invalidValue(path, [...values], `if '*' is present, must not specify other ${what}`)]
}

function resourceErrors(rule: JsonObject, path: string): FieldError[] {
  const errors = verbErrors(rule, path)
  for (const [field, one, all] of [
    ['apiGroups', 'api group', 'api groups'],
    ['resources', 'resource', 'resources'],
  ] as const) {
    const values = textsAt(rule, field)
    const at = `${path}.${field}`
    if (values.length === 0) {
      errors.push(required(at, `resource rules must supply at least one ${one}`))
    } else errors.push(...aloneErrors(values, at, all))
  }
  return [...errors, ...namespaceErrors(rule, `${path}.namespaces`)]
}

function namespaceErrors(rule: JsonObject, path: string): FieldError[] {
  const namespaces = textsAt(rule, 'namespaces')
  if (namespaces.length === 0 && rule.clusterScope !== true) {
    const detail = 'resource rules that are not cluster scoped must supply at least one namespace'
    return [required(path, detail)]
  }
  if (namespaces.includes('*')) return aloneErrors(namespaces, path, 'namespaces')
  const intro = "each member of this list must be '*' or a DNS-1123 label; "
  return namespaces.flatMap((name, index) =>
    isDns1123Label(name).map(text => invalidValue(`${path}[${index}]`, name, intro + text)),
  )
}

function urlErrors(rule: JsonObject, path: string): FieldError[] {
  const urls = textsAt(rule, 'nonResourceURLs')
  const at = `${path}.nonResourceURLs`
  const errors = verbErrors(rule, path)
  if (urls.length === 0) {
    return [...errors, required(at, 'nonResourceURLs must contain at least one value')]
  }
  if (urls.includes('*')) return [...errors, ...aloneErrors(urls, at, 'non-resource URLs')]
  const wrong = urls.flatMap((url, index) => {
    const why = urlProblem(url)
    return why === undefined ? [] : [invalidValue(`${at}[${index}]`, url, why)]
  })
  return [...errors, ...wrong]
}

function urlProblem(url: string): string | undefined {
  if (url === '') return 'must not be empty'
  if (url === '/') return undefined
  if (!url.startsWith('/')) return 'must start with slash'
  if (url.includes(' ')) return 'must not contain white-space'
  if (url.includes('//')) return 'must not contain double slash'
  const stars = url.split('*').length - 1
  const isSuffix = stars === 0 || (stars === 1 && url.endsWith('/*'))
  return isSuffix ? undefined : 'wildcard can only do suffix matching'
}
