// Gives every node of a tree a type and every call its overloads, or reports why it can not. Called
// by compile.ts; uses unify.ts. Typing is gradual: dyn fits everything and is checked at run time.
// Ref: cel-go/checker/checker.go

import type {
  Call,
  Comprehension,
  Expr,
  ListLiteral,
  MapLiteral,
  Select,
  StructLiteral,
} from './ast.ts'
import {
  ANY,
  BOOL,
  BYTES,
  type CelType,
  DOUBLE,
  DYN,
  ERROR,
  INT,
  isExactType,
  listOf,
  mapOf,
  NULL,
  optionalOf,
  paramType,
  STRING,
  TYPE_NAMES,
  typeOfType,
  UINT,
  unwrapOptional,
} from './cel-type.ts'
import type { FunctionDeclaration, FunctionSet, Overload } from './function.ts'
import { type Parsed, RESERVED } from './parser.ts'
import type { Source } from './source.ts'
import { assignAll, isDynOrError, mostGeneral, substitute } from './unify.ts'
import { CelUint, type CelValue } from './value.ts'

interface Environment {
  readonly functions: FunctionSet
  readonly variables: ReadonlyMap<string, CelType>
  /**
   * Names are looked up in this namespace and those around it first: `a.b` for `a.b.x`, `a.x`, `x`.
   */
  readonly container?: string
  /** Whether elements of a list or map literal must be of one type. */
  readonly homogeneousLiterals: boolean
  /** Types that expressions may construct objects of, beside those every expression knows. */
  readonly constructed?: (name: string) => CelType | undefined
}

/** What a name or call was resolved to. */
export type Reference =
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'type'; readonly type: CelType }
  | { readonly kind: 'function'; readonly overloads: readonly Overload[] }

export interface Checked {
  readonly expr: Expr
  readonly offsets: readonly number[]
  /** By node id. */
  readonly types: readonly CelType[]
  readonly references: ReadonlyMap<number, Reference>
}

/** Checks a parsed expression; problems are reported to `source`. */
export function check(parsed: Parsed, source: Source, environment: Environment): Checked {
  const checker = new Checker(parsed, source, environment)
  checker.check(parsed.expr)
  return checker.finish(parsed)
}

interface Scope {
  readonly outer: Scope | undefined
  readonly names: ReadonlyMap<string, CelType>
}

class Checker {
  readonly #offsets: readonly number[]
  readonly #source: Source
  readonly #environment: Environment
  readonly #types: CelType[] = []
  readonly #references = new Map<number, Reference>()
  readonly #bindings = new Map<string, CelType>()
  #scope: Scope | undefined
  #typeVariables = 0

  constructor(parsed: Parsed, source: Source, environment: Environment) {
    this.#offsets = parsed.offsets
    this.#source = source
    this.#environment = environment
  }

  finish(parsed: Parsed): Checked {
    const types = this.#types.map(type => type && substitute(this.#bindings, type, true))
    return { expr: parsed.expr, offsets: parsed.offsets, types, references: this.#references }
  }

  /** The type of an expression; error for one that was reported. */
  check(expr: Expr): CelType {
    const type = this.#checkNode(expr)
    this.#types[expr.id] = type
    return type
  }

  #checkNode(expr: Expr): CelType {
    switch (expr.kind) {
      case 'literal':
        return literalType(expr.value)
      case 'ident':
        return this.#checkIdent(expr, expr.name)
      case 'select':
        return this.#checkSelect(expr)
      case 'call':
        return this.#checkCall(expr)
      case 'list':
        return this.#checkList(expr)
      case 'map':
        return this.#checkMap(expr)
      case 'struct':
        return this.#checkStruct(expr)
      case 'comprehension':
        return this.#checkComprehension(expr)
      case 'broken':
        return ERROR
    }
  }

