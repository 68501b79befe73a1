// Macros: calls the parser replaces by other trees, before any types are known. Called by
// parser.ts. Ref: cel-go/parser/macro.go, cel-go/cel/library.go, cel-go/ext

import { ACCUMULATOR, type Call, type Expr, UNUSED } from './ast.ts'
import type { CelValue } from './value.ts'

/** Makes ids for nodes that macros add. */
export interface NodeFactory {
  newId(offset: number): number
  offsetOf(id: number): number
}

interface MacroCall {
  readonly id: number
  readonly fn: string
  readonly target: Expr | undefined
  readonly args: readonly Expr[]
}

/** Arguments a macro can not work with; nodeId is the argument at fault. */
export class MacroError extends Error {
  override readonly name = 'MacroError'
  readonly nodeId: number | undefined

  constructor(message: string, nodeId?: number) {
    super(message)
    this.nodeId = nodeId
  }
}

/** undefined means the call is no macro after all. */
type Expander = (build: Builder, target: Expr, args: readonly Expr[]) => Expr | undefined

/** Expanders by name, number of arguments, and whether there is a target: `all/2/true`. */
export type MacroSet = ReadonlyMap<string, Expander>

/** The expansion of a call, or undefined when no macro matches. Throws MacroError. */
export function expandMacro(
  macros: MacroSet,
  factory: NodeFactory,
  call: MacroCall,
): Expr | undefined {
  const key = `${call.fn}/${call.args.length}/${call.target !== undefined}`
  const expander = macros.get(key)
  if (expander === undefined) return undefined
  const build = new Builder(factory, call.id)
  return expander(build, call.target ?? { kind: 'broken', id: call.id }, call.args)
}

/** Makes nodes that stand where the macro call stood. */
class Builder {
  readonly #factory: NodeFactory
  readonly #offset: number

  constructor(factory: NodeFactory, callId: number) {
    this.#factory = factory
    this.#offset = factory.offsetOf(callId)
  }

  id(): number {
    return this.#factory.newId(this.#offset)
  }

  literal(value: CelValue): Expr {
    return { kind: 'literal', id: this.id(), value }
  }

  ident(name: string): Expr {
    return { kind: 'ident', id: this.id(), name }
  }

  accu(): Expr {
    return this.ident(ACCUMULATOR)
  }

  call(fn: string, ...args: Expr[]): Call {
    return { kind: 'call', id: this.id(), fn, target: undefined, args }
  }

  member(fn: string, target: Expr, ...args: Expr[]): Call {
    return { kind: 'call', id: this.id(), fn, target, args }
  }

  list(...elements: Expr[]): Expr {
    return { kind: 'list', id: this.id(), elements, optional: [] }
  }

  map(): Expr {
    return { kind: 'map', id: this.id(), entries: [] }
  }

  fold(
    range: Expr,
    vars: readonly [string, string?],
    parts: { init: Expr; condition: Expr; step: Expr; result: Expr },
  ): Expr {
    return {
      kind: 'comprehension',
      id: this.id(),
      range,
      iterVar: vars[0],
      iterVar2: vars[1],
      accuVar: ACCUMULATOR,
      accuInit: parts.init,
      condition: parts.condition,
      step: parts.step,
      result: parts.result,
    }
  }

  /** Names `value` for the sake of `result`; it is evaluated at its first use. */
  bind(name: string, value: Expr, result: Expr): Expr {
    return {
      kind: 'comprehension',
      id: this.id(),
      range: this.list(),
      iterVar: UNUSED,
      iterVar2: undefined,
      accuVar: name,
      accuInit: value,
      condition: this.literal(false),
      step: this.ident(name),
      result,
    }
  }

