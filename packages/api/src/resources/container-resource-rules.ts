// What must hold of what a container asks for and may use. Called by container-rules.ts and pod-rules.ts.
// Ref: kubernetes/pkg/apis/core/validation ValidateContainerResourceRequirements, kubernetes/pkg/apis/core/helper

import {
  compareQuantities,
  type FieldError,
  forbiddenField,
  invalidValue,
  isQualifiedName,
  type JsonObject,
  parseQuantity,
  type Quantity,
  required,
  scaledQuantity,
} from '@podless/apimachinery'
import { objectAt } from './reading.ts'

const COMPUTE = ['cpu', 'memory', 'ephemeral-storage']
const NATIVE = 'kubernetes.io/'
const isHuge = (name: string): boolean => name.startsWith('hugepages-')
const isNative = (name: string): boolean => !name.includes('/') || name.includes(NATIVE)
/** More of it may be promised than there is. */
const isElastic = (name: string): boolean => isNative(name) && !isHuge(name)

const amountOf = (list: JsonObject, name: string): Quantity | undefined => {
  if (list[name] === undefined) return undefined
  const parsed = parseQuantity(String(list[name]))
  return parsed.ok ? parsed.quantity : undefined
}

/** What is wrong with `resources` at `path`. */
export function resourceErrors(resources: JsonObject, path: string): FieldError[] {
  const limits = objectAt(resources, 'limits')
  const requests = objectAt(resources, 'requests')
  const errors = Object.keys(limits).flatMap(name =>
    amountErrors(name, limits, `${path}.limits[${name}]`),
  )
  for (const name of Object.keys(requests)) {
    errors.push(...amountErrors(name, requests, `${path}.requests[${name}]`))
    errors.push(...overErrors(name, requests, limits, path))
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)]
  if (names.some(isHuge) && !names.some(name => name === 'cpu' || name === 'memory')) {
    errors.push(forbiddenField(path, 'HugePages require cpu or memory'))
  }
  return errors
}

function amountErrors(name: string, list: JsonObject, path: string): FieldError[] {
  const errors = containerResourceNameErrors(name, path)
  const amount = amountOf(list, name)
  const text = String(list[name])
  if (amount === undefined) return errors
  if (amount.unscaled < 0n) {
    errors.push(invalidValue(path, text, 'must be greater than or equal to 0'))
  }
  if (!isNative(name) && scaledQuantity(amount, -3) % 1000n !== 0n) {
    errors.push(invalidValue(path, text, 'must be an integer'))
  }
  return errors
}

/** Whether a name is that of something that neither is Kubernetes' own nor names a quota's request. */
export function isExtendedResourceName(name: string): boolean {
  if (isNative(name) || name.startsWith('requests.')) return false
  return isQualifiedName(`requests.${name}`).length === 0
}

/** What is wrong with the name of something that a container may ask for. */
export function containerResourceNameErrors(name: string, path: string): FieldError[] {
  const errors: FieldError[] = isQualifiedName(name).map(text => invalidValue(path, name, text))
  const isStandard = COMPUTE.includes(name) || isHuge(name)
  if (!name.includes('/')) {
    if (errors.length === 0 && !isStandard && name !== 'storage') {
      errors.push(invalidValue(path, name, 'must be a standard resource type or fully qualified'))
    }
    if (!isStandard) {
      errors.push(invalidValue(path, name, 'must be a standard resource for containers'))
    }
  } else if (!isNative(name)) {
    if (!isExtendedResourceName(name)) {
      errors.push(invalidValue(path, name, "doesn't follow extended resource name standard"))
    }
  }
  return errors
}

/** A request may not be over its limit, and has to be its limit where nothing can be promised twice. */
function overErrors(
  name: string,
  requests: JsonObject,
  limits: JsonObject,
  path: string,
): FieldError[] {
  const request = amountOf(requests, name)
  if (request === undefined) return []
  const limit = amountOf(limits, name)
  if (limit === undefined) {
    const detail = 'Limit must be set for non overcommitable resources'
    return isElastic(name) ? [] : [required(`${path}.limits`, detail)]
  }
  const order = compareQuantities(request, limit)
  const bad = isElastic(name) ? order > 0 : order !== 0
  if (!bad) return []
  const how = isElastic(name) ? 'must be less than or equal to' : 'must be equal to'
  const detail = `${how} ${name} limit of ${String(limits[name])}`
  return [invalidValue(`${path}.requests`, String(requests[name]), detail)]
}
