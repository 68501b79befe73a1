// What must hold of where a pod may run: affinity, tolerations, spreading. Called by pod-rules.ts and core-volume-rules.ts;
// nothing here schedules anything. Ref: kubernetes/pkg/apis/core/validation validateAffinity, ValidateTolerations

import {
  duplicate,
  type FieldError,
  forbiddenField,
  invalidValue,
  isLabelValue,
  isObject,
  isQualifiedName,
  type JsonObject,
  notSupported,
  required,
  validateLabelSelector,
} from '@podless/apimachinery'
import { listAt, numberAt, objectAt, objectsAt, textAt, textsAt, valueAt } from './reading.ts'

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution'
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution'
const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute']
const UNSATISFIABLE = ['DoNotSchedule', 'ScheduleAnyway']
const INCLUSION = ['Ignore', 'Honor']
const NO_OPERATOR = 'not a valid selector operator'

const labelNameErrors = (name: string, path: string): FieldError[] =>
  isQualifiedName(name).map(text => invalidValue(path, name, text))

/** Everything about scheduling that is wrong with a pod spec at `path`. */
export function schedulingErrors(spec: JsonObject, path: string): FieldError[] {
  return [
    ...affinityErrors(objectAt(spec, 'affinity'), `${path}.affinity`),
    ...objectsAt(spec, 'tolerations').flatMap((entry, index) =>
      tolerationErrors(entry, `${path}.tolerations[${index}]`),
    ),
    ...spreadErrors(objectsAt(spec, 'topologySpreadConstraints'), path),
    ...gateErrors(spec, path),
  ]
}

function affinityErrors(affinity: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  const node = affinity.nodeAffinity
  if (isObject(node)) {
    const where = `${path}.nodeAffinity`
    if (isObject(node[REQUIRED])) {
      errors.push(...nodeSelectorErrors(node[REQUIRED], `${where}.${REQUIRED}`))
    }
    objectsAt(node, PREFERRED).forEach((term, index) => {
      const at = `${where}.${PREFERRED}[${index}]`
      const preference = objectAt(term, 'preference')
      errors.push(...weightErrors(term, at), ...nodeTermErrors(preference, `${at}.preference`))
    })
  }
  for (const kind of ['podAffinity', 'podAntiAffinity']) {
    const where = `${path}.${kind}`
    objectsAt(affinity, [kind, REQUIRED]).forEach((term, index) => {
      errors.push(...podTermErrors(term, `${where}.${REQUIRED}[${index}]`))
    })
    objectsAt(affinity, [kind, PREFERRED]).forEach((term, index) => {
      const at = `${where}.${PREFERRED}[${index}]`
      const inner = objectAt(term, 'podAffinityTerm')
      errors.push(...weightErrors(term, at), ...podTermErrors(inner, `${at}.podAffinityTerm`))
    })
  }
  return errors
}

function weightErrors(term: JsonObject, path: string): FieldError[] {
  const weight = numberAt(term, 'weight') ?? 0
  if (weight > 0 && weight <= 100) return []
  return [invalidValue(`${path}.weight`, weight, 'must be in the range 1-100')]
}

function podTermErrors(term: JsonObject, path: string): FieldError[] {
  const key = textAt(term, 'topologyKey')
  return [
    ...validateLabelSelector(valueAt(term, 'labelSelector'), `${path}.labelSelector`),
    ...validateLabelSelector(valueAt(term, 'namespaceSelector'), `${path}.namespaceSelector`),
    ...(key === '' ? [required(`${path}.topologyKey`, 'can not be empty')] : []),
    ...labelNameErrors(key, `${path}.topologyKey`),
  ]
}

/** A choice of nodes: terms of which one must hold. */
export function nodeSelectorErrors(selector: JsonObject, path: string): FieldError[] {
  const terms = objectsAt(selector, 'nodeSelectorTerms')
  const where = `${path}.nodeSelectorTerms`
  if (terms.length === 0) return [required(where, 'must have at least one node selector term')]
  return terms.flatMap((term, index) => nodeTermErrors(term, `${where}[${index}]`))
}

function nodeTermErrors(term: JsonObject, path: string): FieldError[] {
  return [
    ...objectsAt(term, 'matchExpressions').flatMap((entry, index) =>
      requirementErrors(entry, `${path}.matchExpressions[${index}]`),
    ),
    ...objectsAt(term, 'matchFields').flatMap((entry, index) =>
      nodeFieldErrors(entry, `${path}.matchFields[${index}]`),
    ),
  ]
}

/** What each operator says of its values; undefined where nothing is wrong. */
const VALUE_RULES: Readonly<Record<string, (count: number, path: string) => FieldError[]>> = {
  In: someValues,
  NotIn: someValues,
  Exists: noValues,
  DoesNotExist: noValues,
  Gt: oneValue,
  Lt: oneValue,
}

function someValues(count: number, path: string): FieldError[] {
  const detail = "must be specified when `operator` is 'In' or 'NotIn'"
  return count === 0 ? [required(path, detail)] : []
}

function noValues(count: number, path: string): FieldError[] {
  const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
  return count > 0 ? [forbiddenField(path, detail)] : []
}

function oneValue(count: number, path: string): FieldError[] {
  const detail = "must be specified single value when `operator` is 'Lt' or 'Gt'"
  return count === 1 ? [] : [required(path, detail)]
}

