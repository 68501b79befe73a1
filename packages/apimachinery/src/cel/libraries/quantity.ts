// Quantities such as 1.5Gi. Called by registry.ts; the arithmetic is the API's own.
// Ref: apiserver/pkg/cel/library/quantity.go

import {
  addQuantities,
  compareQuantities,
  parseQuantity,
  type Quantity,
  subtractQuantities,
} from '../../quantity.ts'
import { type CelType, QUANTITY } from '../cel-type.ts'
import type { Library } from '../function.ts'
import { CelError, CelOpaque, type CelValue, fitsInt } from '../value.ts'

class CelQuantity extends CelOpaque {
  readonly type: CelType = QUANTITY
  readonly quantity: Quantity

  constructor(quantity: Quantity) {
    super()
    this.quantity = quantity
  }

  equals(other: CelOpaque): boolean {
    return other instanceof CelQuantity && compareQuantities(this.quantity, other.quantity) === 0
  }
}

function read(text: string): CelValue {
  const parsed = parseQuantity(text)
  return parsed.ok ? new CelQuantity(parsed.quantity) : new CelError(parsed.error)
}

function ofInt(value: bigint): Quantity {
  return { unscaled: value, scale: 0, format: 'DecimalExponent' }
}

/** The value when it is whole and fits 64 bits. */
function toInt({ quantity: { unscaled, scale } }: CelQuantity): bigint | undefined {
  const unit = 10n ** BigInt(Math.abs(scale))
  if (scale < 0 && unscaled % unit !== 0n) return undefined
  const value = scale < 0 ? unscaled / unit : unscaled * unit
  return fitsInt(value) ? value : undefined
}

function sign({ quantity }: CelQuantity): bigint {
  return quantity.unscaled === 0n ? 0n : quantity.unscaled < 0n ? -1n : 1n
}

const compare = (a: CelQuantity, b: CelQuantity) => compareQuantities(a.quantity, b.quantity)

export const QUANTITIES: Library = {
  quantity: { string_to_quantity: ['(string) -> kubernetes.Quantity', read] },
  isQuantity: {
    is_quantity_string: ['(string) -> bool', (text: string) => parseQuantity(text).ok],
  },
  sign: { quantity_sign: ['(kubernetes.Quantity) -> int', sign] },
  isGreaterThan: {
    quantity_is_greater_than: [
      'kubernetes.Quantity.(kubernetes.Quantity) -> bool',
      (a: CelQuantity, b: CelQuantity) => compare(a, b) > 0,
    ],
  },
  isLessThan: {
    quantity_is_less_than: [
      'kubernetes.Quantity.(kubernetes.Quantity) -> bool',
      (a: CelQuantity, b: CelQuantity) => compare(a, b) < 0,
    ],
  },
  compareTo: {
    quantity_compare_to: [
      'kubernetes.Quantity.(kubernetes.Quantity) -> int',
      (a: CelQuantity, b: CelQuantity) => BigInt(Math.sign(compare(a, b))),
    ],
  },
  asApproximateFloat: {
    quantity_get_float: [
      'kubernetes.Quantity.() -> double',
      ({ quantity }: CelQuantity) => Number(`${quantity.unscaled}e${quantity.scale}`),
    ],
  },
  asInteger: {
    quantity_get_int: [
      'kubernetes.Quantity.() -> int',
      (value: CelQuantity) => toInt(value) ?? new CelError('cannot convert value to integer'),
    ],
  },
  isInteger: {
    quantity_is_integer: [
      'kubernetes.Quantity.() -> bool',
      (value: CelQuantity) => toInt(value) !== undefined,
    ],
  },
  add: {
    quantity_add: [
      'kubernetes.Quantity.(kubernetes.Quantity) -> kubernetes.Quantity',
      (a: CelQuantity, b: CelQuantity) => new CelQuantity(addQuantities(a.quantity, b.quantity)),
    ],
    quantity_add_int: [
      'kubernetes.Quantity.(int) -> kubernetes.Quantity',
      (a: CelQuantity, b: bigint) => new CelQuantity(addQuantities(a.quantity, ofInt(b))),
    ],
  },
  sub: {
    quantity_sub: [
      'kubernetes.Quantity.(kubernetes.Quantity) -> kubernetes.Quantity',
      (a: CelQuantity, b: CelQuantity) =>
        new CelQuantity(subtractQuantities(a.quantity, b.quantity)),
    ],
    quantity_sub_int: [
      'kubernetes.Quantity.(int) -> kubernetes.Quantity',
      (a: CelQuantity, b: bigint) => new CelQuantity(subtractQuantities(a.quantity, ofInt(b))),
    ],
  },
}
