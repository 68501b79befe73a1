// Ranges of sizes and costs that saturate instead of overflowing. Called by cost.ts and
// call-estimate.ts.
// Ref: cel-go/checker/cost.go SizeEstimate, CostEstimate

/** From min to max, both inclusive: a size() or a number of cost units. */
export interface Range {
  readonly min: number
  readonly max: number
}

/** 64 unsigned bits; above 2^53 numbers are approximate, which no limit comes near. */
export const MAX = 2 ** 64

export const UNKNOWN: Range = { min: 0, max: MAX }
export const ZERO: Range = { min: 0, max: 0 }
export const ONE: Range = { min: 1, max: 1 }

export function fixed(value: number): Range {
  return { min: value, max: value }
}

export function add(a: Range, b: Range): Range {
  return { min: Math.min(MAX, a.min + b.min), max: Math.min(MAX, a.max + b.max) }
}

export function multiply(a: Range, b: Range): Range {
  return { min: Math.min(MAX, a.min * b.min), max: Math.min(MAX, a.max * b.max) }
}

/** Multiplied by a fraction of a unit and rounded up. */
export function scale(range: Range, factor: number): Range {
  const scaled = (value: number) => Math.min(MAX, Math.ceil(value * factor))
  return { min: scaled(range.min), max: scaled(range.max) }
}

/** The smallest range that holds both. */
export function union(a: Range, b: Range): Range {
  return { min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) }
}
