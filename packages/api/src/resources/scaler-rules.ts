// What must hold of HorizontalPodAutoscalers, in the shape of v2. Called by autoscaling.ts.
// Ref: kubernetes/pkg/apis/autoscaling/validation/validation.go

import {
  type FieldError,
  forbiddenField,
  invalidValue,
  isObject,
  isPathSegmentName,
  type JsonObject,
  notSupported,
  parseQuantity,
  required,
} from '@podless/apimachinery'
import { listAt, numberAt, objectAt, objectsAt, textAt, valueAt } from './reading.ts'

const WINDOW_SECONDS_MAX = 3600
const PERIOD_SECONDS_MAX = 1800
const SELECTIONS = ['Disabled', 'Max', 'Min']
const POLICIES = ['Percent', 'Pods']
const TARGET_TYPES = ['Utilization', 'Value', 'AverageValue']
/** Each source of metrics, in the order in which upstream looks for them, with its type. */
const SOURCES: Readonly<Record<string, string>> = {
  object: 'Object',
  external: 'External',
  pods: 'Pods',
  resource: 'Resource',
  containerResource: 'ContainerResource',
}
const TYPES = Object.values(SOURCES).sort()

/** What is wrong with the spec of an autoscaler. */
export function scalerErrors(spec: JsonObject): FieldError[] {
  const path = 'spec'
  return [
    ...boundErrors(spec, path),
    ...referenceErrors(objectAt(spec, 'scaleTargetRef'), `${path}.scaleTargetRef`),
    ...objectsAt(spec, 'metrics').flatMap((metric, index) =>
      metricErrors(metric, `${path}.metrics[${index}]`),
    ),
    ...zeroErrors(spec, `${path}.metrics`),
    ...['scaleUp', 'scaleDown'].flatMap(direction => {
      const rules = valueAt(spec, ['behavior', direction])
      return isObject(rules) ? ruleErrors(rules, `${path}.behavior.${direction}`) : []
    }),
  ]
}

function boundErrors(spec: JsonObject, path: string): FieldError[] {
  const min = numberAt(spec, 'minReplicas')
  const max = numberAt(spec, 'maxReplicas') ?? 0
  const errors: FieldError[] = []
  if (min !== undefined && min < 1) {
    const detail = 'must be greater than or equal to 1'
    errors.push(invalidValue(`${path}.minReplicas`, min, detail))
  }
  if (max === 0) {
    errors.push(required(`${path}.maxReplicas`, 'must be set and greater than 0'))
  } else if (max < 0) {
    const detail = 'must be greater than or equal to 1'
    errors.push(invalidValue(`${path}.maxReplicas`, max, detail))
  }
  if (min !== undefined && max < min) {
    const detail = 'must be greater than or equal to `minReplicas`'
    errors.push(invalidValue(`${path}.maxReplicas`, max, detail))
  }
  return errors
}

/** Nothing runs that could be measured once there are no pods: something else has to say when to start. */
function zeroErrors(spec: JsonObject, path: string): FieldError[] {
  if (numberAt(spec, 'minReplicas') !== 0) return []
  const isOutside = ({ type }: JsonObject): boolean => type === 'Object' || type === 'External'
  if (objectsAt(spec, 'metrics').some(isOutside)) return []
  const detail =
    'must specify at least one Object or External metric to support scaling to zero replicas'
  return [forbiddenField(path, detail)]
}

function referenceErrors(reference: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const field of ['kind', 'name']) {
    const value = textAt(reference, field)
    const where = `${path}.${field}`
    if (value === '') errors.push(required(where))
    else errors.push(...isPathSegmentName(value).map(text => invalidValue(where, value, text)))
  }
  const version = textAt(reference, 'apiVersion')
  // What is only measured may be of the core group.
  if (version === '' && path.endsWith('.describedObject')) return errors
  const where = `${path}.apiVersion`
  const parts = version.split('/').length
  if (parts > 2) {
    const detail = `unexpected GroupVersion string: ${version}`
    return [...errors, invalidValue(where, version, detail)]
  }
  if (parts === 2 || (version === 'v1' && textAt(reference, 'kind') === 'ReplicationController')) {
    return errors
  }
  return [...errors, invalidValue(where, version, 'apiVersion must specify API group')]
}

function metricErrors(metric: JsonObject, path: string): FieldError[] {
  const type = textAt(metric, 'type')
  const errors: FieldError[] = []
  if (type === '') errors.push(required(`${path}.type`, 'must specify a metric source type'))
  const given = Object.keys(SOURCES).filter(source => isObject(metric[source]))
  const wanted = Object.keys(SOURCES).find(source => SOURCES[source] === type)
  const [first] = given
  // NOTE: upstream says so before and after it looks at the source.
  const unknown = wanted === undefined ? [notSupported(`${path}.type`, type, TYPES)] : []
  errors.push(...unknown)
  if (first !== undefined) {
    errors.push(...sourceErrors(first, objectAt(metric, first), `${path}.${first}`))
  }
  errors.push(...unknown)
  if (wanted !== undefined && !given.includes(wanted)) {
    const detail = 'must populate information for the given metric source'
    errors.push(required(`${path}.${wanted}`, detail))
  }
  if (given.length === 1) return errors
  const others = given.filter(source => source !== wanted)
  const detail = 'must populate the given metric source only'
  return [...errors, ...others.map(source => forbiddenField(`${path}.${source}`, detail))]
}

