// The worst case an expression may cost, before there is any data: from the sizes schemas allow.
// Called by compile.ts; uses call-estimate.ts. Ref: cel-go/checker/cost.go, apiextensions-apiserver
// .../cel/compilation.go

import {
  ACCUMULATOR,
  type Call,
  type Comprehension,
  type Expr,
  isBind,
  type ListLiteral,
  type MapLiteral,
} from './ast.ts'
import { type CallEstimate, estimateCall, type Operand } from './call-estimate.ts'
import type { CelType } from './cel-type.ts'
import type { Checked } from './checker.ts'
import type { Declaration } from './declaration.ts'
import { add, fixed, MAX, multiply, ONE, type Range, UNKNOWN, union, ZERO } from './size-range.ts'
import { textLength } from './value.ts'

const LIST_COST = fixed(10)
const MAP_COST = fixed(30)
const STRUCT_COST = fixed(40)

/**
 * Where a value comes from: a variable's name, then field names, '@items', '@values' or '@keys'.
 */
type Path = readonly string[]

/** Sizes of the keys or indices and of the values of an aggregate. */
interface EntrySizes {
  readonly container: 'list' | 'map'
  readonly key: Range
  readonly value: Range
}

interface Local {
  readonly path: Path
  readonly size: Range | undefined
  readonly entries: EntrySizes | undefined
}

/** Estimates a checked expression; declarations say how large variables get. */
export function estimate(
  checked: Checked,
  declarations: ReadonlyMap<string, Declaration | undefined>,
): Range {
  const root = [...declarations.values()].find(declaration => declaration !== undefined)
  const cost = new Estimate(checked, root).cost(checked.expr)
  const cap = (value: number) => Math.min(value, MAX)
  return { min: cap(cost.min), max: cap(cost.max) }
}

class Estimate {
  readonly #checked: Checked
  /** All paths are read from here: self and oldSelf have the same declaration. */
  readonly #root: Declaration | undefined
  readonly #paths = new Map<number, Path>()
  readonly #sizes = new Map<number, Range>()
  readonly #entries = new Map<number, EntrySizes>()
  readonly #locals = new Map<string, Local[]>()

  constructor(checked: Checked, root: Declaration | undefined) {
    this.#checked = checked
    this.#root = root
  }

  cost(expr: Expr): Range {
    const reference = this.#checked.references.get(expr.id)
    switch (expr.kind) {
      case 'ident':
        this.#paths.set(expr.id, this.#local(expr.name)?.path ?? [expr.name])
        return ONE
      case 'select': {
        if (reference !== undefined) {
          this.#paths.set(expr.id, [expr.field])
          return ONE
        }
        const operand = this.cost(expr.operand)
        if (expr.testOnly) return operand
        this.#paths.set(expr.id, [...this.#pathOf(expr.operand), expr.field])
        const { kind } = this.#typeOf(expr.operand)
        return kind === 'map' || kind === 'struct' || kind === 'param' ? add(operand, ONE) : operand
      }
      case 'call':
        return this.#call(expr)
      case 'list':
        return this.#list(expr)
      case 'map':
        return this.#map(expr)
      case 'struct':
        return expr.fields.reduce((sum, field) => add(sum, this.cost(field.value)), STRUCT_COST)
      case 'comprehension':
        return isBind(expr) ? this.#bind(expr) : this.#fold(expr)
      default:
        return ZERO
    }
  }

  #list(expr: ListLiteral): Range {
    let cost = LIST_COST
    let value: Range = { min: expr.elements.length === 0 ? 0 : MAX, max: 0 }
    for (const element of expr.elements) {
      cost = add(cost, this.cost(element))
      value = union(value, this.#sizeOrUnknown(element))
    }
    this.#entries.set(expr.id, { container: 'list', key: ONE, value })
    return cost
  }