  /** The same tree with ids of its own. */
  copy(expr: Expr): Expr {
    const id = this.#factory.newId(this.#factory.offsetOf(expr.id))
    switch (expr.kind) {
      case 'select':
        return { ...expr, id, operand: this.copy(expr.operand) }
      case 'call': {
        const target = expr.target === undefined ? undefined : this.copy(expr.target)
        return { ...expr, id, target, args: expr.args.map(arg => this.copy(arg)) }
      }
      case 'list':
        return { ...expr, id, elements: expr.elements.map(element => this.copy(element)) }
      case 'map':
        return { ...expr, id, entries: expr.entries.map(entry => this.#copyEntry(entry)) }
      case 'struct':
        return { ...expr, id, fields: expr.fields.map(field => this.#copyField(field)) }
      case 'comprehension':
        return {
          ...expr,
          id,
          range: this.copy(expr.range),
          accuInit: this.copy(expr.accuInit),
          condition: this.copy(expr.condition),
          step: this.copy(expr.step),
          result: this.copy(expr.result),
        }
      default:
        return { ...expr, id }
    }
  }

  #copyEntry<T extends { key: Expr; value: Expr }>(entry: T): T {
    return { ...entry, id: this.id(), key: this.copy(entry.key), value: this.copy(entry.value) }
  }

  #copyField<T extends { value: Expr }>(field: T): T {
    return { ...field, id: this.id(), value: this.copy(field.value) }
  }
}

function variable(arg: Expr | undefined, message: string): string {
  if (arg?.kind !== 'ident') throw new MacroError(message, arg?.id)
  if (arg.name === ACCUMULATOR || arg.name === '__result__') {
    throw new MacroError('iteration variable overwrites accumulator variable', arg.id)
  }
  return arg.name
}

/** The names of two variables, or of one when the macro got fewer arguments. */
function variables(args: readonly Expr[], count: number, message: string): [string, string?] {
  const first = variable(args[0], message)
  if (count === 1) return [first]
  const second = variable(args[1], message)
  if (first === second) throw new MacroError(`duplicate variable name: ${first}`, args[1]?.id)
  return [first, second]
}

const SIMPLE_NAME = 'argument must be a simple name'
const NOT_IDENT = 'argument is not an identifier'

const has: Expander = (build, _target, args) => {
  const arg = args[0] as Expr
  if (arg.kind !== 'select') throw new MacroError('invalid argument to has() macro', arg.id)
  return { kind: 'select', id: build.id(), operand: arg.operand, field: arg.field, testOnly: true }
}

function all(count: number): Expander {
  return (build, target, args) => {
    const vars = variables(args, count, SIMPLE_NAME)
    const init = build.literal(true)
    const condition = build.call('@not_strictly_false', build.accu())
    const step = build.call('_&&_', build.accu(), args[count] as Expr)
    return build.fold(target, vars, { init, condition, step, result: build.accu() })
  }
}

function exists(count: number): Expander {
  return (build, target, args) => {
    const vars = variables(args, count, SIMPLE_NAME)
    const init = build.literal(false)
    const condition = build.call('@not_strictly_false', build.call('!_', build.accu()))
    const step = build.call('_||_', build.accu(), args[count] as Expr)
    return build.fold(target, vars, { init, condition, step, result: build.accu() })
  }
}

function existsOne(count: number): Expander {
  return (build, target, args) => {
    const vars = variables(args, count, SIMPLE_NAME)
    const init = build.literal(0n)
    const condition = build.literal(true)
    const plusOne = build.call('_+_', build.accu(), build.literal(1n))
    const step = build.call('_?_:_', args[count] as Expr, plusOne, build.accu())
    const result = build.call('_==_', build.accu(), build.literal(1n))
    return build.fold(target, vars, { init, condition, step, result })
  }
}

/** map(x, f), map(x, filter, f), transformList(i, x, f), transformList(i, x, filter, f) */
function mapList(count: number, message: string): Expander {
  return (build, target, args) => {
    const vars = variables(args, count, message)
    const filter = args.length === count + 2 ? args[count] : undefined
    const element = args.at(-1) as Expr
    const init = build.list()
    const condition = build.literal(true)
    const added = build.call('_+_', build.accu(), build.list(element))
    const step = filter === undefined ? added : build.call('_?_:_', filter, added, build.accu())
    return build.fold(target, vars, { init, condition, step, result: build.accu() })
  }
}

const filterList: Expander = (build, target, args) => {
  const vars = variables(args, 1, NOT_IDENT)
  const init = build.list()
  const condition = build.literal(true)
  const added = build.call('_+_', build.accu(), build.list(args[0] as Expr))
  const step = build.call('_?_:_', args[1] as Expr, added, build.accu())
  return build.fold(target, vars, { init, condition, step, result: build.accu() })
}

/** transformMap keeps each key, transformMapEntry makes new entries. */
function transformMap(keepKey: boolean): Expander {
  return (build, target, args) => {
    const vars = variables(args, 2, SIMPLE_NAME)
    const filter = args.length === 4 ? args[2] : undefined
    const value = args.at(-1) as Expr
    const init = build.map()
    const condition = build.literal(true)
    const inserted = keepKey
      ? build.call('cel.@mapInsert', build.accu(), build.ident(vars[0]), value)
      : build.call('cel.@mapInsert', build.accu(), value)
    const step =
      filter === undefined ? inserted : build.call('_?_:_', filter, inserted, build.accu())
    return build.fold(target, vars, { init, condition, step, result: build.accu() })
  }
}

function optMap(flat: boolean): Expander {
  const macro = flat ? 'optFlatMap' : 'optMap'
  return (build, target, args) => {
    const [name, body] = args
    if (name?.kind !== 'ident') {
      throw new MacroError(`${macro}() variable name must be a simple identifier`, name?.id)
    }
    const value = build.member('value', build.copy(target))
    const bound = build.bind(name.name, value, body as Expr)
    const present = flat ? bound : build.call('optional.of', bound)
    return build.call(
      '_?_:_',
      build.member('hasValue', target),
      present,
      build.call('optional.none'),
    )
  }
}

const SORT_INPUT = '@__sortBy_input__'

const sortBy: Expander = (build, target, args) => {
  if (!['list', 'select', 'ident', 'comprehension', 'call'].includes(target.kind)) {
    throw new MacroError(
      'sortBy can only be applied to a list, identifier, comprehension, call or select expression',
      target.id,
    )
  }
  const keys = mapList(1, NOT_IDENT)(build, build.ident(SORT_INPUT), args) as Expr
  const sorted = build.member('@sortByAssociatedKeys', build.ident(SORT_INPUT), keys)
  return build.bind(SORT_INPUT, target, sorted)
}

const bind: Expander = (build, target, args) => {
  if (target.kind !== 'ident' || target.name !== 'cel') return undefined
  const name = args[0] as Expr
  if (name.kind !== 'ident') {
    throw new MacroError('cel.bind() variable names must be simple identifiers', name.id)
  }
  return build.bind(name.name, args[1] as Expr, args[2] as Expr)
}

/** Macros of the language, optional types, two-variable comprehensions and lists.sortBy. */
export const KUBERNETES_MACROS: MacroSet = new Map<string, Expander>([
  ['has/1/false', has],
  ['all/2/true', all(1)],
  ['exists/2/true', exists(1)],
  ['exists_one/2/true', existsOne(1)],
  ['existsOne/2/true', existsOne(1)],
  ['map/2/true', mapList(1, NOT_IDENT)],
  ['map/3/true', mapList(1, NOT_IDENT)],
  ['filter/2/true', filterList],
  ['all/3/true', all(2)],
  ['exists/3/true', exists(2)],
  ['exists_one/3/true', existsOne(2)],
  ['existsOne/3/true', existsOne(2)],
  ['transformList/3/true', mapList(2, SIMPLE_NAME)],
  ['transformList/4/true', mapList(2, SIMPLE_NAME)],
  ['transformMap/3/true', transformMap(true)],
  ['transformMap/4/true', transformMap(true)],
  ['transformMapEntry/3/true', transformMap(false)],
  ['transformMapEntry/4/true', transformMap(false)],
  ['optMap/2/true', optMap(false)],
  ['optFlatMap/2/true', optMap(true)],
  ['sortBy/2/true', sortBy],
])

/** Kubernetes offers cel.bind to selectors of devices only; the conformance suite has it too. */
export const ALL_MACROS: MacroSet = new Map([...KUBERNETES_MACROS, ['bind/3/true', bind]])