  #checkIdent(expr: Expr, name: string): CelType {
    const local = name.startsWith('.') ? undefined : this.#local(name)
    if (local !== undefined) {
      this.#references.set(expr.id, { kind: 'variable', name })
      return local
    }
    return this.#resolveGlobal(expr, name) ?? this.#undeclared(expr, name)
  }

  #undeclared(expr: Expr, name: string): CelType {
    const container = this.#environment.container ?? ''
    return this.#report(expr, `undeclared reference to '${name}' (in container '${container}')`)
  }

  #local(name: string): CelType | undefined {
    for (let scope = this.#scope; scope !== undefined; scope = scope.outer) {
      const type = scope.names.get(name)
      if (type !== undefined) return type
    }
    return undefined
  }

  /** Notes what a global name stands for: a variable or a type. */
  #resolveGlobal(expr: Expr, name: string): CelType | undefined {
    for (const candidate of this.#candidates(name)) {
      const variable = this.#environment.variables.get(candidate)
      if (variable !== undefined) {
        // A leading dot keeps a loop variable of the same name from hiding this one.
        this.#references.set(expr.id, { kind: 'variable', name: `.${candidate}` })
        return variable
      }
      const type = TYPE_NAMES.get(candidate) ?? this.#environment.constructed?.(candidate)
      if (type !== undefined) {
        this.#references.set(expr.id, { kind: 'type', type })
        return typeOfType(type)
      }
    }
    return undefined
  }

  #candidates(name: string): string[] {
    if (name.startsWith('.')) return [name.slice(1)]
    const names: string[] = []
    let container = this.#environment.container ?? ''
    while (container !== '') {
      names.push(`${container}.${name}`)
      container = container.slice(0, Math.max(0, container.lastIndexOf('.')))
    }
    return [...names, name]
  }

  #checkSelect(expr: Select): CelType {
    const path = expr.testOnly ? undefined : qualifiedName(expr)
    if (path !== undefined && this.#local(path.slice(0, path.indexOf('.', 1))) === undefined) {
      const global = this.#resolveGlobal(expr, path)
      if (global !== undefined) return global
    }
    const type = this.#fieldType(expr, expr.operand, expr.field, false)
    return expr.testOnly ? BOOL : substitute(this.#bindings, type, false)
  }

  #fieldType(expr: Expr, operand: Expr, field: string, optional: boolean): CelType {
    const operandType = substitute(this.#bindings, this.check(operand), false)
    const inner = unwrapOptional(operandType)
    const target = inner ?? operandType
    let result = DYN
    if (target.kind === 'map') {
      result = target.params[1] ?? DYN
    } else if (target.kind === 'struct') {
      result = this.#declaredField(expr, target, field)
    } else if (target.kind === 'param') {
      this.#assign(DYN, target)
    } else if (!isDynOrError(target)) {
      this.#report(expr, `type '${target}' does not support field selection`)
    }
    return inner !== undefined || optional ? optionalOf(result) : result
  }

  #declaredField(expr: Expr, target: CelType, field: string): CelType {
    // Reserved words may be written plainly where the grammar lets them stand.
    const { declaration } = target
    const escaped = RESERVED.has(field) ? declaration?.field?.(`__${field}__`) : undefined
    const declared = declaration?.field?.(field) ?? escaped
    if (declared !== undefined) return declared.type
    return this.#report(expr, `undefined field '${field}'`)
  }

  #checkCall(expr: Call): CelType {
    if (expr.fn === '_?._') return this.#checkOptionalSelect(expr)
    for (const arg of expr.args) this.check(arg)
    if (expr.target === undefined) {
      const declared = this.#function(expr.fn)
      if (declared === undefined) return this.#undeclared(expr, expr.fn)
      expr.fn = declared.name
      return this.#resolve(expr, declared)
    }
    const prefix = qualifiedName(expr.target)
    const namespaced = prefix === undefined ? undefined : this.#function(`${prefix}.${expr.fn}`)
    if (namespaced !== undefined) {
      expr.fn = namespaced.name
      expr.target = undefined
      return this.#resolve(expr, namespaced)
    }
    this.check(expr.target)
    const declared = this.#environment.functions.lookup(expr.fn)
    return declared === undefined ? this.#undeclared(expr, expr.fn) : this.#resolve(expr, declared)
  }

  #function(name: string): FunctionDeclaration | undefined {
    for (const candidate of this.#candidates(name)) {
      const declared = this.#environment.functions.lookup(candidate)
      if (declared !== undefined) return declared
    }
    return undefined
  }

  #checkOptionalSelect(expr: Call): CelType {
    const [operand, field] = expr.args as [Expr, Expr]
    if (field.kind !== 'literal' || typeof field.value !== 'string') {
      return this.#report(field, 'unsupported optional field selection')
    }
    this.check(field)
    const type = this.#fieldType(expr, operand, field.value, true)
    const declared = this.#environment.functions.lookup('_?._')
    this.#references.set(expr.id, { kind: 'function', overloads: declared?.overloads ?? [] })
    return substitute(this.#bindings, type, false)
  }

  #resolve(expr: Call, declared: FunctionDeclaration): CelType {
    const operands = expr.target === undefined ? expr.args : [expr.target, ...expr.args]
    const argTypes = operands.map(operand => this.#typeOf(operand))
    if (declared.name === '_&&_' || declared.name === '_||_') {
      return this.#resolveLogical(expr, declared, argTypes)
    }
    const matching: Overload[] = []
    let result: CelType | undefined
    for (const overload of declared.overloads) {
      if (overload.member !== (expr.target !== undefined)) continue
      const type = this.#tryOverload(overload, argTypes)
      if (type === undefined) continue
      matching.push(overload)
      if (result === undefined) result = type
      else if (result.kind !== 'dyn' && !isExactType(type, result)) result = DYN
    }
    if (result === undefined) return this.#noMatch(expr, declared, argTypes)
    this.#references.set(expr.id, { kind: 'function', overloads: matching })
    return result
  }

  #resolveLogical(expr: Call, declared: FunctionDeclaration, types: readonly CelType[]): CelType {
    let result = BOOL
    types.forEach((type, i) => {
      if (!this.#assign(type, BOOL)) result = this.#mismatch(expr.args[i] as Expr, BOOL, type)
    })
    this.#references.set(expr.id, { kind: 'function', overloads: declared.overloads })
    return result
  }

  /** The result type when the arguments fit; then what they imply about type parameters is kept. */
  #tryOverload(overload: Overload, argTypes: readonly CelType[]): CelType | undefined {
    if (overload.params.length !== argTypes.length) return undefined
    let { params, result } = overload
    if (overload.typeParams.length > 0) {
      const fresh = new Map(overload.typeParams.map(name => [name, this.#newTypeVariable()]))
      params = params.map(param => substitute(fresh, param, false))
      result = substitute(fresh, result, false)
    }
    if (!assignAll(this.#bindings, argTypes, params)) return undefined
    return substitute(this.#bindings, result, false)
  }

  #noMatch(expr: Call, declared: FunctionDeclaration, argTypes: readonly CelType[]): CelType {
    const printed = argTypes.map(type => substitute(this.#bindings, type, true).toString())
    const target = expr.target === undefined ? '' : `${printed.shift()}.`
    const signature = `${target}(${printed.join(', ')})`
    const applied = `'${declared.name}' applied to '${signature}'`
    return this.#report(expr, `found no matching overload for ${applied}`)
  }

  #checkList(expr: ListLiteral): CelType {
    let joined: CelType | undefined
    expr.elements.forEach((element, i) => {
      this.check(element)
      const optional = expr.optional.includes(i)
      joined = this.#join(element, joined, this.#entryType(element, optional))
    })
    return listOf(joined ?? this.#newTypeVariable())
  }

  /** An element's type; what stands behind `?` must be optional and counts as its content. */
  #entryType(expr: Expr, optional: boolean): CelType {
    const type = this.#typeOf(expr)
    if (!optional) return type
    const inner = unwrapOptional(type)
    if (inner === undefined && type.kind !== 'dyn') this.#mismatch(expr, optionalOf(type), type)
    return inner ?? type
  }

  #checkMap(expr: MapLiteral): CelType {
    let keys: CelType | undefined
    let values: CelType | undefined
    for (const entry of expr.entries) {
      this.check(entry.key)
      keys = this.#join(entry.key, keys, this.#typeOf(entry.key))
      this.check(entry.value)
      values = this.#join(entry.value, values, this.#entryType(entry.value, entry.optional))
    }
    const key = keys ?? this.#newTypeVariable()
    return mapOf(key, values ?? this.#newTypeVariable())
  }

  /** Objects of libraries and schemas have no constructor; those of patches do. */
  #checkStruct(expr: StructLiteral): CelType {
    const candidates = this.#candidates(expr.typeName)
    const constructed = candidates
      .map(name => this.#environment.constructed?.(name))
      .find(type => type !== undefined)
    if (constructed !== undefined) return this.#checkConstructed(expr, constructed)
    for (const field of expr.fields) this.check(field.value)
    const known = candidates.map(name => TYPE_NAMES.get(name)).find(type => type !== undefined)
    return known === undefined
      ? this.#undeclared(expr, expr.typeName)
      : this.#report(expr, `'${known.name}' is not a message type`)
  }

  #checkConstructed(expr: StructLiteral, type: CelType): CelType {
    this.#references.set(expr.id, { kind: 'type', type })
    for (const { name, value, optional } of expr.fields) {
      this.check(value)
      const declared = type.declaration?.field?.(name)?.type
      if (declared === undefined) {
        this.#report(value, `undefined field '${name}'`)
        continue
      }
      const given = this.#entryType(value, optional)
      if (this.#assign(declared, given)) continue
      const text = `expected type of field '${name}' is '${declared}' but provided type is '${given}'`
      this.#report(value, text)
    }
    return type
  }

  #checkComprehension(expr: Comprehension): CelType {
    const rangeType = this.check(expr.range)
    const accuType = this.check(expr.accuInit)
    const range = substitute(this.#bindings, rangeType, false)
    const outer = this.#scope
    const withAccu: Scope = { outer, names: new Map([[expr.accuVar, accuType]]) }
    const [first, second] = this.#iterationTypes(expr, range)
    const names = new Map([[expr.iterVar, first]])
    if (expr.iterVar2 !== undefined) names.set(expr.iterVar2, second)
    this.#scope = { outer: withAccu, names }
    this.#require(expr.condition, BOOL)
    this.#require(expr.step, accuType)
    this.#scope = withAccu
    const result = this.check(expr.result)
    this.#scope = outer
    return substitute(this.#bindings, result, false)
  }

  #iterationTypes(expr: Comprehension, range: CelType): [CelType, CelType] {
    const two = expr.iterVar2 !== undefined
    switch (range === ANY ? 'any' : range.kind) {
      case 'list': {
        const element = range.params[0] ?? DYN
        return two ? [INT, element] : [element, DYN]
      }
      case 'map':
        return [range.params[0] ?? DYN, range.params[1] ?? DYN]
      case 'dyn':
      case 'error':
      case 'param':
        this.#assign(DYN, range)
        return [DYN, DYN]
      default: {
        const allowed = '(must be list, map, or dynamic)'
        this.#report(
          expr.range,
          `expression of type '${range}' cannot be range of a comprehension ${allowed}`,
        )
        return [ERROR, ERROR]
      }
    }
  }

  #join(expr: Expr, previous: CelType | undefined, current: CelType): CelType {
    if (previous === undefined) return current
    if (this.#assign(previous, current)) return mostGeneral(previous, current)
    if (!this.#environment.homogeneousLiterals) return DYN
    return this.#mismatch(expr, previous, current)
  }

  #require(expr: Expr, type: CelType): void {
    const actual = this.check(expr)
    if (!this.#assign(type, actual)) this.#mismatch(expr, type, actual)
  }

  #assign(from: CelType, to: CelType): boolean {
    return from === to || assignAll(this.#bindings, [from], [to])
  }

  #newTypeVariable(): CelType {
    return paramType(`_var${this.#typeVariables++}`)
  }

  #typeOf(expr: Expr): CelType {
    return this.#types[expr.id] ?? ERROR
  }

  #mismatch(expr: Expr, expected: CelType, actual: CelType): CelType {
    return this.#report(expr, `expected type '${expected}' but found '${actual}'`)
  }

  /** Notes a problem; the expression then has the error type, which fits everywhere. */
  #report(expr: Expr, message: string): CelType {
    this.#source.report(this.#offsets[expr.id] ?? -1, message)
    return ERROR
  }
}

function literalType(value: CelValue): CelType {
  switch (typeof value) {
    case 'string':
      return STRING
    case 'boolean':
      return BOOL
    case 'bigint':
      return INT
    case 'number':
      return DOUBLE
    default:
      if (value === null) return NULL
      return value instanceof CelUint ? UINT : BYTES
  }
}

/** `a.b.c` of nested selections that start from an identifier. */
function qualifiedName(expr: Expr): string | undefined {
  if (expr.kind === 'ident') return expr.name
  if (expr.kind !== 'select' || expr.testOnly) return undefined
  const prefix = qualifiedName(expr.operand)
  return prefix === undefined ? undefined : `${prefix}.${expr.field}`
}
