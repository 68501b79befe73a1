// Turns a checked tree into one function per node. Every step is charged to a cost limit, so no
// expression runs for long. Called by compile.ts; uses dispatch.ts, fold.ts and qualify.ts.
// Ref: cel-go/interpreter/{planner,interpretable,runtimecost}.go

import {
  type Call,
  type Comprehension,
  type Expr,
  isBind,
  type ListLiteral,
  type MapLiteral,
  type StructLiteral,
} from './ast.ts'
import { callCost } from './call-cost.ts'
import type { Checked, Reference } from './checker.ts'
import {
  direct,
  dispatcher,
  evaluateCall,
  evaluateUntilError,
  free,
  stopsAtError,
} from './dispatch.ts'
import { growing, iterateOne, iterateTwo, lazily, readSlot } from './fold.ts'
import type { Evaluator, Frame } from './frame.ts'
import type { Overload } from './function.ts'
import { CONVERSION_NAMES } from './libraries/conversions.ts'
import { patchObject } from './patch-types.ts'
import { checkQualifier, qualify, qualifyIfPresent, testPresence } from './qualify.ts'
import { compileRegex } from './regex.ts'
import {
  ArrayList,
  CelError,
  CelList,
  CelOptional,
  type CelValue,
  NONE,
  noSuchOverload,
  settle,
  typeOf,
  ValueMap,
} from './value.ts'

/** Cost units of building aggregates. Ref: cel-go/common/cost.go */
const LIST_COST = 10
const MAP_COST = 30
const STRUCT_COST = 40

/** Thrown while a program is made, by a conversion of a literal that can not succeed. */
export class InstantiationError extends Error {
  override readonly name = 'InstantiationError'
}

/** An evaluator, with its value when that is known without running it. */
interface Plan {
  readonly run: Evaluator
  readonly constant?: CelValue
}

export interface Planned {
  readonly run: Evaluator
  /** Slots a frame needs. */
  readonly slots: number
}

/** Plans a checked expression; `variables` are numbered in order. Throws InstantiationError. */
export function plan(checked: Checked, variables: readonly string[]): Planned {
  const planner = new Planner(checked, variables)
  const run = planner.plan(checked.expr).run
  return { run, slots: planner.slots }
}

function constant(value: CelValue): Plan {
  return { run: () => value, constant: value }
}

class Planner {
  slots: number
  readonly #references: ReadonlyMap<number, Reference>
  readonly #variables: ReadonlyMap<string, number>
  /** Evaluators of names that comprehensions bind, innermost last. */
  readonly #locals: (readonly [name: string, run: Evaluator])[] = []

  constructor(checked: Checked, variables: readonly string[]) {
    this.#references = checked.references
    this.#variables = new Map(variables.map((name, i) => [name, i]))
    this.slots = variables.length
  }

