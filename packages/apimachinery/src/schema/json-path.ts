// kubectl's JSONPath, as far as printer columns use it: `.spec.hosts`, `.status.conditions[?(@.type=="Ready")].status`,
// `.items[0:2].name`, `.metadata.labels['a\.b']`. Called by the registry for columns, selectable fields and scale.
// Ref: client-go/util/jsonpath/{parser,jsonpath}.go

import { isInt64Literal, isJsonNumber, type JsonNumber, jsonInteger } from '../int64.ts'
import { isObject, type JsonValue } from '../json.ts'

/** Finds the values a path points at. Undefined: the path does not apply to this object (an index out of bounds). */
export type JsonPath = (object: JsonValue) => readonly JsonValue[] | undefined

export type CompiledJsonPath =
  | { readonly ok: true; readonly find: JsonPath }
  | { readonly ok: false; readonly error: string }

/** Compiles a path, without the braces around it. */
export function compileJsonPath(text: string): CompiledJsonPath {
  try {
    const steps = new PathParser(text).parse()
    return { ok: true, find: object => apply(steps, [object]) }
  } catch (error) {
    if (error instanceof PathSyntaxError) return { ok: false, error: error.message }
    throw error
  }
}

/** Follows a dotted path such as `.spec.replicas`; undefined where it leads nowhere. */
export function simplePath(text: string): (object: JsonValue) => JsonValue | undefined {
  const names = text.replace(/^\./, '').split('.')
  return object => {
    let value: JsonValue | undefined = object
    for (const name of names) {
      value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
    }
    return value
  }
}

class PathSyntaxError extends Error {
  override readonly name = 'PathSyntaxError'
}

interface Slice {
  readonly from: number | undefined
  readonly to: number | undefined
  readonly step: number | undefined
  /** `to` follows from a single index. */
  readonly single: boolean
}

type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'literal'; readonly value: JsonValue }
  | { readonly kind: 'wildcard' }
  | { readonly kind: 'recursive' }
  | { readonly kind: 'slice'; readonly slice: Slice }
  | { readonly kind: 'union'; readonly paths: readonly (readonly Step[])[] }
  | {
      readonly kind: 'filter'
      readonly left: readonly Step[]
      readonly operator: string
      readonly right: readonly Step[]
    }

const FIELD = /(?:\\[\s\S]|[^ \t\r\n.,[\]$@{}\\])*/y
const NUMBER = /[+-]?[\d.]+/y
const WORD = /[\p{L}\p{N}_][^ \t\r\n.,[\]$@{}]*/uy
const SLICE = /^(-?\d*)(:-?\d*)?(:-?\d*)?$/
const COMPARISON = /^([^!<>=]+)([!<>=]+)([\s\S]+)$/
const OPERATORS: ReadonlySet<string> = new Set(['<', '>', '==', '!=', '<=', '>='])

class PathParser {
  readonly #text: string
  #position = 0

  constructor(text: string) {
    this.#text = text
  }

  parse(): readonly Step[] {
    const steps: Step[] = []
    while (this.#position < this.#text.length) this.#next(steps)
    return steps
  }

  #next(steps: Step[]): void {
    const rest = this.#text.slice(this.#position)
    const char = rest[0]!
    if (rest.startsWith('[?(')) steps.push(this.#filter())
    else if (rest.startsWith('..')) {
      if (steps.at(-1)?.kind === 'recursive') {
        throw new PathSyntaxError('invalid multiple recursive descent')
      }
      this.#position += 2
      steps.push({ kind: 'recursive' })
      if (/^[\p{L}\p{N}_]/u.test(rest.slice(2))) steps.push(this.#field())
    } else if (char === ' ' || char === '@' || char === '$') this.#position++
    else if (char === '[') steps.push(...this.#brackets())
    else if (char === '"' || char === "'") steps.push(this.#quoted(char))
    else if (char === '.') {
      this.#position++
      steps.push(this.#field())
    } else if (/[+\-\d]/.test(char)) steps.push(this.#number())
    else steps.push(this.#word())
  }

  #take(expression: RegExp): string {
    expression.lastIndex = this.#position
    const text = expression.exec(this.#text)?.[0] ?? ''
    this.#position += text.length
    return text
  }

  #field(): Step {
    const name = this.#take(FIELD)
    return name === '*' ? { kind: 'wildcard' } : { kind: 'field', name: name.replaceAll('\\', '') }
  }

  #number(): Step {
    const text = this.#take(NUMBER)
    const value = Number(text)
    if (text === '' || Number.isNaN(value)) {
      throw new PathSyntaxError(`cannot parse number ${text}`)
    }
    return {
      kind: 'literal',
      value: isInt64Literal(text) ? jsonInteger(BigInt(text)) : value,
    }
  }

  #word(): Step {
    const word = this.#take(WORD)
    if (word === 'true' || word === 'false') return { kind: 'literal', value: word === 'true' }
    throw new PathSyntaxError(
      word === ''
        ? `unrecognized character in action: ${this.#text[this.#position]}`
        : `unrecognized identifier ${word}`,
    )
  }

  #quoted(quote: string): Step {
    const start = ++this.#position
    while (this.#text[this.#position] !== quote || this.#text[this.#position - 1] === '\\') {
      if (this.#position >= this.#text.length) {
        throw new PathSyntaxError('unterminated quoted string')
      }
      this.#position++
    }
    const text = this.#text.slice(start, this.#position++)
    return { kind: 'literal', value: text.replace(/\\(.)/g, '$1') }
  }

  #brackets(): readonly Step[] {
    const end = this.#text.indexOf(']', this.#position)
    if (end < 0) throw new PathSyntaxError('unterminated array')
    const inner = this.#text.slice(this.#position + 1, end)
    this.#position = end + 1
    const parts = inner.split(',')
    if (parts.length > 1) {
      const paths = parts.map(part => new PathParser(`[${part.trim()}]`).parse())
      return [{ kind: 'union', paths }]
    }
    const key = /^'([^']*)'$/.exec(inner)
    if (key !== null) return new PathParser(`.${key[1]}`).parse()
    return [{ kind: 'slice', slice: parseSlice(inner === '*' ? ':' : inner) }]
  }

