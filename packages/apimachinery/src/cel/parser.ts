// Reads tokens into a tree and expands macros on the way. Called by compile.ts; uses lexer.ts and
// macros.ts.
// Ref: cel-go/parser/parser.go

import type { Expr, MapEntry, StructField } from './ast.ts'
import { type Token, tokenize } from './lexer.ts'
import { expandMacro, MacroError, type MacroSet, type NodeFactory } from './macros.ts'
import type { Source } from './source.ts'
import { SyntaxFailure, startOr, startsExpression, unexpected } from './syntax-error.ts'
import { EscapeError, unquoteBytes, unquoteString } from './unquote.ts'
import { CelUint, fitsInt, fitsUint } from './value.ts'

/** cel-go's limits, which also bound our recursion. Ref: cel-go/parser/parser.go NewParser */
const MAX_DEPTH = 250
const MAX_CODE_POINTS = 100_000

/** Words of the grammar that can not name a variable. */
export const RESERVED: ReadonlySet<string> = new Set(
  (
    'as break const continue else false for function if import in let loop package namespace ' +
    'null return true var void while'
  ).split(' '),
)

export interface Parsed {
  readonly expr: Expr
  /** Offset of each node, by id. */
  readonly offsets: readonly number[]
}

/**
 * Reads the whole expression. Problems are reported to `source`; then the tree must not be used.
 */
export function parse(source: Source, macros: MacroSet): Parsed {
  const size = Array.from(source.text).length
  if (size > MAX_CODE_POINTS) {
    const limit = `size: ${size}, limit ${MAX_CODE_POINTS}`
    source.report(-1, `expression code point size exceeds limit: ${limit}`)
    return { expr: { kind: 'broken', id: 0 }, offsets: [] }
  }
  const parser = new Parser(source, macros)
  try {
    return { expr: parser.parseAll(), offsets: parser.offsets }
  } catch (error) {
    if (!(error instanceof SyntaxFailure)) throw error
    source.report(error.offset, error.message)
    return { expr: { kind: 'broken', id: 0 }, offsets: [] }
  }
}

/** Binary operators from the loosest to the tightest, below && and ||. */
const RELATIONS: Readonly<Record<string, string>> = {
  '==': '_==_',
  '!=': '_!=_',
  '<': '_<_',
  '<=': '_<=_',
  '>': '_>_',
  '>=': '_>=_',
  in: '@in',
}
const SUMS: Readonly<Record<string, string>> = { '+': '_+_', '-': '_-_' }
const PRODUCTS: Readonly<Record<string, string>> = { '*': '_*_', '/': '_/_', '%': '_%_' }

class Parser implements NodeFactory {
  readonly offsets: number[] = [0]
  readonly #source: Source
  readonly #macros: MacroSet
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0

  constructor(source: Source, macros: MacroSet) {
    this.#source = source
    this.#macros = macros
    this.#tokens = tokenize(source)
  }

  parseAll(): Expr {
    const expr = this.#expr()
    const token = this.#peek()
    if (token.kind !== 'end') {
      const single = this.#tokens[this.#at + 1]?.kind === 'end'
      this.#fail(token, unexpected(token, single, '<EOF>'))
    }
    return expr
  }

  newId(offset: number): number {
    this.offsets.push(offset)
    return this.offsets.length - 1
  }

  offsetOf(id: number): number {
    return this.offsets[id] ?? -1
  }