  plan(expr: Expr): Plan {
    switch (expr.kind) {
      case 'literal':
        return constant(expr.value)
      case 'list':
        return this.#list(expr)
      case 'map':
        return this.#map(expr)
      case 'struct':
        return { run: this.#struct(expr) }
      case 'comprehension':
        return { run: isBind(expr) ? this.#bind(expr) : this.#fold(expr) }
      case 'ident':
      case 'select':
        return this.#attribute(expr, true)
      case 'call':
        return ATTRIBUTE_CALLS.has(expr.fn) ? this.#attribute(expr, true) : this.#call(expr)
      default:
        throw new InstantiationError(`unsupported expr: ${expr.kind}`)
    }
  }

  /**
   * Names with their selections, indices and choices. The name costs one unit and each step
   * another, but a name chosen by ?: costs nothing for itself: `charged` is false for it.
   */
  #attribute(expr: Expr, charged: boolean): Plan {
    const reference = this.#references.get(expr.id)
    if (reference?.kind === 'type') return constant(reference.type)
    if (reference?.kind === 'variable') return { run: this.#name(reference.name, charged) }
    if (expr.kind === 'select') {
      const operand = this.#operand(expr.operand, charged && !expr.testOnly)
      return { run: this.#select(operand, expr.field, expr.testOnly) }
    }
    if (expr.kind !== 'call') throw new InstantiationError(`unsupported expr: ${expr.kind}`)
    if (expr.fn === '_?_:_') return { run: this.#conditional(expr) }
    const operand = this.#operand(expr.args[0] as Expr, charged)
    const index = this.#uncharged(expr.args[1] as Expr)
    const invalid = index.constant === undefined ? undefined : checkQualifier(index.constant)
    if (invalid !== undefined) throw new InstantiationError(invalid.message)
    return { run: this.#index(operand, index.run, expr.fn !== '_[_]') }
  }

  #operand(expr: Expr, charged: boolean): Evaluator {
    if (isAttribute(expr)) return this.#attribute(expr, charged).run
    const run = this.plan(expr).run
    if (!charged) return run
    return frame => {
      const value = run(frame)
      frame.charge(1)
      return value
    }
  }

  /** Local names are spelled plainly, variables with a leading dot. */
  #name(name: string, charged: boolean): Evaluator {
    const run = name.startsWith('.') ? this.#variable(name.slice(1)) : this.#local(name)
    if (!charged) return run
    return frame => {
      frame.charge(1)
      return run(frame)
    }
  }

  #variable(name: string): Evaluator {
    const index = this.#variables.get(name)
    if (index === undefined) throw new InstantiationError(`undeclared variable ${name}`)
    return frame => frame.variable(index)
  }

  #local(name: string): Evaluator {
    const found = this.#locals.findLast(([local]) => local === name)
    if (found === undefined) throw new InstantiationError(`undeclared variable ${name}`)
    return found[1]
  }

  #select(operand: Evaluator, field: string, testOnly: boolean): Evaluator {
    if (testOnly) {
      return frame => {
        const value = operand(frame)
        if (value instanceof CelError) return value
        frame.charge(1)
        return testPresence(value, field)
      }
    }
    return frame => {
      const value = operand(frame)
      if (value instanceof CelError) return value
      if (value instanceof CelOptional) return qualifyOptional(frame, value, field)
      frame.charge(1)
      return qualify(value, field)
    }
  }