  #filter(): Step {
    this.#position += 3
    const start = this.#position
    let quote: string | undefined
    while (this.#text[this.#position] !== ')' || quote !== undefined) {
      const char = this.#text[this.#position]
      if (char === undefined) throw new PathSyntaxError('unterminated filter')
      if (quote === undefined && (char === '"' || char === "'")) quote = char
      else if (char === quote && this.#text[this.#position - 1] !== '\\') quote = undefined
      this.#position++
    }
    const inner = this.#text.slice(start, this.#position++)
    if (this.#text[this.#position++] !== ']') {
      throw new PathSyntaxError('unclosed array expect ]')
    }
    const comparison = COMPARISON.exec(inner)
    if (comparison === null) {
      return { kind: 'filter', left: new PathParser(inner).parse(), operator: 'exists', right: [] }
    }
    const [, left = '', operator = '', right = ''] = comparison
    const parse = (text: string): readonly Step[] => new PathParser(text).parse()
    return { kind: 'filter', left: parse(left), operator, right: parse(right) }
  }
}

function parseSlice(text: string): Slice {
  const match = SLICE.exec(text)
  if (match === null) throw new PathSyntaxError(`invalid array index ${text}`)
  const number = (part: string | undefined): number | undefined =>
    part === undefined || part === '' ? undefined : Number(part)
  const from = number(match[1])
  if (match[2] === undefined) {
    return { from, to: (from ?? 0) + 1, step: number(match[3]?.slice(1)), single: true }
  }
  const step = number(match[3]?.slice(1))
  return { from, to: number(match[2].slice(1)), step, single: false }
}

type Values = readonly JsonValue[]

function apply(steps: readonly Step[], values: Values): Values | undefined {
  let current: Values | undefined = values
  for (const step of steps) {
    current = applyStep(step, current)
    if (current === undefined) return undefined
  }
  return current
}

function applyStep(step: Step, values: Values): Values | undefined {
  switch (step.kind) {
    case 'field':
      return values.flatMap(value => {
        const found =
          isObject(value) && Object.hasOwn(value, step.name) ? value[step.name] : undefined
        return found === undefined ? [] : [found]
      })
    case 'literal':
      return [step.value]
    case 'wildcard':
      return values.flatMap(childrenOf)
    case 'recursive':
      return values.flatMap(descendantsOf)
    case 'slice':
      return flatten(values, value => sliceOf(value, step.slice))
    case 'union':
      return flatten(step.paths, path => apply(path, values))
    case 'filter':
      return flatten(values, value =>
        Array.isArray(value) ? value.filter(item => passes(item, step)) : undefined,
      )
  }
}

function flatten<T>(items: readonly T[], map: (item: T) => Values | undefined): Values | undefined {
  const out: JsonValue[] = []
  for (const item of items) {
    const found = map(item)
    if (found === undefined) return undefined
    out.push(...found)
  }
  return out
}

function childrenOf(value: JsonValue): Values {
  if (Array.isArray(value)) return value
  return isObject(value) ? Object.values(value).filter(child => child !== undefined) : []
}

/** The value itself and everything in it that has children of its own. */
function descendantsOf(value: JsonValue): Values {
  const children = childrenOf(value)
  return children.length === 0 ? [] : [value, ...children.flatMap(descendantsOf)]
}

function sliceOf(value: JsonValue, slice: Slice): Values | undefined {
  if (value === null) return []
  if (!Array.isArray(value)) return undefined
  const { length } = value
  const from = (slice.from ?? 0) < 0 ? (slice.from ?? 0) + length : (slice.from ?? 0)
  const end = slice.to ?? length
  const to = end < 0 || (end === 0 && slice.single) ? end + length : end
  if (from === to) return []
  if (from >= length || from < 0 || to > length || to < 0 || from > to) return undefined
  const step = slice.step ?? 1
  if (step <= 0) return undefined
  return value.slice(from, to).filter((_, i) => i % step === 0)
}

function passes(item: JsonValue, filter: Extract<Step, { kind: 'filter' }>): boolean {
  const left = apply(filter.left, [item])
  if (filter.operator === 'exists') return left !== undefined && left.length > 0
  const right = apply(filter.right, [item])
  if (left?.length !== 1 || right?.length !== 1 || !OPERATORS.has(filter.operator)) return false
  return compare(left[0]!, right[0]!, filter.operator)
}

/** Only values of one kind compare, as in Go's templates. */
function compare(a: JsonValue, b: JsonValue, operator: string): boolean {
  const isComparable = typeof a === typeof b || (isJsonNumber(a) && isJsonNumber(b))
  if (!isComparable || typeof a === 'object') return false
  const scalar = (value: JsonValue): string | JsonNumber =>
    typeof value === 'boolean' ? Number(value) : (value as string | JsonNumber)
  const [x, y] = [scalar(a), scalar(b)]
  switch (operator) {
    case '==':
      return x === y
    case '!=':
      return x !== y
    case '<':
      return x < y
    case '>':
      return x > y
    case '<=':
      return x <= y
    default:
      return x >= y
  }
}