  #expr(): Expr {
    if (++this.#depth > MAX_DEPTH) {
      throw new SyntaxFailure(-1, `expression recursion limit exceeded: ${MAX_DEPTH}`)
    }
    const condition = this.#logical('||', '_||_', () =>
      this.#logical('&&', '_&&_', () => this.#relation()),
    )
    const question = this.#accept('?')
    let expr = condition
    if (question !== undefined) {
      const id = this.newId(question.offset)
      const whenTrue = this.#logical('||', '_||_', () =>
        this.#logical('&&', '_&&_', () => this.#relation()),
      )
      this.#expect(':')
      expr = {
        kind: 'call',
        id,
        fn: '_?_:_',
        target: undefined,
        args: [condition, whenTrue, this.#expr()],
      }
    }
    this.#depth--
    return expr
  }

  /** A chain of one logical operator, as a balanced tree so that long chains stay shallow. */
  #logical(symbol: string, fn: string, operand: () => Expr): Expr {
    const terms = [operand()]
    const ids: number[] = []
    for (let token = this.#accept(symbol); token !== undefined; token = this.#accept(symbol)) {
      terms.push(operand())
      ids.push(this.newId(token.offset))
    }
    return balance(fn, terms, ids, 0, ids.length - 1)
  }

  #relation(): Expr {
    return this.#binary(RELATIONS, () =>
      this.#binary(SUMS, () => this.#binary(PRODUCTS, () => this.#unary())),
    )
  }

  #binary(operators: Readonly<Record<string, string>>, operand: () => Expr): Expr {
    let left = operand()
    let chained = 0
    for (;;) {
      const token = this.#peek()
      const fn =
        token.kind === 'operator' || token.text === 'in' ? operators[token.text] : undefined
      if (fn === undefined) {
        this.#depth -= chained
        return left
      }
      chained++
      if (++this.#depth > MAX_DEPTH) throw new SyntaxFailure(-1, 'max recursion depth exceeded')
      this.#at++
      const id = this.newId(token.offset)
      left = { kind: 'call', id, fn, target: undefined, args: [left, operand()] }
    }
  }

  #unary(): Expr {
    const first = this.#peek()
    if (first.kind !== 'operator' || (first.text !== '!' && first.text !== '-'))
      return this.#member()
    let count = 0
    while (this.#peek().kind === 'operator' && this.#peek().text === first.text) {
      this.#at++
      count++
    }
    const after = this.#peek().kind
    if (first.text === '-' && count === 1 && (after === 'int' || after === 'double')) {
      return this.#postfix(this.#number(first))
    }
    if (count % 2 === 0) return this.#member()
    const id = this.newId(first.offset)
    const args = [this.#member()]
    return { kind: 'call', id, fn: first.text === '!' ? '!_' : '-_', target: undefined, args }
  }

  #member(): Expr {
    return this.#postfix(this.#primary())
  }

  /** Field selections, calls and indexing after a primary expression. */
  #postfix(primary: Expr): Expr {
    let expr = primary
    for (let steps = 0; ; steps++) {
      if (steps > MAX_DEPTH) throw new SyntaxFailure(-1, 'max recursion depth exceeded')
      const dot = this.#accept('.')
      if (dot !== undefined) {
        expr = this.#selection(expr, dot)
        continue
      }
      const bracket = this.#accept('[')
      if (bracket === undefined) return expr
      const fn = this.#accept('?') === undefined ? '_[_]' : '_[?_]'
      const id = this.newId(bracket.offset)
      const index = this.#exprOr(fn === '_[_]' ? ['?'] : [])
      this.#expect(']')
      expr = { kind: 'call', id, fn, target: undefined, args: [expr, index] }
    }
  }

  #selection(operand: Expr, dot: Token): Expr {
    const optional = this.#accept('?') !== undefined
    const token = this.#peek()
    if (token.kind !== 'ident' && token.kind !== 'escaped-ident') {
      if (optional) this.#fail(token, unexpected(token, false, '{IDENTIFIER, ESC_IDENTIFIER}'))
      this.#fail(
        token,
        `no viable alternative at input '.${token.kind === 'end' ? '' : token.text}'`,
      )
    }
    if (token.text === 'in') this.#fail(token, `no viable alternative at input '.in'`)
    if (KEYWORD_VALUES.has(token.text)) this.#fail(token, unexpected(token, false, 'IDENTIFIER'))
    this.#at++
    const field = token.kind === 'ident' ? token.text : token.text.slice(1, -1)
    const open = token.kind === 'ident' && !optional ? this.#accept('(') : undefined
    if (open !== undefined) {
      const id = this.newId(open.offset)
      return this.#call(id, field, operand, this.#list(')'))
    }
    const id = this.newId(dot.offset)
    if (!optional) return { kind: 'select', id, operand, field, testOnly: false }
    const name: Expr = { kind: 'literal', id: this.newId(token.offset), value: field }
    return { kind: 'call', id, fn: '_?._', target: undefined, args: [operand, name] }
  }

  #call(id: number, fn: string, target: Expr | undefined, args: readonly Expr[]): Expr {
    try {
      const expanded = expandMacro(this.#macros, this, { id, fn, target, args })
      return expanded ?? { kind: 'call', id, fn, target, args }
    } catch (error) {
      if (!(error instanceof MacroError)) throw error
      this.#source.report(this.offsetOf(error.nodeId ?? id), error.message)
      return { kind: 'broken', id }
    }
  }

  #primary(): Expr {
    const token = this.#peek()
    switch (token.kind) {
      case 'int':
      case 'uint':
      case 'double':
        return this.#number(undefined)
      case 'string':
      case 'bytes':
        return this.#quoted()
      case 'ident':
        return this.#identifier(undefined)
      case 'operator':
        return this.#bracketed(token)
      default:
        return this.#fail(token, unexpected(token, false, startOr()))
    }
  }

  #bracketed(token: Token): Expr {
    this.#at++
    switch (token.text) {
      case '.':
        return this.#identifier(token)
      case '(': {
        const inner = this.#expr()
        this.#expect(')')
        return inner
      }
      case '[':
        return this.#listLiteral(token)
      case '{':
        return this.#mapLiteral(token)
      default:
        this.#at--
        return this.#fail(token, unexpected(token, this.#isStray(), startOr()))
    }
  }

  /** Whether an expression would start if this token was left out. */
  #isStray(): boolean {
    return startsExpression(this.#tokens[this.#at + 1])
  }

  /** An expression where one of `others` may stand as well, which only errors tell. */
  #exprOr(others: readonly string[]): Expr {
    const token = this.#peek()
    if (startsExpression(token)) return this.#expr()
    return this.#fail(token, unexpected(token, this.#isStray(), startOr(...others)))
  }

  #identifier(dot: Token | undefined): Expr {
    const token = this.#peek()
    if (token.kind !== 'ident') {
      this.#fail(token, unexpected(token, false, 'IDENTIFIER'))
    }
    const keyword = dot === undefined ? this.#keyword(token) : undefined
    if (keyword !== undefined) return keyword
    this.#at++
    const struct = this.#structName(token, dot)
    if (struct !== undefined) return struct
    const start = dot?.offset ?? token.offset
    if (RESERVED.has(token.text)) {
      this.#source.report(start, `reserved identifier: ${token.text}`)
    }
    const name = dot === undefined ? token.text : `.${token.text}`
    const open = this.#accept('(')
    if (open !== undefined)
      return this.#call(this.newId(open.offset), name, undefined, this.#list(')'))
    return { kind: 'ident', id: this.newId(token.offset), name }
  }

  #keyword(token: Token): Expr | undefined {
    const value = KEYWORD_VALUES.get(token.text)
    if (value !== undefined) {
      this.#at++
      return { kind: 'literal', id: this.newId(token.offset), value }
    }
    if (token.text === 'in') {
      this.#fail(token, unexpected(token, this.#isStray(), startOr()))
    }
    return undefined
  }

  /** `a.b.C{...}`: only a brace after dotted names tells a struct from a selection. */
  #structName(first: Token, dot: Token | undefined): Expr | undefined {
    let at = this.#at
    let name = dot === undefined ? first.text : `.${first.text}`
    while (this.#isOperator(at, '.') && this.#tokens[at + 1]?.kind === 'ident') {
      name += `.${this.#tokens[at + 1]?.text}`
      at += 2
    }
    if (!this.#isOperator(at, '{')) return undefined
    this.#at = at
    const brace = this.#expect('{')
    const id = this.newId(brace.offset)
    return { kind: 'struct', id, typeName: name, fields: this.#fields() }
  }

  #fields(): StructField[] {
    const fields: StructField[] = []
    while (!this.#closes('}')) {
      const optional = this.#accept('?') !== undefined
      const token = this.#peek()
      if (token.kind !== 'ident' && token.kind !== 'escaped-ident') {
        this.#fail(
          token,
          `mismatched input '${token.text}' expecting {'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}`,
        )
      }
      this.#at++
      const name = token.kind === 'ident' ? token.text : token.text.slice(1, -1)
      const id = this.newId(this.#expect(':').offset)
      fields.push({ id, name, value: this.#expr(), optional })
      this.#endOfItem('}')
    }
    return fields
  }

  #listLiteral(open: Token): Expr {
    const id = this.newId(open.offset)
    const elements: Expr[] = []
    const optional: number[] = []
    while (!this.#closes(']')) {
      if (this.#accept('?') !== undefined) optional.push(elements.length)
      elements.push(elements.length === 0 ? this.#exprOr(['?', ']', ',']) : this.#expr())
      this.#endOfItem(']')
    }
    return { kind: 'list', id, elements, optional }
  }

  #mapLiteral(open: Token): Expr {
    const id = this.newId(open.offset)
    const entries: MapEntry[] = []
    while (!this.#closes('}')) {
      const optional = this.#accept('?') !== undefined
      const key = entries.length === 0 ? this.#exprOr(['?', '}', ',']) : this.#expr()
      const entryId = this.newId(this.#expect(':').offset)
      entries.push({ id: entryId, key, value: this.#expr(), optional })
      this.#endOfItem('}')
    }
    return { kind: 'map', id, entries }
  }

  /** Arguments up to the closing symbol, which is consumed. */
  #list(close: string): Expr[] {
    const items: Expr[] = []
    if (this.#accept(close) !== undefined) return items
    items.push(this.#exprOr([close]))
    while (this.#accept(',') !== undefined) items.push(this.#expr())
    this.#expect(close)
    return items
  }

  #number(sign: Token | undefined): Expr {
    const token = this.#peek()
    this.#at++
    const id = this.newId(sign?.offset ?? token.offset)
    const offset = this.offsetOf(id)
    if (token.kind === 'double') {
      const value = Number(token.text) * (sign === undefined ? 1 : -1)
      if (!Number.isFinite(value)) this.#source.report(offset, 'invalid double literal')
      return { kind: 'literal', id, value }
    }
    if (token.kind === 'uint') {
      const value = BigInt(token.text.slice(0, -1))
      if (!fitsUint(value)) this.#source.report(offset, 'invalid uint literal')
      return { kind: 'literal', id, value: new CelUint(value) }
    }
    const value = BigInt(token.text) * (sign === undefined ? 1n : -1n)
    if (!fitsInt(value)) this.#source.report(offset, 'invalid int literal')
    return { kind: 'literal', id, value }
  }

  #quoted(): Expr {
    const token = this.#peek()
    this.#at++
    const id = this.newId(token.offset)
    try {
      const value =
        token.kind === 'string' ? unquoteString(token.text) : unquoteBytes(token.text.slice(1))
      return { kind: 'literal', id, value }
    } catch (error) {
      if (!(error instanceof EscapeError)) throw error
      this.#source.report(token.offset, error.message)
      return { kind: 'broken', id }
    }
  }

  /** Consumes a closing symbol; a lone comma before it was consumed with the last element. */
  #closes(close: string): boolean {
    const lone = this.#isOperator(this.#at, ',') && this.#isOperator(this.#at + 1, close)
    if (lone) this.#at++
    return this.#accept(close) !== undefined
  }

  #peek(): Token {
    return this.#tokens[this.#at] as Token
  }

  #isOperator(at: number, text: string): boolean {
    const token = this.#tokens[at]
    return token?.kind === 'operator' && token.text === text
  }

  #accept(text: string): Token | undefined {
    if (!this.#isOperator(this.#at, text)) return undefined
    return this.#tokens[this.#at++]
  }

  /** A comma or the closing symbol, which is left where it is. */
  #endOfItem(close: string): void {
    if (this.#accept(',') !== undefined || this.#isOperator(this.#at, close)) return
    const token = this.#peek()
    const single = this.#isOperator(this.#at + 1, close)
    this.#fail(token, unexpected(token, single, `{'${close}', ','}`))
  }

  #expect(text: string): Token {
    const token = this.#peek()
    const accepted = this.#accept(text)
    if (accepted !== undefined) return accepted
    const single = this.#isOperator(this.#at + 1, text)
    // What follows could go on if only this symbol was there.
    const absent =
      text === ':' ? startsExpression(token) : token.kind === 'end' && this.#openBrackets() === 1
    if (!single && absent) this.#fail(token, `missing '${text}' at '${token.text}'`)
    return this.#fail(token, unexpected(token, single, `'${text}'`))
  }

  #openBrackets(): number {
    let open = 0
    for (const { kind, text } of this.#tokens.slice(0, this.#at)) {
      if (kind !== 'operator') continue
      if ('([{'.includes(text)) open++
      else if (')]}'.includes(text)) open--
    }
    return open
  }

  #fail(token: Token, message: string): never {
    throw new SyntaxFailure(token.offset, `Syntax error: ${message}`)
  }
}

/** Words the lexer gives a token of their own, so that they can not even be field names. */
const KEYWORD_VALUES: ReadonlyMap<string, boolean | null> = new Map<string, boolean | null>([
  ['true', true],
  ['false', false],
  ['null', null],
])

function balance(
  fn: string,
  terms: readonly Expr[],
  ids: readonly number[],
  low: number,
  high: number,
): Expr {
  if (ids.length === 0) return terms[0] as Expr
  const middle = Math.floor((low + high + 1) / 2)
  const left = middle === low ? terms[middle] : balance(fn, terms, ids, low, middle - 1)
  const right = middle === high ? terms[middle + 1] : balance(fn, terms, ids, middle + 1, high)
  const args = [left as Expr, right as Expr]
  return { kind: 'call', id: ids[middle] as number, fn, target: undefined, args }
}