  #map(expr: MapLiteral): Range {
    let cost = MAP_COST
    let key: Range = { min: expr.entries.length === 0 ? 0 : MAX, max: 0 }
    let value = key
    for (const entry of expr.entries) {
      cost = add(add(cost, this.cost(entry.key)), this.cost(entry.value))
      key = union(key, this.#sizeOrUnknown(entry.key))
      value = union(value, this.#sizeOrUnknown(entry.value))
    }
    this.#entries.set(expr.id, { container: 'map', key, value })
    return cost
  }

  #call(expr: Call): Range {
    if (expr.fn === 'dyn' && expr.args[0] !== undefined) {
      const cost = add(ONE, this.cost(expr.args[0]))
      this.#copySizes(expr, expr.args[0])
      return cost
    }
    const argCosts = expr.args.map(arg => this.cost(arg))
    const args = expr.args.map(arg => this.#operand(arg))
    const reference = this.#checked.references.get(expr.id)
    if (reference?.kind !== 'function' || reference.overloads.length === 0) return ZERO
    let sum = ZERO
    let target: Operand | undefined
    if (expr.target !== undefined) {
      sum = this.cost(expr.target)
      target = this.#operand(expr.target)
    }
    let cost: Range = { min: MAX, max: 0 }
    let size: Range | undefined
    for (const { id } of reference.overloads) {
      const site = { fn: expr.fn, overload: id, target, args }
      const overload = this.#overloadCost(expr, site, argCosts)
      cost = union(cost, overload.cost)
      if (overload.size !== undefined) {
        size = size === undefined ? overload.size : union(size, overload.size)
      }
      size = this.#indexSize(expr, id, size)
    }
    if (size !== undefined) this.#sizes.set(expr.id, size)
    return add(sum, cost)
  }

  /** Indexing keeps track of where the element comes from. */
  #indexSize(expr: Call, overload: string, size: Range | undefined): Range | undefined {
    const operand = expr.args[0]
    let result = size
    if (operand !== undefined && (overload === 'index_list' || overload === 'index_map')) {
      result = this.#entriesOf(operand)?.value
      const step = overload === 'index_list' ? '@items' : '@values'
      this.#paths.set(expr.id, [...this.#pathOf(operand), step])
    }
    return result ?? this.#sizeOf(expr)
  }

