// What must hold of Jobs, and of the templates that CronJobs make them from. Called by batch.ts.
// Ref: kubernetes/pkg/apis/batch/validation/validation.go

import {
  duplicate,
  type FieldError,
  invalidValue,
  isDns1123Subdomain,
  isObject,
  type JsonObject,
  type KubeObject,
  labelSelectorFromObject,
  nonNegative,
  notSupported,
  required,
  tooLong,
  validateLabelSelector,
} from '@podless/apimachinery'
import { mismatch, podTemplateErrors } from './pod-rules.ts'
import {
  int64At,
  listAt,
  mapAt,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  valueAt,
} from './reading.ts'

const AMOUNTS = [
  ...['parallelism', 'completions', 'activeDeadlineSeconds', 'backoffLimit'],
  ...['ttlSecondsAfterFinished', 'backoffLimitPerIndex', 'maxFailedIndexes'],
]
const MODES = ['NonIndexed', 'Indexed']
const REPLACEMENTS = ['Failed', 'TerminatingOrFailed']
const ACTIONS = ['Count', 'FailIndex', 'FailJob', 'Ignore']
const OPERATORS = ['In', 'NotIn']
const STATUSES = ['False', 'True', 'Unknown']
const MANAGED_BY_MAX = 63
const INDEXED_ONLY = 'requires indexed completion mode'

/** What a Job writes on its pods when it selects them itself. */
export function ownLabels({ metadata: { uid = '', name = '' } }: KubeObject) {
  return {
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
    'controller-uid': uid,
    'job-name': name,
  }
}

/** What is wrong with the spec of a Job at `path`. */
export function jobSpecErrors(spec: JsonObject, path: string): FieldError[] {
  return [
    ...AMOUNTS.flatMap(field => nonNegative(int64At(spec, field) ?? 0, `${path}.${field}`)),
    ...managerErrors(spec, `${path}.managedBy`),
    ...indexErrors(spec, path),
    ...failureErrors(spec, `${path}.podFailurePolicy`),
    ...replacementErrors(spec, `${path}.podReplacementPolicy`),
    ...podTemplateErrors(objectAt(spec, 'template'), `${path}.template`),
    ...restartErrors(spec, `${path}.template.spec.restartPolicy`),
  ]
}

function managerErrors(spec: JsonObject, path: string): FieldError[] {
  const manager = spec.managedBy
  if (typeof manager !== 'string') return []
  const slash = manager.indexOf('/')
  const domain = manager.slice(0, slash)
  const isPath = slash > 0 && slash < manager.length - 1 && isDns1123Subdomain(domain).length === 0
  const detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
  return [
    ...(isPath ? [] : [manager === '' ? required(path) : invalidValue(path, manager, detail)]),
    ...(manager.length > MANAGED_BY_MAX ? [tooLong(path, MANAGED_BY_MAX)] : []),
  ]
}

