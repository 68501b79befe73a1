// Functions an expression can call: overloads, the values they take, and the tables libraries list
// them in. Called by the checker (types), the interpreter (implementations) and every file in
// libraries/.

import { type CelType, readType, splitTypes } from './cel-type.ts'
import { CelError, CelList, type CelValue, typeOf } from './value.ts'

/** Arguments have been checked against the overload's types, so implementations declare those. */
export type Implementation = (...args: never[]) => CelValue

export interface Overload {
  readonly id: string
  readonly member: boolean
  /** The target comes first when `member`. */
  readonly params: readonly CelType[]
  readonly result: CelType
  readonly typeParams: readonly string[]
  /** Absent for what the interpreter does itself. */
  readonly implementation: ((...args: CelValue[]) => CelValue) | undefined
}

export interface FunctionDeclaration {
  readonly name: string
  readonly overloads: readonly Overload[]
}

/**
 * Functions of a library by name, their overloads by id, each with a signature and what it does:
 * `'string.(int) -> string'` is a member, `'(string) -> bool'` is not; A and B are type parameters.
 */
export type Library = Readonly<Record<string, FunctionTable>>

/** The overloads of one function by id. */
export type FunctionTable = Readonly<
  Record<string, readonly [signature: string, run?: Implementation]>
>

/** The functions of several libraries; each is read when first looked up. */
export class FunctionSet {
  readonly #libraries: readonly Library[]
  readonly #read = new Map<string, FunctionDeclaration | undefined>()

  constructor(libraries: readonly Library[]) {
    this.#libraries = libraries
  }

  lookup(name: string): FunctionDeclaration | undefined {
    if (!this.#read.has(name)) this.#read.set(name, this.#declare(name))
    return this.#read.get(name)
  }

  #declare(name: string): FunctionDeclaration | undefined {
    const overloads = this.#libraries.flatMap(library => {
      if (!Object.hasOwn(library, name)) return []
      return Object.entries(library[name] ?? {}).map(([id, entry]) => readOverload(id, ...entry))
    })
    return overloads.length === 0 ? undefined : { name, overloads }
  }
}

function readOverload(id: string, signature: string, run?: Implementation): Overload {
  const arrow = signature.lastIndexOf(' -> ')
  const left = signature.slice(0, arrow)
  const result = signature.slice(arrow + 4)
  const dot = left.lastIndexOf('.(')
  const member = dot >= 0
  const args = splitTypes(left.slice(member ? dot + 2 : 1, -1))
  const params = member ? [left.slice(0, dot), ...args] : args
  return {
    id,
    member,
    params: params.map(readType),
    result: readType(result),
    typeParams: [...new Set(signature.match(/\b[A-Z]\b/g))],
    implementation: run as ((...args: CelValue[]) => CelValue) | undefined,
  }
}

/** Kinds an aggregate's element is not asked for: nested aggregates are left to the function. */
const UNCHECKED_ELEMENTS: ReadonlySet<string> = new Set(['dyn', 'param', 'list', 'map'])

/**
 * Whether a value may be passed for a parameter: by kind, and for aggregates by their first
 * element.
 */
export function accepts(param: CelType, value: CelValue): boolean {
  if (value instanceof CelError) return false
  switch (param.kind) {
    case 'string':
      return typeof value === 'string'
    case 'int':
      return typeof value === 'bigint'
    case 'bool':
      return typeof value === 'boolean'
    case 'double':
      return typeof value === 'number'
    case 'dyn':
    case 'param':
      return true
    case 'list':
      return value instanceof CelList && acceptsFirst(param, value)
    default: {
      const type = typeOf(value)
      return type.kind === param.kind && type.name === param.name
    }
  }
}

function acceptsFirst(param: CelType, list: CelList): boolean {
  const element = param.params[0]
  if (element === undefined || UNCHECKED_ELEMENTS.has(element.kind)) return true
  return list.size === 0 || accepts(element, list.at(0))
}
