// Numbers of pods that may also be percentages of them. Called by apps.ts and policy.ts.
// Ref: kubernetes/pkg/apis/apps/validation ValidatePositiveIntOrPercent, IsNotMoreThan100Percent

import {
  type FieldError,
  invalidValue,
  isPercent,
  type JsonValue,
  nonNegative,
} from '@podless/apimachinery'

const PERCENT =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"

/** A number of pods, or a percentage of the wanted ones. */
export function amountErrors(value: JsonValue | undefined, path: string): FieldError[] {
  if (typeof value === 'number') return nonNegative(value, path)
  if (typeof value !== 'string') return []
  return isPercent(value).map(() => invalidValue(path, value, PERCENT))
}

/** The same, of pods that are there: no more than all of them. */
export function shareErrors(value: JsonValue | undefined, path: string): FieldError[] {
  const errors = amountErrors(value, path)
  if (errors.length > 0 || typeof value !== 'string' || Number.parseInt(value, 10) <= 100) {
    return errors
  }
  return [invalidValue(path, value, 'must not be greater than 100%')]
}