/** Some wishes are about the index of a pod, and need pods that have one. */
function indexErrors(spec: JsonObject, path: string): FieldError[] {
  const mode = textAt(spec, 'completionMode')
  const perIndex = numberAt(spec, 'backoffLimitPerIndex')
  const failed = numberAt(spec, 'maxFailedIndexes')
  const wanted = numberAt(spec, 'completions')
  const errors: FieldError[] = []
  if (failed !== undefined && perIndex === undefined) {
    errors.push(required(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'))
  }
  if (mode !== '' && !MODES.includes(mode)) {
    errors.push(notSupported(`${path}.completionMode`, mode, MODES))
  }
  if (mode === 'Indexed') {
    if (wanted === undefined) {
      errors.push(required(`${path}.completions`, 'when completion mode is Indexed'))
    } else if (failed !== undefined && failed > wanted) {
      const detail = 'must be less than or equal to completions'
      errors.push(invalidValue(`${path}.maxFailedIndexes`, failed, detail))
    }
    return errors
  }
  if (mode === '' || mode === 'NonIndexed') {
    for (const [field, value] of Object.entries({
      backoffLimitPerIndex: perIndex,
      maxFailedIndexes: failed,
    })) {
      if (value !== undefined) errors.push(invalidValue(`${path}.${field}`, value, INDEXED_ONLY))
    }
  }
  // NOTE: upstream shows its own form of the policy, whose names begin with capitals.
  if (isObject(spec.successPolicy)) {
    const rules = objectsAt(spec, 'successPolicy.rules').length
    errors.push(invalidValue(`${path}.successPolicy`, { Rules: rules }, INDEXED_ONLY))
  }
  return errors
}

function failureErrors(spec: JsonObject, path: string): FieldError[] {
  const pod = objectAt(spec, 'template.spec')
  const containers = [...objectsAt(pod, 'initContainers'), ...objectsAt(pod, 'containers')]
  const names = containers.map(container => textAt(container, 'name'))
  return objectsAt(spec, 'podFailurePolicy.rules').flatMap((rule, index) => {
    const where = `${path}.rules[${index}]`
    const errors = actionErrors(rule, spec, `${where}.action`)
    const conditions = objectsAt(rule, 'onPodConditions')
    if (isObject(rule.onExitCodes)) {
      errors.push(...exitCodeErrors(rule.onExitCodes, names, `${where}.onExitCodes`))
    }
    conditions.forEach((condition, at) => {
      const status = textAt(condition, 'status')
      if (STATUSES.includes(status)) return
      errors.push(notSupported(`${where}.onPodConditions[${at}].status`, status, STATUSES))
    })
    const given = (isObject(rule.onExitCodes) ? 1 : 0) + (conditions.length > 0 ? 1 : 0)
    if (given === 1) return errors
    const detail =
      given === 0
        ? 'specifying one of OnExitCodes and OnPodConditions is required'
        : 'specifying both OnExitCodes and OnPodConditions is not supported'
    return [...errors, { ...invalidValue(where, null, detail), omitValue: true }]
  })
}

function actionErrors(rule: JsonObject, spec: JsonObject, path: string): FieldError[] {
  const action = textAt(rule, 'action')
  if (action === '') {
    return [required(path, `valid values: ["Count" "FailIndex" "FailJob" "Ignore"]`)]
  }
  if (!ACTIONS.includes(action)) return [notSupported(path, action, ACTIONS)]
  if (action !== 'FailIndex' || numberAt(spec, 'backoffLimitPerIndex') !== undefined) return []
  return [invalidValue(path, action, 'requires the backoffLimitPerIndex to be set')]
}

function exitCodeErrors(
  codes: JsonObject,
  containers: readonly string[],
  path: string,
): FieldError[] {
  const operator = textAt(codes, 'operator')
  const errors: FieldError[] = []
  if (operator === '') errors.push(required(`${path}.operator`, 'valid values: ["In" "NotIn"]'))
  else if (!OPERATORS.includes(operator)) {
    errors.push(notSupported(`${path}.operator`, operator, OPERATORS))
  }
  const name = codes.containerName
  if (typeof name === 'string' && !containers.includes(name)) {
    const detail = 'must be one of the container or initContainer names in the pod template'
    errors.push(invalidValue(`${path}.containerName`, name, detail))
  }
  const values = listAt(codes, 'values').map(Number)
  const where = `${path}.values`
  if (values.length === 0) errors.push(invalidValue(where, null, 'at least one value is required'))
  values.forEach((value, index) => {
    const at = `${where}[${index}]`
    if (operator === 'In' && value === 0) {
      errors.push(invalidValue(at, value, 'must not be 0 for the In operator'))
    }
    if (values.indexOf(value) < index) errors.push(duplicate(at, value))
  })
  const isOrdered = values.every((value, index) => index === 0 || (values[index - 1] ?? 0) <= value)
  return isOrdered ? errors : [...errors, invalidValue(where, values, 'must be ordered')]
}

function replacementErrors(spec: JsonObject, path: string): FieldError[] {
  const policy = textAt(spec, 'podReplacementPolicy')
  const isFailing = isObject(spec.podFailurePolicy)
  const allowed = isFailing ? ['Failed'] : REPLACEMENTS
  return policy === '' || allowed.includes(policy) ? [] : [notSupported(path, policy, allowed)]
}

function restartErrors(spec: JsonObject, path: string): FieldError[] {
  const policy = textAt(spec, 'template.spec.restartPolicy')
  if (policy === 'Always' || policy === '') {
    return [required(path, 'valid values: "OnFailure", "Never"')]
  }
  if (policy !== 'OnFailure' && policy !== 'Never') {
    return [notSupported(path, policy, ['OnFailure', 'Never'])]
  }
  if (!isObject(spec.podFailurePolicy) || policy === 'Never') return []
  const detail = 'only "Never" is supported when podFailurePolicy is specified'
  return [invalidValue(path, policy, detail)]
}

/** Selector and template of a Job, whoever made the selector. */
export function jobSelectorErrors(obj: KubeObject): FieldError[] {
  const selector = valueAt(obj, 'spec.selector')
  const template = objectAt(obj, 'spec.template')
  if (!isObject(selector)) return [required('spec.selector'), mismatch(template)]
  const wrong = validateLabelSelector(selector, 'spec.selector')
  if (wrong.length > 0) return wrong
  const labels = mapAt(template, 'metadata.labels')
  return labelSelectorFromObject(selector).matches(labels) ? [] : [mismatch(template)]
}

/** A selector that the server made is what the server makes, and so are the labels it selects. */
export function generatedSelectorErrors(obj: KubeObject): FieldError[] {
  if (valueAt(obj, 'spec.manualSelector') === true) return []
  const selector = valueAt(obj, 'spec.selector')
  // Without any, its absence is what is said.
  if (!isObject(selector)) return []
  const labels = mapAt(obj, 'spec.template.metadata.labels')
  const path = 'spec.template.metadata.labels'
  const errors = Object.entries(ownLabels(obj)).flatMap(([key, value]) => {
    if (labels[key] === value) return []
    const detail = `must be '${value}'`
    const where = `${path}[${key}]`
    return [
      labels[key] === undefined
        ? required(where, detail)
        : invalidValue(where, { ...labels }, detail),
    ]
  })
  const { uid = '' } = obj.metadata
  const keys = Object.entries(mapAt(selector, 'matchLabels'))
  const isOwn = keys.length === 1 && keys[0]?.[0].endsWith('controller-uid') && keys[0][1] === uid
  const isPlain = objectsAt(selector, 'matchExpressions').length === 0
  if (isOwn && isPlain) return errors
  return [...errors, invalidValue('spec.selector', selector, '`selector` not auto-generated')]
}
