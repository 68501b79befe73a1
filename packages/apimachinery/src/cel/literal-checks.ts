// Checks of a typed tree that need no data: literals that can not be a duration, timestamp or regular expression,
// formats that do not fit their arguments, and aggregates of mixed types. Called by compile.ts. Ref: cel-go/cel/validator.go

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
  visit(checked.expr, false)

  function visit(expr: Expr, inFormat: boolean): void {
    if (expr.kind === 'call') checkArguments(expr)
    if (expr.kind === 'call' && expr.fn === 'format') checkFormat(expr)
    if (!inFormat && expr.kind === 'list') checkList(expr)
    if (!inFormat && expr.kind === 'map') checkMap(expr)
    const exempt = inFormat || (expr.kind === 'call' && expr.fn === 'format')
    for (const child of childrenOf(expr)) visit(child, exempt)
  }

  function checkArguments(expr: Call): void {
    const read = LITERAL_ARGUMENTS[expr.fn]
    const arg = expr.args[0]
    if (read === undefined || arg?.kind !== 'literal') return
    if (read(arg.value) instanceof CelError) report(arg, `invalid ${expr.fn} argument`)
  }

  function checkFormat(expr: Call): void {
    const text = expr.target
    const args = expr.args[0]
    if (text?.kind !== 'literal' || typeof text.value !== 'string') return
    if (args?.kind === 'list') checkFormatArguments(expr, text.value, args.elements)
  }

  function checkFormatArguments(expr: Call, text: string, args: readonly Expr[]): void {
    const { parts, problem } = readFormat(text, args.length)
    const clauses = parts.filter(part => typeof part !== 'string')
    for (const [i, { verb }] of clauses.entries()) {
      const bad = misfit(args[i] as Expr, VERB_KINDS[verb], verb === 's')
      if (bad === undefined) continue
      const why = `${VERB_ERRORS[verb]}, was given ${typeOf(bad, false).name}`
      report(bad, `error during formatting: ${why}`)
      return
    }
    if (problem !== undefined) report(expr, problem.message)
    else if (args.length > clauses.length) {
      const counts = `(expected ${clauses.length}, got ${args.length})`
      report(expr, `too many arguments supplied to string.format ${counts}`)
    }
  }

  /** The expression whose type a clause can not print; literals are looked into when `deep`. */
  function misfit(expr: Expr, kinds: ReadonlySet<string>, deep: boolean): Expr | undefined {
    const { kind } = typeOf(expr, false)
    if (kind !== 'dyn' && !kinds.has(kind)) return expr
    if (!deep || (expr.kind !== 'list' && expr.kind !== 'map')) return undefined
    for (const child of childrenOf(expr)) {
      const bad = misfit(child, kinds, deep)
      if (bad !== undefined) return bad
    }
    return undefined
  }

  function checkList(expr: ListLiteral): void {
    let expected: CelType | undefined
    for (const [i, element] of expr.elements.entries()) {
      const type = typeOf(element, expr.optional.includes(i))
      expected ??= type
      if (!isEquivalent(expected, type)) {
        mismatch(element, expected, type)
        return
      }
    }
  }

  function checkMap(expr: MapLiteral): void {
    let key: CelType | undefined
    let value: CelType | undefined
    for (const entry of expr.entries) {
      const keyType = typeOf(entry.key, false)
      const valueType = typeOf(entry.value, entry.optional)
      key ??= keyType
      value ??= valueType
      if (!isEquivalent(key, keyType)) mismatch(entry.key, key, keyType)
      if (!isEquivalent(value, valueType)) mismatch(entry.value, value, valueType)
    }
  }

  function typeOf(expr: Expr, optional: boolean): CelType {
    const type = checked.types[expr.id] as CelType
    return optional ? (type.params[0] ?? type) : type
  }

  function mismatch(expr: Expr, expected: CelType, actual: CelType): void {
    report(expr, `expected type '${expected}' but found '${actual}'`)
  }

  function report(expr: Expr, message: string): void {
    source.report(checked.offsets[expr.id] ?? -1, message)
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
