// What must hold of LimitRanges: names of resources that can be limited, and bounds in their order. Called by core-quota.ts.
// Ref: kubernetes/pkg/apis/core/validation ValidateLimitRange

import {
  compareQuantities,
  duplicate,
  type FieldError,
  forbiddenField,
  invalidValue,
  isQualifiedName,
  type JsonObject,
  type KubeObject,
  parseQuantity,
  type Quantity,
  required,
  scaledQuantity,
} from '@podless/apimachinery'
import { containerResourceNameErrors } from './container-resource-rules.ts'
import { objectAt, objectsAt, textAt } from './reading.ts'

const TYPES = ['Pod', 'Container', 'PersistentVolumeClaim']
const PARTS = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio']

/** What is wrong with a LimitRange. */
export function limitRangeErrors(obj: KubeObject): FieldError[] {
  const seen = new Set<string>()
  return objectsAt(obj, 'spec.limits').flatMap((limit, index) => {
    const path = `spec.limits[${index}]`
    const type = textAt(limit, 'type')
    const errors = typeErrors(type, `${path}.type`)
    if (seen.has(type)) errors.push(duplicate(`${path}.type`, type))
    seen.add(type)
    return [...errors, ...partErrors(limit, type, path), ...orderErrors(limit, type, path)]
  })
}

function typeErrors(type: string, path: string): FieldError[] {
  const errors = isQualifiedName(type).map(text => invalidValue(path, type, text))
  if (errors.length > 0 || type.includes('/') || TYPES.includes(type)) return errors
  return [invalidValue(path, type, 'must be a standard limit type or fully qualified')]
}

function partErrors(limit: JsonObject, type: string, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const part of PARTS) {
    const names = Object.keys(objectAt(limit, part))
    if (type === 'Pod' && part.startsWith('default')) {
      if (names.length === 0) continue
      errors.push(forbiddenField(`${path}.${part}`, "may not be specified when `type` is 'Pod'"))
      continue
    }
    for (const name of names) errors.push(...nameErrors(name, type, `${path}.${part}[${name}]`))
  }
  const bounds = { ...objectAt(limit, 'min'), ...objectAt(limit, 'max') }
  if (type !== 'PersistentVolumeClaim' || bounds.storage !== undefined) return errors
  const detail = 'either minimum or maximum storage value is required, but neither was provided'
  return [...errors, required(`${path}.limits`, detail)]
}

function nameErrors(name: string, type: string, path: string): FieldError[] {
  if (type === 'Pod' || type === 'Container') return containerResourceNameErrors(name, path)
  const errors = containerResourceNameErrors(name, path)
  return errors.filter(({ detail }) => detail !== 'must be a standard resource for containers')
}

type Bound = { readonly text: string; readonly amount: Quantity }

function boundOf(limit: JsonObject, part: string, name: string): Bound | undefined {
  const value = objectAt(limit, part)[name]
  const parsed = parseQuantity(String(value ?? ''))
  return parsed.ok ? { text: parsed.text, amount: parsed.quantity } : undefined
}

/** Which bound may not be over which, in upstream's order: the parts, their names, and whose value is shown. */
const ORDERS = [
  ['min', 'max', 'min value', 'max value', 'min', 'min'],
  [
    'min',
    'defaultRequest',
    'min value',
    'default request value',
    'defaultRequest',
    'defaultRequest',
  ],
  [
    'defaultRequest',
    'max',
    'default request value',
    'max value',
    'defaultRequest',
    'defaultRequest',
  ],
  [
    'defaultRequest',
    'default',
    'default request value',
    'default limit value',
    'defaultRequest',
    'defaultRequest',
  ],
  ['min', 'default', 'min value', 'default value', 'default', 'min'],
  ['default', 'max', 'default value', 'max value', 'default', 'max'],
] as const

function orderErrors(limit: JsonObject, type: string, path: string): FieldError[] {
  const parts = type === 'Pod' ? PARTS.filter(part => !part.startsWith('default')) : PARTS
  const names = new Set(parts.flatMap(part => Object.keys(objectAt(limit, part))))
  return [...names].flatMap(name => {
    const errors: FieldError[] = []
    for (const [low, high, lowWord, highWord, where, shown] of ORDERS) {
      if (!parts.includes(low) || !parts.includes(high)) continue
      const [a, b] = [boundOf(limit, low, name), boundOf(limit, high, name)]
      if (a === undefined || b === undefined || compareQuantities(a.amount, b.amount) <= 0) continue
      const detail = `${lowWord} ${a.text} is greater than ${highWord} ${b.text}`
      const value = boundOf(limit, shown, name)?.text ?? ''
      errors.push(invalidValue(`${path}.${where}[${name}]`, value, detail))
    }
    return [...errors, ...ratioErrors(limit, name, `${path}.maxLimitRequestRatio[${name}]`)]
  })
}

/** How far a limit may be over its request: not under 1, and not over what the bounds allow anyway. */
function ratioErrors(limit: JsonObject, name: string, path: string): FieldError[] {
  const ratio = boundOf(limit, 'maxLimitRequestRatio', name)
  if (ratio === undefined) return []
  const milli = ({ amount }: Bound): number => Number(scaledQuantity(amount, -3))
  const errors: FieldError[] = []
  if (milli(ratio) < 1000) {
    errors.push(invalidValue(path, ratio.text, `ratio ${ratio.text} is less than 1`))
  }
  const [min, max] = [boundOf(limit, 'min', name), boundOf(limit, 'max', name)]
  if (min === undefined || max === undefined) return errors
  const most = milli(max) / milli(min)
  if (milli(ratio) / 1000 <= most) return errors
  const detail = `ratio ${ratio.text} is greater than max/min = ${most.toFixed(6)}`
  return [...errors, invalidValue(path, ratio.text, detail)]
}
