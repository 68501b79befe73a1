// Checks of a typed tree that need no data: literals that can not be a duration, timestamp or
// regular expression, formats that do not fit their arguments, and aggregates of mixed types.
// Called by compile.ts. Ref: cel-go/cel/validator.go

import { type Call, childrenOf, type Expr, type ListLiteral, type MapLiteral } from './ast.ts'
import type { CelType } from './cel-type.ts'
import type { Checked } from './checker.ts'
import { readFormat, VERB_ERRORS, type Verb } from './libraries/format-text.ts'
import { compileRegex } from './regex.ts'
import type { Source } from './source.ts'
import { readDuration, readTimestamp, timestampOfSeconds } from './time.ts'
import { CelError, type CelValue } from './value.ts'

/** What a function reads from a literal first argument. */
const LITERAL_ARGUMENTS: Readonly<Record<string, (literal: CelValue) => unknown>> = {
  duration: value =>
    typeof value === 'string' ? readDuration(value) : new CelError('not a duration'),
  timestamp: value =>
    typeof value === 'bigint'
      ? timestampOfSeconds(value)
      : typeof value === 'string' && readTimestamp(value),
  matches: value => typeof value === 'string' && compileRegex(value),
}

const VERB_KINDS: Readonly<Record<Verb, ReadonlySet<string>>> = {
  s: new Set([
    ...['list', 'map', 'int', 'uint', 'double', 'bool', 'string', 'bytes'],
    ...['timestamp', 'duration', 'type', 'null'],
  ]),
  d: new Set(['int', 'uint']),
  f: new Set(['double', 'string']),
  e: new Set(['double', 'string']),
  b: new Set(['int', 'uint', 'bool']),
  x: new Set(['int', 'uint', 'string', 'bytes']),
  X: new Set(['int', 'uint', 'string', 'bytes']),
  o: new Set(['int', 'uint']),
}

/** Reports literals no evaluation could succeed with. */
export function checkLiterals(checked: Checked, source: Source): void {
  new LiteralChecker(checked, source).visit(checked.expr, false)
}

class LiteralChecker {
  readonly #checked: Checked
  readonly #source: Source

  constructor(checked: Checked, source: Source) {
    this.#checked = checked
    this.#source = source
  }

  visit(expr: Expr, inFormat: boolean): void {
    if (expr.kind === 'call') this.#checkArguments(expr)
    if (expr.kind === 'call' && expr.fn === 'format') this.#checkFormat(expr)
    if (!inFormat && expr.kind === 'list') this.#checkList(expr)
    if (!inFormat && expr.kind === 'map') this.#checkMap(expr)
    const exempt = inFormat || (expr.kind === 'call' && expr.fn === 'format')
    for (const child of childrenOf(expr)) this.visit(child, exempt)
  }

  #checkArguments(expr: Call): void {
    const read = LITERAL_ARGUMENTS[expr.fn]
    const arg = expr.args[0]
    if (read === undefined || arg?.kind !== 'literal') return
    if (read(arg.value) instanceof CelError) this.#report(arg, `invalid ${expr.fn} argument`)
  }

  #checkFormat(expr: Call): void {
    const text = expr.target
    const args = expr.args[0]
    if (text?.kind !== 'literal' || typeof text.value !== 'string') return
    if (args?.kind === 'list') this.#checkFormatArguments(expr, text.value, args.elements)
  }

  #checkFormatArguments(expr: Call, text: string, args: readonly Expr[]): void {
    const { parts, problem } = readFormat(text, args.length)
    const clauses = parts.filter(part => typeof part !== 'string')
    for (const [i, { verb }] of clauses.entries()) {
      const bad = this.#misfit(args[i] as Expr, VERB_KINDS[verb], verb === 's')
      if (bad === undefined) continue
      const why = `${VERB_ERRORS[verb]}, was given ${this.#typeOf(bad, false).name}`
      this.#report(bad, `error during formatting: ${why}`)
      return
    }
    if (problem !== undefined) this.#report(expr, problem.message)
    else if (args.length > clauses.length) {
      const counts = `(expected ${clauses.length}, got ${args.length})`
      this.#report(expr, `too many arguments supplied to string.format ${counts}`)
    }
  }

  /** The expression whose type a clause can not print; literals are looked into when `deep`. */
  #misfit(expr: Expr, kinds: ReadonlySet<string>, deep: boolean): Expr | undefined {
    const { kind } = this.#typeOf(expr, false)
    if (kind !== 'dyn' && !kinds.has(kind)) return expr
    if (!deep || (expr.kind !== 'list' && expr.kind !== 'map')) return undefined
    for (const child of childrenOf(expr)) {
      const bad = this.#misfit(child, kinds, deep)
      if (bad !== undefined) return bad
    }
    return undefined
  }

  #checkList(expr: ListLiteral): void {
    let expected: CelType | undefined
    for (const [i, element] of expr.elements.entries()) {
      const type = this.#typeOf(element, expr.optional.includes(i))
      expected ??= type
      if (!isEquivalent(expected, type)) {
        this.#mismatch(element, expected, type)
        return
      }
    }
  }

  #checkMap(expr: MapLiteral): void {
    let key: CelType | undefined
    let value: CelType | undefined
    for (const entry of expr.entries) {
      const keyType = this.#typeOf(entry.key, false)
      const valueType = this.#typeOf(entry.value, entry.optional)
      key ??= keyType
      value ??= valueType
      if (!isEquivalent(key, keyType)) this.#mismatch(entry.key, key, keyType)
      if (!isEquivalent(value, valueType)) this.#mismatch(entry.value, value, valueType)
    }
  }

  #typeOf(expr: Expr, optional: boolean): CelType {
    const type = this.#checked.types[expr.id] as CelType
    return optional ? (type.params[0] ?? type) : type
  }

  #mismatch(expr: Expr, expected: CelType, actual: CelType): void {
    this.#report(expr, `expected type '${expected}' but found '${actual}'`)
  }

  #report(expr: Expr, message: string): void {
    this.#source.report(this.#checked.offsets[expr.id] ?? -1, message)
  }
}

/** Equal but for type parameters, which match each other. */
function isEquivalent(a: CelType, b: CelType): boolean {
  return (
    a.kind === b.kind &&
    a.name === b.name &&
    a.params.length === b.params.length &&
    a.params.every((param, i) => isEquivalent(param, b.params[i] as CelType))
  )
}