  #overloadCost(
    expr: Call,
    site: Parameters<typeof estimateCall>[0],
    argCosts: readonly Range[],
  ): CallEstimate {
    const [first, second, third] = argCosts
    if (site.overload === 'logical_or' || site.overload === 'logical_and') {
      // The right side may not be needed.
      return { cost: { min: first?.min ?? 0, max: add(first ?? ZERO, second ?? ZERO).max } }
    }
    if (site.overload === 'conditional') {
      const [, whenTrue, whenFalse] = expr.args as [Expr, Expr, Expr]
      this.#joinEntries(expr, whenTrue, whenFalse)
      const size = union(this.#sizeOrUnknown(whenTrue), this.#sizeOrUnknown(whenFalse))
      return { cost: add(first ?? ZERO, union(second ?? ZERO, third ?? ZERO)), size }
    }
    if (site.overload.startsWith('add_') && expr.args.length === 2) {
      this.#joinEntries(expr, expr.args[0] as Expr, expr.args[1] as Expr)
    }
    const estimated = estimateCall(site)
    return { cost: argCosts.reduce(add, estimated.cost), size: estimated.size }
  }

  #joinEntries(expr: Expr, a: Expr, b: Expr): void {
    const first = this.#entriesOf(a)
    const second = this.#entriesOf(b)
    if (first === undefined || second === undefined) return
    this.#entries.set(expr.id, {
      container: first.container,
      key: union(first.key, second.key),
      value: union(first.value, second.value),
    })
  }

  #bind(expr: Comprehension): Range {
    let sum = add(this.cost(expr.range), this.cost(expr.accuInit))
    this.#pushValue(expr.accuVar, expr.accuInit)
    sum = add(sum, this.cost(expr.result))
    this.#pop(expr.accuVar)
    this.#copySizes(expr, expr.result)
    return sum
  }

  #fold(expr: Comprehension): Range {
    let sum = add(this.cost(expr.range), this.cost(expr.accuInit))
    this.#pushValue(expr.accuVar, expr.accuInit)
    this.#pushIteration(expr)
    const perElement = add(this.cost(expr.condition), this.cost(expr.step))
    this.#pop(expr.iterVar)
    if (expr.iterVar2 !== undefined) this.#pop(expr.iterVar2)
    sum = add(sum, this.cost(expr.result))
    this.#pop(expr.accuVar)
    const count = this.#sizeOrUnknown(expr.range)
    sum = add(sum, multiply(count, perElement))
    const { kind } = expr.accuInit
    if (kind === 'literal') {
      const size = this.#sizeOf(expr.accuInit)
      if (size !== undefined) this.#sizes.set(expr.id, size)
    } else if (kind === 'list' || kind === 'map') {
      this.#sizes.set(expr.id, count)
      const entries = this.#entriesOf(expr.step)
      if (entries !== undefined) this.#entries.set(expr.id, entries)
    }
    return sum
  }

  #pushValue(name: string, expr: Expr): void {
    const local = {
      path: this.#pathOf(expr),
      entries: this.#entriesOf(expr),
      size: this.#sizeOf(expr),
    }
    this.#push(name, local)
  }

  #pushIteration({ range, iterVar, iterVar2 }: Comprehension): void {
    const path = this.#pathOf(range)
    const entries = this.#entriesOf(range)
    const isList = (entries?.container ?? this.#typeOf(range).kind) === 'list'
    const key = { path: [...path, isList ? '@indices' : '@keys'], size: entries?.key }
    const value = { path: [...path, isList ? '@items' : '@values'], size: entries?.value }
    if (iterVar2 === undefined) {
      this.#push(iterVar, { ...(isList ? value : key), entries: undefined })
      return
    }
    this.#push(iterVar, { ...key, entries: undefined })
    this.#push(iterVar2, { ...value, entries: undefined })
  }

  #push(name: string, local: Local): void {
    const stack = this.#locals.get(name) ?? []
    stack.push(local)
    this.#locals.set(name, stack)
  }

  #pop(name: string): void {
    this.#locals.get(name)?.pop()
  }

  #local(name: string): Local | undefined {
    return this.#locals.get(name)?.at(-1)
  }

  #operand(expr: Expr): Operand {
    const size = this.#sizeOf(expr)
    const type = this.#typeOf(expr)
    const path = this.#pathOf(expr)
    const known = path[0] === ACCUMULATOR ? [] : path
    // The size of elements is read from the schema when the list comes from there.
    const elementSize = known.length === 0 ? undefined : this.#declaredSize([...known, '@items'])
    return { type, expr, size, elementSize }
  }

  #typeOf(expr: Expr): CelType {
    return this.#checked.types[expr.id] as CelType
  }

  #pathOf(expr: Expr): Path {
    const local = expr.kind === 'ident' ? this.#local(expr.name) : undefined
    return local?.path ?? this.#paths.get(expr.id) ?? []
  }

  #sizeOrUnknown(expr: Expr): Range {
    return this.#sizeOf(expr) ?? UNKNOWN
  }

  #copySizes(to: Expr, from: Expr): void {
    const size = this.#sizeOf(from)
    if (size !== undefined) this.#sizes.set(to.id, size)
    const entries = this.#entriesOf(from)
    if (entries !== undefined) this.#entries.set(to.id, entries)
  }

  #sizeOf(expr: Expr): Range | undefined {
    const known = this.#sizes.get(expr.id) ?? literalSize(expr)
    if (known !== undefined) return known
    const declared = this.#declaredSize(this.#pathOf(expr))
    if (declared !== undefined) {
      this.#sizes.set(expr.id, declared)
      return declared
    }
    if (isScalar(this.#typeOf(expr))) return ONE
    return expr.kind === 'ident' ? this.#local(expr.name)?.size : undefined
  }

  #entriesOf(expr: Expr): EntrySizes | undefined {
    const known = this.#entries.get(expr.id)
    if (known !== undefined || expr.kind !== 'ident') return known
    return this.#local(expr.name)?.entries
  }

  /** The largest size the schema allows at a path. */
  #declaredSize(path: Path): Range | undefined {
    if (path.length === 0) return undefined
    let at = this.#root
    for (const step of path.slice(1)) {
      if (step === '@items' || step === '@values') at = at?.element
      else at = step === '@keys' ? at?.key : at?.field?.(step)
    }
    return at && { min: 0, max: at.maxElements }
  }
}

function literalSize(expr: Expr): Range | undefined {
  if (expr.kind === 'list') return fixed(expr.elements.length)
  if (expr.kind === 'map') return fixed(expr.entries.length)
  if (expr.kind !== 'literal') return undefined
  if (typeof expr.value === 'string') return fixed(textLength(expr.value))
  return expr.value instanceof Uint8Array ? fixed(expr.value.length) : ONE
}

const SCALARS: ReadonlySet<string> = new Set([
  ...['bool', 'double', 'duration', 'int', 'timestamp', 'uint'],
])

function isScalar(type: CelType): boolean {
  if (SCALARS.has(type.kind)) return true
  const inner = type.name === 'optional_type' ? type.params[0] : undefined
  return inner !== undefined && isScalar(inner)
}
