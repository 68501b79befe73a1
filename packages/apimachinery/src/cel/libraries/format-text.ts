// string.format: %s %d %f %e %b %x %X %o, with an optional precision. Called by strings.ts and
// literal-checks.ts.
// Ref: cel-go/ext/formatting.go

import { CelType } from '../cel-type.ts'
import { printFixed, printDouble as printShortest } from '../number-text.ts'
import { printDuration, printTimestamp } from '../time.ts'
import {
  CelDuration,
  CelError,
  CelList,
  CelMap,
  CelTimestamp,
  CelUint,
  type CelValue,
  typeOf,
} from '../value.ts'

const DEFAULT_PRECISION = 6
/** What JavaScript prints, and far more than a double holds. */
const MAX_PRECISION = 100

export type Verb = 's' | 'd' | 'f' | 'e' | 'b' | 'x' | 'X' | 'o'

export interface Clause {
  readonly verb: Verb
  readonly precision: number
}

/** Literal texts and clauses in order, and what is wrong with the text behind them. */
export interface Format {
  readonly parts: readonly (string | Clause)[]
  readonly problem?: CelError
}

export function readFormat(text: string, argCount: number): Format {
  const parts: (string | Clause)[] = []
  let args = 0
  let from = 0
  for (let at = text.indexOf('%'); at >= 0; at = text.indexOf('%', from)) {
    if (at > from) parts.push(text.slice(from, at))
    if (text[at + 1] === '%') {
      parts.push('%')
      from = at + 2
      continue
    }
    if (args >= argCount) return { parts, problem: new CelError(`index ${args} out of range`) }
    if (at + 1 >= text.length) return { parts, problem: new CelError('unexpected end of string') }
    const clause = readClause(text, at + 1)
    if (clause instanceof CelError) return { parts, problem: clause }
    parts.push(clause.clause)
    args++
    from = clause.end
  }
  if (from < text.length) parts.push(text.slice(from))
  return { parts }
}

function readClause(text: string, start: number): { clause: Clause; end: number } | CelError {
  let at = start
  let precision = DEFAULT_PRECISION
  if (text[at] === '.') {
    const digits = /^[0-9]*/.exec(text.slice(at + 1))?.[0] ?? ''
    at += 1 + digits.length
    if (at >= text.length) return unreadable('could not find end of precision specifier')
    if (digits === '') {
      const why = 'error while converting precision to integer: strconv.Atoi: parsing ""'
      return unreadable(`${why}: invalid syntax`)
    }
    precision = Math.min(Number(digits), MAX_PRECISION)
  }
  const verb = String.fromCodePoint(text.codePointAt(at) ?? 0)
  if (!isVerb(verb)) {
    return new CelError(
      `could not parse formatting clause: unrecognized formatting clause "${verb}"`,
    )
  }
  return { clause: { verb, precision }, end: at + 1 }
}

function unreadable(why: string): CelError {
  return new CelError(`could not parse formatting clause: error while parsing precision: ${why}`)
}

function isVerb(text: string): text is Verb {
  return text.length === 1 && 'sdfebxXo'.includes(text)
}

/** Fills a format's clauses with the elements of a list. */
export function formatText(text: string, args: CelList): CelValue {
  const { parts, problem } = readFormat(text, args.size)
  let result = ''
  let index = 0
  for (const part of parts) {
    if (typeof part === 'string') {
      result += part
      continue
    }
    const arg = args.at(index++)
    if (arg instanceof CelError) return arg
    const printed = formatClause(part, arg)
    if (printed instanceof CelError) {
      return new CelError(`error during formatting: ${printed.message}`)
    }
    result += printed
  }
  return problem ?? result
}

/** What each verb's clause takes, as its error says it. */
export const VERB_ERRORS: Readonly<Record<Verb, string>> = {
  s: 'string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps',
  d: 'decimal clause can only be used on integers',
  f: 'fixed-point clause can only be used on doubles',
  e: 'scientific clause can only be used on doubles',
  b: 'only integers and bools can be formatted as binary',
  x: 'only integers, byte buffers, and strings can be formatted as hex',
  X: 'only integers, byte buffers, and strings can be formatted as hex',
  o: 'octal clause can only be used on integers',
}