function requirementErrors(entry: JsonObject, path: string): FieldError[] {
  const operator = textAt(entry, 'operator')
  const rule = VALUE_RULES[operator]
  const values = textsAt(entry, 'values')
  return [
    ...(rule?.(values.length, `${path}.values`) ?? [
      invalidValue(`${path}.operator`, operator, NO_OPERATOR),
    ]),
    ...labelNameErrors(textAt(entry, 'key'), `${path}.key`),
    ...values.flatMap((value, index) =>
      isLabelValue(value).map(text => invalidValue(`${path}.values[${index}]`, value, text)),
    ),
  ]
}

function nodeFieldErrors(entry: JsonObject, path: string): FieldError[] {
  const operator = textAt(entry, 'operator')
  const errors: FieldError[] = []
  if (operator !== 'In' && operator !== 'NotIn') {
    errors.push(invalidValue(`${path}.operator`, operator, NO_OPERATOR))
  } else if (listAt(entry, 'values').length !== 1) {
    const detail =
      "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
    errors.push(required(`${path}.values`, detail))
  }
  const key = textAt(entry, 'key')
  if (key === 'metadata.name') return errors
  return [...errors, invalidValue(`${path}.key`, key, 'not a valid field selector key')]
}

function tolerationErrors(entry: JsonObject, path: string): FieldError[] {
  const [key, operator, value, effect] = ['key', 'operator', 'value', 'effect'].map(field =>
    textAt(entry, field),
  ) as [string, string, string, string]
  const errors: FieldError[] = key === '' ? [] : labelNameErrors(key, `${path}.key`)
  if (key === '' && operator !== 'Exists') {
    const detail =
      'operator must be Exists when `key` is empty, which means "match all values and all keys"'
    errors.push(invalidValue(`${path}.operator`, operator, detail))
  }
  if (numberAt(entry, 'tolerationSeconds') !== undefined && effect !== 'NoExecute') {
    const detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
    errors.push(invalidValue(`${path}.effect`, effect, detail))
  }
  errors.push(...tolerationValueErrors(operator, value, `${path}.operator`))
  if (effect !== '' && !EFFECTS.includes(effect)) {
    errors.push(notSupported(`${path}.effect`, effect, EFFECTS))
  }
  return errors
}

function tolerationValueErrors(operator: string, value: string, path: string): FieldError[] {
  if (operator === '' || operator === 'Equal') {
    const texts = isLabelValue(value)
    return texts.length === 0 ? [] : [invalidValue(path, value, texts.join(';'))]
  }
  if (operator !== 'Exists') return [notSupported(path, operator, ['Equal', 'Exists'])]
  const detail = "value must be empty when `operator` is 'Exists'"
  return value === '' ? [] : [invalidValue(path, value, detail)]
}

function spreadErrors(constraints: readonly JsonObject[], path: string): FieldError[] {
  return constraints.flatMap((constraint, index) => {
    const where = `${path}.topologySpreadConstraints[${index}]`
    const key = textAt(constraint, 'topologyKey')
    const action = textAt(constraint, 'whenUnsatisfiable')
    const errors = [
      ...positiveErrors(numberAt(constraint, 'maxSkew') ?? 0, `${where}.maxSkew`),
      ...(key === '' ? [required(`${where}.topologyKey`, 'can not be empty')] : []),
      ...(UNSATISFIABLE.includes(action)
        ? []
        : [notSupported(`${where}.whenUnsatisfiable`, action, UNSATISFIABLE)]),
    ]
    const isAgain = (other: JsonObject): boolean =>
      textAt(other, 'topologyKey') === key && textAt(other, 'whenUnsatisfiable') === action
    if (constraints.slice(index + 1).some(isAgain)) {
      const at = `${where}.{topologyKey, whenUnsatisfiable}`
      errors.push(duplicate(at, `{${key}, ${action}}`))
    }
    const domains = numberAt(constraint, 'minDomains')
    if (domains !== undefined) {
      errors.push(...positiveErrors(domains, `${where}.minDomains`))
      const detail = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${action}`
      if (action !== 'DoNotSchedule') {
        errors.push(invalidValue(`${where}.minDomains`, domains, detail))
      }
    }
    for (const field of ['nodeAffinityPolicy', 'nodeTaintsPolicy']) {
      const policy = textAt(constraint, field)
      if (policy === '' || INCLUSION.includes(policy)) continue
      errors.push(notSupported(`${where}.${field}`, policy, INCLUSION))
    }
    const selector = valueAt(constraint, 'labelSelector')
    return [...errors, ...validateLabelSelector(selector, `${where}.labelSelector`)]
  })
}

const positiveErrors = (value: number, path: string): FieldError[] =>
  value > 0 ? [] : [invalidValue(path, value, 'must be greater than zero')]

function gateErrors(spec: JsonObject, path: string): FieldError[] {
  const errors = objectsAt(spec, 'readinessGates').flatMap((gate, index) => {
    const type = textAt(gate, 'conditionType')
    return labelNameErrors(type, `${path}.readinessGates[${index}].conditionType`)
  })
  const seen = new Set<string>()
  objectsAt(spec, 'schedulingGates').forEach((gate, index) => {
    const name = textAt(gate, 'name')
    const where = `${path}.schedulingGates[${index}]`
    errors.push(...labelNameErrors(name, where))
    if (seen.has(name)) errors.push(duplicate(where, name))
    seen.add(name)
  })
  return errors
}
