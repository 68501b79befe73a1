// What must hold of a device's capacity, and of how much of it one request may take. Called by device-slice-rules.ts.
// Ref: kubernetes/pkg/apis/resource/validation validateRequestPolicy

import {
  addQuantities,
  compareQuantities,
  duplicate,
  type FieldError,
  forbiddenField,
  formatQuantity,
  invalidValue,
  isObject,
  type JsonObject,
  type JsonValue,
  parseQuantity,
  type Quantity,
  required,
  scaledQuantity,
  tooMany,
} from '@podless/apimachinery'
import { textsAt } from './reading.ts'

const OPTIONS_MAX = 10
const NOTHING: Amount = { text: '0', quantity: { unscaled: 0n, scale: 0, format: 'DecimalSI' } }

interface Amount {
  readonly text: string
  readonly quantity: Quantity
}

function amountOf(value: JsonValue | undefined): Amount | undefined {
  if (typeof value !== 'string') return undefined
  const parsed = parseQuantity(value)
  return parsed.ok ? parsed : undefined
}

const isMore = (a: Amount, b: Amount): boolean => compareQuantities(a.quantity, b.quantity) > 0
const wholeOf = ({ quantity }: Amount): bigint => scaledQuantity(quantity, 0)

/** Everything wrong with a capacity; only a device that may be shared has a policy. */
export function capacityErrors(
  { value, requestPolicy }: JsonObject,
  isShared: boolean,
  path: string,
): FieldError[] {
  if (!isObject(requestPolicy)) return []
  const at = `${path}.requestPolicy`
  if (!isShared) return [forbiddenField(at, 'allowMultipleAllocations must be true')]
  const hasValues = textsAt(requestPolicy, 'validValues').length > 0
  const { validRange } = requestPolicy
  const all = amountOf(value) ?? NOTHING
  if (hasValues && isObject(validRange)) {
    const detail =
      'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
    return [forbiddenField(at, detail)]
  }
  if (!hasValues && !isObject(validRange)) return []
  const standard = amountOf(requestPolicy.default)
  if (standard === undefined) {
    const field = hasValues ? 'validValues' : 'validRange'
    return [required(`${at}.default`, `required when ${field} is defined`)]
  }
  return isObject(validRange)
    ? rangeErrors(validRange, standard, all, `${at}.validRange`)
    : valueErrors(textsAt(requestPolicy, 'validValues'), standard, all, `${at}.validValues`)
}

function valueErrors(
  texts: readonly string[],
  standard: Amount,
  all: Amount,
  path: string,
): FieldError[] {
  const values = texts.map(text => amountOf(text) ?? NOTHING)
  const errors = values.flatMap((value, index) => {
    const before = values[index - 1]
    if (before === undefined || !isMore(before, value)) return []
    return [
      invalidValue(`${path}[${index}]`, value.text, 'values must be sorted in ascending order'),
    ]
  })
  if (values.length > OPTIONS_MAX) errors.push(tooMany(path, values.length, OPTIONS_MAX))
  else errors.push(...optionErrors(values, all, path))
  const isAmong =
    values.length <= OPTIONS_MAX &&
    values.some(({ quantity }) => compareQuantities(quantity, standard.quantity) === 0)
  const detail = 'default value is not valid according to the requestPolicy'
  return isAmong ? errors : [...errors, invalidValue(path, standard.text, detail)]
}

function optionErrors(values: readonly Amount[], all: Amount, path: string): FieldError[] {
  const wholes = values.map(value => String(wholeOf(value)))
  return [
    ...values.flatMap((value, index) =>
      isMore(value, all)
        ? [
            invalidValue(
              `${path}[${index}]`,
              value.text,
              `option is larger than capacity value: ${all.text}`,
            ),
          ]
        : [],
    ),
    ...wholes.flatMap((whole, index) =>
      wholes.indexOf(whole) < index ? [duplicate(`${path}[${index}]`, whole)] : [],
    ),
  ]
}

/** A comparison that must not hold, and what is said of the first of the two when it does. */
type Bound = readonly [more: Amount, less: Amount, field: string, shown: Amount, detail: string]

function rangeErrors(range: JsonObject, standard: Amount, all: Amount, path: string): FieldError[] {
  const [min, max, step] = [amountOf(range.min), amountOf(range.max), amountOf(range.step)]
  if (min === undefined) return [required(`${path}.min`, 'required when validRange is defined')]
  const bounds: Bound[] = [
    [min, all, 'min', min, `min is larger than capacity value: ${all.text}`],
    [min, standard, 'min', standard, `default is less than min: ${min.text}`],
  ]
  if (max !== undefined) {
    bounds.push(
      [min, max, 'max', min, `min is larger than max: ${max.text}`],
      [max, all, 'max', max, `max is larger than capacity value: ${all.text}`],
      [standard, max, 'max', standard, `default is more than max: ${max.text}`],
    )
  }
  const errors = bounds.flatMap(([more, less, field, shown, detail]) =>
    isMore(more, less) ? [invalidValue(`${path}.${field}`, shown.text, detail)] : [],
  )
  if (step === undefined) return errors
  const reached = max === undefined ? [standard] : [standard, max]
  return [...errors, ...stepErrors({ min, step, all, reached }, `${path}.step`)]
}

interface Steps {
  readonly min: Amount
  readonly step: Amount
  readonly all: Amount
  /** What must be a number of steps away from `min`. */
  readonly reached: readonly Amount[]
}

function stepErrors({ min, step, all, reached }: Steps, path: string): FieldError[] {
  const sum = addQuantities(min.quantity, step.quantity)
  const next = { quantity: sum, text: formatQuantity(sum) }
  const errors = isMore(next, all)
    ? [
        invalidValue(
          path,
          step.text,
          `one step ${next.text} is larger than capacity value: ${all.text}`,
        ),
      ]
    : []
  const detail = `value is not a multiple of a given step (${step.text}) from (${min.text})`
  const size = wholeOf(step)
  for (const value of reached) {
    // NOTE: upstream divides by the step; by one of zero it cannot, and fails.
    const isReached = size !== 0n && (wholeOf(value) - wholeOf(min)) % size === 0n
    if (!isReached) errors.push(invalidValue(path, value.text, detail))
  }
  return errors
}