function formatClause({ verb, precision }: Clause, value: CelValue): string | CelError {
  const printed = print(verb, precision, value)
  return printed ?? new CelError(`${VERB_ERRORS[verb]}, was given ${typeOf(value).name}`)
}

function print(verb: Verb, precision: number, value: CelValue): string | CelError | undefined {
  const integer =
    typeof value === 'bigint' ? value : value instanceof CelUint ? value.value : undefined
  switch (verb) {
    case 's':
      return printText(value)
    case 'd':
      return integer?.toString()
    case 'b':
      return typeof value === 'boolean' ? String(Number(value)) : integer?.toString(2)
    case 'o':
      return integer?.toString(8)
    case 'x':
      return printHex(value, integer)
    case 'X':
      return printHex(value, integer)?.toUpperCase()
    default: {
      const number = doubleOf(value)
      return number === undefined ? undefined : printDouble(number, verb, precision)
    }
  }
}

function printHex(value: CelValue, integer: bigint | undefined): string | undefined {
  if (typeof value === 'string') return Buffer.from(value).toString('hex')
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : integer?.toString(16)
}

const SPECIAL: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
}

function doubleOf(value: CelValue): number | undefined {
  return typeof value === 'string' ? SPECIAL[value] : typeof value === 'number' ? value : undefined
}

/** With digit grouping and typographic exponents, as the locale en_US has them upstream. */
function printDouble(value: number, verb: 'f' | 'e', precision: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞'
  if (verb === 'f') return groupDigits(printFixed(value, precision))
  const [digits, exponent] = value.toExponential(precision).split('e') as [string, string]
  const power = Math.abs(Number(exponent)).toString().padStart(2, '0')
  const sign = Number(exponent) < 0 ? '\u207b' : ''
  const raised = Array.from(power, digit => SUPERSCRIPTS[Number(digit)])
  return `${digits}×10${sign}${raised.join('')}`
}

function groupDigits(text: string): string {
  const [whole, fraction] = text.split('.') as [string, string?]
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',')
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}

const SUPERSCRIPTS = Array.from('⁰¹²³⁴⁵⁶⁷⁸⁹')

function printText(value: CelValue): string | CelError | undefined {
  switch (typeof value) {
    case 'string':
      return value
    case 'boolean':
    case 'bigint':
      return String(value)
    case 'number':
      return printShortest(value)
    default:
      return value === null ? 'null' : printObject(value)
  }
}

function printObject(value: object): string | CelError | undefined {
  if (value instanceof CelUint) return String(value.value)
  if (value instanceof CelDuration) return printDuration(value)
  if (value instanceof CelTimestamp) return printTimestamp(value)
  if (value instanceof CelType) return value.name
  if (value instanceof Uint8Array) return Buffer.from(value).toString()
  if (value instanceof CelList) return printList(value)
  return value instanceof CelMap ? printMap(value) : undefined
}

function printList(list: CelList): string | CelError {
  const items: string[] = []
  for (const item of list) {
    const printed = printNested(item)
    if (printed instanceof CelError) return printed
    items.push(printed)
  }
  return `[${items.join(', ')}]`
}

function printMap(map: CelMap): string | CelError {
  const entries: string[] = []
  for (const key of map.keys()) {
    const printedKey = printNested(key)
    if (printedKey instanceof CelError) return printedKey
    const printed = printNested(map.find(key) as CelValue)
    if (printed instanceof CelError) return printed
    entries.push(`${printedKey}:${printed}`)
  }
  return `{${entries.sort().join(', ')}}`
}

/** Inside lists and maps texts are quoted and doubles have six decimals. */
function printNested(value: CelValue): string | CelError {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') {
    return Number.isFinite(value)
      ? printFixed(value, DEFAULT_PRECISION)
      : `"${printShortest(value)}"`
  }
  if (value instanceof CelDuration) return `duration("${printDuration(value)}")`
  if (value instanceof CelTimestamp) return `timestamp("${printTimestamp(value)}")`
  if (value instanceof Uint8Array) return `b${JSON.stringify(Buffer.from(value).toString())}`
  return printText(value) ?? new CelError(`no formatting function for ${typeOf(value).name}`)
}