function sourceErrors(kind: string, source: JsonObject, path: string): FieldError[] {
  const target = objectAt(source, 'target')
  const where = `${path}.target`
  const has = (field: string): boolean => (target[field] ?? undefined) !== undefined
  const errors: FieldError[] = []
  const need = (field: string, what: string) => {
    if (textAt(source, field) === '') errors.push(required(`${path}.${field}`, what))
  }
  if (kind === 'object') {
    errors.push(...referenceErrors(objectAt(source, 'describedObject'), `${path}.describedObject`))
  }
  if (kind === 'containerResource') need('container', 'must specify a container')
  if (kind === 'resource' || kind === 'containerResource') {
    need('name', 'must specify a resource name')
  } else errors.push(...identifierErrors(textAt(source, 'metric.name'), `${path}.metric.name`))
  errors.push(...targetErrors(target, where))
  const average = `${where}.averageValue`
  if (kind === 'pods') {
    const detail = 'must specify a positive target averageValue'
    return has('averageValue') ? errors : [...errors, required(average, detail)]
  }
  if (kind === 'object' || kind === 'external') {
    const detail =
      kind === 'object'
        ? 'must set either a target value or averageValue'
        : 'must set either a target value for metric or a per-pod target'
    if (!has('value') && !has('averageValue')) errors.push(required(average, detail))
    if (kind === 'external' && has('value') && has('averageValue')) {
      const both = 'may not set both a target value for metric and a per-pod target'
      errors.push(forbiddenField(`${where}.value`, both))
    }
    return errors
  }
  if (!has('averageUtilization') && !has('averageValue')) {
    const detail = 'must set either a target raw value or a target utilization'
    errors.push(required(`${where}.averageUtilization`, detail))
  } else if (has('averageUtilization') && has('averageValue')) {
    const detail = 'may not set both a target raw value and a target utilization'
    errors.push(forbiddenField(average, detail))
  }
  return errors
}

function identifierErrors(name: string, path: string): FieldError[] {
  if (name === '') return [required(path, 'must specify a metric name')]
  return isPathSegmentName(name).map(text => invalidValue(path, name, text))
}

function targetErrors(target: JsonObject, path: string): FieldError[] {
  const type = textAt(target, 'type')
  const errors: FieldError[] = []
  if (type === '') errors.push(required(`${path}.type`, 'must specify a metric target type'))
  if (!TARGET_TYPES.includes(type)) {
    const detail = 'must be either Utilization, Value, or AverageValue'
    errors.push(invalidValue(`${path}.type`, type, detail))
  }
  for (const field of ['value', 'averageValue']) {
    const text = target[field] ?? undefined
    if (text === undefined) continue
    const parsed = parseQuantity(String(text))
    if (parsed.ok && parsed.quantity.unscaled > 0n) continue
    errors.push(invalidValue(`${path}.${field}`, String(text), 'must be positive'))
  }
  const share = numberAt(target, 'averageUtilization')
  if (share !== undefined && share < 1) {
    errors.push(invalidValue(`${path}.averageUtilization`, share, 'must be greater than 0'))
  }
  return errors
}

function ruleErrors(rules: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  const window = numberAt(rules, 'stabilizationWindowSeconds')
  const where = `${path}.stabilizationWindowSeconds`
  if (window !== undefined && window < 0) {
    errors.push(invalidValue(where, window, 'must be greater than or equal to zero'))
  } else if (window !== undefined && window > WINDOW_SECONDS_MAX) {
    const detail = `must be less than or equal to ${WINDOW_SECONDS_MAX}`
    errors.push(invalidValue(where, window, detail))
  }
  const selection = rules.selectPolicy
  if (typeof selection === 'string' && !SELECTIONS.includes(selection)) {
    errors.push(notSupported(`${path}.selectPolicy`, selection, SELECTIONS))
  }
  if (listAt(rules, 'policies').length === 0) {
    errors.push(required(`${path}.policies`, 'must specify at least one Policy'))
  }
  objectsAt(rules, 'policies').forEach((policy, index) => {
    errors.push(...policyErrors(policy, `${path}.policies[${index}]`))
  })
  return errors
}

function policyErrors(policy: JsonObject, path: string): FieldError[] {
  const type = textAt(policy, 'type')
  const errors: FieldError[] = POLICIES.includes(type)
    ? []
    : [notSupported(`${path}.type`, type, POLICIES)]
  for (const field of ['value', 'periodSeconds']) {
    const value = numberAt(policy, field) ?? 0
    if (value > 0) continue
    errors.push(invalidValue(`${path}.${field}`, value, 'must be greater than zero'))
  }
  const period = numberAt(policy, 'periodSeconds') ?? 0
  if (period <= PERIOD_SECONDS_MAX) return errors
  const detail = `must be less than or equal to ${PERIOD_SECONDS_MAX}`
  return [...errors, invalidValue(`${path}.periodSeconds`, period, detail)]
}