  #index(operand: Evaluator, index: Evaluator, optional: boolean): Evaluator {
    return frame => {
      const value = operand(frame)
      if (value instanceof CelError) return value
      const key = index(frame)
      const invalid = key instanceof CelError ? key : checkQualifier(key)
      if (invalid !== undefined) {
        if (!optional) frame.charge(1)
        return invalid
      }
      if (value instanceof CelOptional) return qualifyOptional(frame, value, key)
      if (optional) {
        const found = qualifyIfPresent(value, key)
        if (found !== NONE && !(found instanceof CelError)) frame.charge(1)
        return found
      }
      frame.charge(1)
      return qualify(value, key)
    }
  }

  #conditional(expr: Call): Evaluator {
    const [conditionExpr, trueExpr, falseExpr] = expr.args as [Expr, Expr, Expr]
    const condition = this.plan(conditionExpr).run
    const whenTrue = this.#uncharged(trueExpr).run
    const whenFalse = this.#uncharged(falseExpr).run
    return frame => {
      const chosen = condition(frame)
      if (chosen === true) return whenTrue(frame)
      if (chosen === false) return whenFalse(frame)
      return chosen instanceof CelError ? chosen : noSuchOverload()
    }
  }

  /** A name that is only a part of another step costs nothing for itself. */
  #uncharged(expr: Expr): Plan {
    return isAttribute(expr) ? this.#attribute(expr, false) : this.plan(expr)
  }

  #call(expr: Call): Plan {
    switch (expr.fn) {
      case '_&&_':
        return { run: this.#logical(expr, false) }
      case '_||_':
        return { run: this.#logical(expr, true) }
      case '@not_strictly_false':
        return { run: this.#notStrictlyFalse(expr) }
      case 'or':
      case 'orValue':
        if (this.#overloads(expr).some(overload => overload.implementation === undefined)) {
          return { run: this.#orElse(expr) }
        }
    }
    const operands = expr.target === undefined ? expr.args : [expr.target, ...expr.args]
    return this.#strictCall(
      expr,
      operands.map(operand => this.plan(operand)),
    )
  }

  #overloads(expr: Call): readonly Overload[] {
    const reference = this.#references.get(expr.id)
    return reference?.kind === 'function' ? reference.overloads : []
  }

  /** && ends at false and || at true, even when the other side fails; `ending` is that value. */
  #logical(expr: Call, ending: boolean): Evaluator {
    const [left, right] = expr.args.map(arg => this.plan(arg).run) as [Evaluator, Evaluator]
    return frame => {
      const first = left(frame)
      if (first === ending) return ending
      const second = right(frame)
      if (second === ending) return ending
      if (first === !ending && second === !ending) return !ending
      const failed = first === !ending ? second : first
      return failed instanceof CelError ? failed : noSuchOverload()
    }
  }

  #notStrictlyFalse(expr: Call): Evaluator {
    const operand = this.plan(expr.args[0] as Expr).run
    return frame => {
      const value = operand(frame)
      frame.charge(1)
      return typeof value === 'boolean' ? value : true
    }
  }

  /** optional.or and optional.orValue evaluate their argument only when the target is empty. */
  #orElse(expr: Call): Evaluator {
    const target = this.plan(expr.target as Expr).run
    const alternative = this.plan(expr.args[0] as Expr).run
    const unwrap = expr.fn === 'orValue'
    return frame => {
      const value = target(frame)
      if (value instanceof CelError) return value
      if (!(value instanceof CelOptional)) return noSuchOverload()
      if (value.value === undefined) return alternative(frame)
      return unwrap ? value.value : value
    }
  }

  #strictCall(expr: Call, operands: readonly Plan[]): Plan {
    const overloads = this.#overloads(expr)
    const single = overloads.length === 1 ? overloads[0] : undefined
    const dispatch = single === undefined ? dispatcher(expr.fn, overloads) : direct(expr.fn, single)
    const constants = operands.map(operand => operand.constant)
    if (CONVERSION_NAMES.has(expr.fn) && constants.length === 1 && constants[0] !== undefined) {
      const value = dispatch(constants as CelValue[])
      if (value instanceof CelError) throw new InstantiationError(value.message)
      return constant(value)
    }
    checkPattern(expr.fn, constants[1])
    const inConstantList = single?.id === 'in_list' && isHashable(constants[1])
    const cost = inConstantList ? undefined : callCost(expr.fn, single?.id)
    const runs = operands.map(operand => operand.run)
    if (stopsAtError(expr.fn, constants)) {
      return { run: frame => evaluateUntilError(frame, runs, dispatch, cost ?? free) }
    }
    return { run: frame => evaluateCall(frame, runs, dispatch, cost) }
  }

  #list(expr: ListLiteral): Plan {
    const plans = expr.elements.map(element => this.plan(element))
    const { optional } = expr
    const build = (values: readonly CelValue[]): CelValue => {
      const items: CelValue[] = []
      for (const [i, value] of values.entries()) {
        if (!optional.includes(i)) items.push(value)
        else if (!(value instanceof CelOptional)) return notOptional('list element', value)
        else if (value.value !== undefined) items.push(value.value)
      }
      return new ArrayList(items)
    }
    if (plans.every(element => element.constant !== undefined)) {
      return constant(build(plans.map(element => element.constant as CelValue)))
    }
    const runs = plans.map(element => element.run)
    const run: Evaluator = frame => {
      const values: CelValue[] = []
      for (const element of runs) {
        const value = element(frame)
        if (value instanceof CelError) {
          frame.charge(LIST_COST)
          return value
        }
        values.push(value)
      }
      frame.charge(LIST_COST)
      return optional.length === 0 ? new ArrayList(values) : build(values)
    }
    return { run }
  }

  #map(expr: MapLiteral): Plan {
    const entries = expr.entries.map(entry => ({
      key: this.plan(entry.key),
      value: this.plan(entry.value),
      optional: entry.optional,
    }))
    const build = (frame: Frame | undefined): CelValue => {
      const map = new ValueMap()
      for (const entry of entries) {
        const key = planValue(entry.key, frame)
        if (key instanceof CelError) return key
        const value = planValue(entry.value, frame)
        if (value instanceof CelError) return value
        const failed = entry.optional ? setOptional(map, key, value) : setEntry(map, key, value)
        if (failed !== undefined) return failed
      }
      return map
    }
    const isConstant = entries.every(
      ({ key, value }) => key.constant !== undefined && value.constant !== undefined,
    )
    if (isConstant) return constant(build(undefined))
    const run: Evaluator = frame => {
      const map = build(frame)
      frame.charge(MAP_COST)
      return map
    }
    return { run }
  }

  #struct(expr: StructLiteral): Evaluator {
    const reference = this.#references.get(expr.id)
    if (reference?.kind !== 'type') throw new InstantiationError(`unsupported expr: ${expr.kind}`)
    const { type } = reference
    const members = expr.fields.map(field => ({ ...field, run: this.plan(field.value).run }))
    return frame => {
      const fields = new Map<string, CelValue>()
      for (const { name, optional, run } of members) {
        const value = run(frame)
        if (value instanceof CelError) return value
        if (!optional) fields.set(name, value)
        else if (!(value instanceof CelOptional)) return notOptional(`entry '${name}'`, value)
        else if (value.value !== undefined) fields.set(name, value.value)
      }
      frame.charge(STRUCT_COST)
      return patchObject(type, fields)
    }
  }

  #bind(expr: Comprehension): Evaluator {
    const slot = this.slots++
    const init = this.plan(expr.accuInit).run
    this.#locals.push([expr.accuVar, lazily(slot, init)])
    const result = this.plan(expr.result).run
    this.#locals.pop()
    return frame => {
      frame.slots[slot] = undefined
      return result(frame)
    }
  }

  #fold(expr: Comprehension): Evaluator {
    const [accu, first, second] = [this.slots++, this.slots++, this.slots++]
    const init = this.plan(expr.accuInit).run
    const range = this.plan(expr.range).run
    const accumulator = lazily(accu, frame => growing(init(frame)))
    this.#locals.push([expr.accuVar, accumulator])
    this.#locals.push([expr.iterVar, readSlot(first)])
    if (expr.iterVar2 !== undefined) this.#locals.push([expr.iterVar2, readSlot(second)])
    const condition = this.plan(expr.condition)
    const step = this.plan(expr.step).run
    if (expr.iterVar2 !== undefined) this.#locals.pop()
    this.#locals.pop()
    const result = this.plan(expr.result).run
    this.#locals.pop()
    const always = condition.constant === true
    const advance = (frame: Frame, key: CelValue, value: CelValue): boolean => {
      frame.slots[first] = key
      frame.slots[second] = value
      if (!always && condition.run(frame) === false) return false
      frame.slots[accu] = step(frame)
      return true
    }
    const iterate = expr.iterVar2 === undefined ? iterateOne : iterateTwo
    return frame => {
      const values = range(frame)
      if (values instanceof CelError) return values
      frame.slots[accu] = undefined
      const failed = iterate(values, (key, value) => advance(frame, key, value))
      return failed ?? settle(result(frame))
    }
  }
}

