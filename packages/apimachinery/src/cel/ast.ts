// The tree of an expression. Made by the parser, annotated by the checker, read by cost and
// interpreter.

import type { CelValue } from './value.ts'

interface Node {
  /** Unique within the expression; types, references and positions are kept by id. */
  readonly id: number
}

export interface Literal extends Node {
  readonly kind: 'literal'
  readonly value: CelValue
}

interface Ident extends Node {
  readonly kind: 'ident'
  readonly name: string
}

export interface Select extends Node {
  readonly kind: 'select'
  readonly operand: Expr
  readonly field: string
  /** has(operand.field) */
  readonly testOnly: boolean
}

export interface Call extends Node {
  readonly kind: 'call'
  /**
   * The checker rewrites `a.b(x)` to the function `a.b` without target when such a function is
   * declared.
   */
  fn: string
  target: Expr | undefined
  readonly args: readonly Expr[]
}

export interface ListLiteral extends Node {
  readonly kind: 'list'
  readonly elements: readonly Expr[]
  /** Indices of `?element`. */
  readonly optional: readonly number[]
}

export interface MapEntry extends Node {
  readonly key: Expr
  readonly value: Expr
  readonly optional: boolean
}

export interface MapLiteral extends Node {
  readonly kind: 'map'
  readonly entries: readonly MapEntry[]
}

export interface StructField extends Node {
  readonly name: string
  readonly value: Expr
  readonly optional: boolean
}

export interface StructLiteral extends Node {
  readonly kind: 'struct'
  readonly typeName: string
  readonly fields: readonly StructField[]
}

/** What every macro over a range becomes: fold `step` over `range`, starting from `accuInit`. */
export interface Comprehension extends Node {
  readonly kind: 'comprehension'
  readonly range: Expr
  readonly iterVar: string
  readonly iterVar2: string | undefined
  readonly accuVar: string
  readonly accuInit: Expr
  readonly condition: Expr
  readonly step: Expr
  readonly result: Expr
}

/** Stands where the text could not be read; an issue was reported. */
interface Broken extends Node {
  readonly kind: 'broken'
}

export type Expr =
  | Literal
  | Ident
  | Select
  | Call
  | ListLiteral
  | MapLiteral
  | StructLiteral
  | Comprehension
  | Broken

/** The accumulator of macros; not an identifier, so no expression can name it. */
export const ACCUMULATOR = '@result'
/** The iteration variable of a comprehension that only binds a name. */
export const UNUSED = '#unused'

/** Whether a comprehension only binds accuVar to accuInit for the sake of its result. */
export function isBind(expr: Comprehension): boolean {
  const { range, condition } = expr
  return (
    range.kind === 'list' &&
    range.elements.length === 0 &&
    condition.kind === 'literal' &&
    condition.value === false
  )
}

/** The expressions directly inside another. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'select':
      return [expr.operand]
    case 'call':
      return expr.target === undefined ? expr.args : [expr.target, ...expr.args]
    case 'list':
      return expr.elements
    case 'map':
      return expr.entries.flatMap(entry => [entry.key, entry.value])
    case 'struct':
      return expr.fields.map(field => field.value)
    case 'comprehension':
      return [expr.range, expr.accuInit, expr.condition, expr.step, expr.result]
    default:
      return []
  }
}
