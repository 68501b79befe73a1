// The state of one evaluation: values of variables and the cost so far. Called by the interpreter's
// evaluators.

import { COST_EXCEEDED } from './cost-limit.ts'
import type { CelValue } from './value.ts'

/** The state of one evaluation. */
export class Frame {
  /** Variables first, then what comprehensions bind; undefined until read. */
  readonly slots: (CelValue | undefined)[]
  readonly #read: (variable: number) => CelValue
  readonly #limit: number
  cost = 0

  constructor(slots: number, limit: number, read: (variable: number) => CelValue) {
    this.slots = new Array<CelValue | undefined>(slots)
    this.#limit = limit
    this.#read = read
  }

  charge(cost: number): void {
    this.cost += cost
    if (this.cost > this.#limit) throw COST_EXCEEDED
  }

  variable(index: number): CelValue {
    const known = this.slots[index]
    if (known !== undefined) return known
    const value = this.#read(index)
    this.slots[index] = value
    return value
  }
}

export type Evaluator = (frame: Frame) => CelValue