/** A literal pattern that can not be compiled is refused before anything is searched. */
function checkPattern(fn: string, pattern: CelValue | undefined): void {
  if ((fn !== 'find' && fn !== 'findAll') || typeof pattern !== 'string') return
  const regex = compileRegex(pattern)
  if (regex instanceof CelError) throw new InstantiationError(regex.message)
}

/** Calls whose result is a place in data rather than a new value. */
const ATTRIBUTE_CALLS: ReadonlySet<string> = new Set(['_[_]', '_[?_]', '_?._', '_?_:_'])

function isAttribute(expr: Expr): boolean {
  if (expr.kind === 'call') return ATTRIBUTE_CALLS.has(expr.fn)
  return expr.kind === 'ident' || expr.kind === 'select'
}

function qualifyOptional(frame: Frame, target: CelOptional, key: CelValue): CelValue {
  if (target.value === undefined) return NONE
  const found = qualifyIfPresent(target.value, key)
  if (found !== NONE && !(found instanceof CelError)) frame.charge(1)
  return found
}

/** Literal lists of plain values are looked up as sets upstream, at no charge. */
function isHashable(value: CelValue | undefined): boolean {
  if (!(value instanceof CelList)) return false
  return [...value].every(item => typeof item !== 'object' || typeOf(item).kind === 'uint')
}

function planValue(plan: Plan, frame: Frame | undefined): CelValue {
  return frame === undefined ? (plan.constant as CelValue) : plan.run(frame)
}

function setEntry(map: ValueMap, key: CelValue, value: CelValue): CelError | undefined {
  map.set(key, value)
  return undefined
}

function setOptional(map: ValueMap, key: CelValue, value: CelValue): CelError | undefined {
  if (!(value instanceof CelOptional)) return notOptional(`entry '${printValue(key)}'`, value)
  if (value.value === undefined) map.delete(key)
  else map.set(key, value.value)
  return undefined
}

function notOptional(what: string, value: CelValue): CelError {
  const printed = printValue(value)
  return new CelError(`cannot initialize optional ${what} from non-optional value ${printed}`)
}

function printValue(value: CelValue): string {
  return typeof value === 'object' && value !== null ? typeOf(value).name : String(value)
}
