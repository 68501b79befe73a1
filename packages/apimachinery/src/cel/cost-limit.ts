// The signal that an evaluation passed its cost limit. Thrown by the interpreter and by library
// functions whose result would be too large; caught in compile.ts.

export class CostExceeded extends Error {
  override readonly name = 'CostExceeded'
}

/** One instance: making a stack trace for each would cost more than it tells. */
export const COST_EXCEEDED = new CostExceeded('operation cancelled: actual cost limit exceeded')
