// What a YAML scalar means to go-yaml v2, which reads YAML 1.1: `yes` is true, `0777` is octal, `1_000` a number,
// and dates stay text. Called by yaml.ts. Ref: go.yaml.in/yaml/v2 resolve.go

import { DecodeError } from './decode-error.ts'

export type ScalarValue = string | number | boolean | null | bigint

const TRUE = ['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON']
const FALSE = ['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF']
const NULL = ['', '~', 'null', 'Null', 'NULL']
const WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ...TRUE.map(word => [word, true] as const),
  ...FALSE.map(word => [word, false] as const),
  ...NULL.map(word => [word, null] as const),
])
const NOT_FINITE = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/
const INTEGER_FORMS: readonly (readonly [RegExp, string])[] = [
  [/^[-+]?0[xX]([0-9a-fA-F]+)$/, '0x'],
  [/^[-+]?0[bB]([01]+)$/, '0b'],
  [/^[-+]?0[oO]?([0-7]+)$/, '0o'],
  [/^[-+]?(0|[1-9][0-9]*)$/, ''],
]
const UINT64_MAX = 2n ** 64n - 1n
const INT64_MIN = -(2n ** 63n)

const TAG_PREFIX = 'tag:yaml.org,2002:'

/**
 * The value of a scalar: its text, whether it was quoted or a block, and its tag ('' for none).
 * Integers beyond what a number holds come as bigint. Throws DecodeError for infinities and for a tag that does not fit.
 */
export function scalarValue(text: string, quoted: boolean, tag: string): ScalarValue {
  const short = tag.startsWith(TAG_PREFIX) ? `!!${tag.slice(TAG_PREFIX.length)}` : tag
  if (short === '!!binary') return Buffer.from(text, 'base64').toString()
  if (short === '!!str' || short === '!' || (quoted && short === '')) return text
  if (short !== '' && !['!!bool', '!!int', '!!float', '!!null', '!!timestamp'].includes(short)) {
    return text
  }
  const value = plainValue(text)
  if (short === '' || fitsTag(value, short)) return value
  throw new DecodeError(`yaml: cannot decode ${tagOf(value)} \`${text}\` as a ${short}`)
}

function plainValue(text: string): ScalarValue {
  const word = WORDS.get(text)
  if (word !== undefined) return word
  if (NOT_FINITE.test(text)) {
    throw new DecodeError(`json: unsupported value: ${text.replace('.', '')}`)
  }
  if (!/^[-+.0-9]/.test(text)) return text
  const digits = text.startsWith('.') ? text : text.replaceAll('_', '')
  const integer = integerValue(digits)
  if (integer !== undefined) return integer
  const float = FLOAT.test(digits) ? Number(digits) : Number.NaN
  return Number.isFinite(float) ? float : text
}

function integerValue(digits: string): number | bigint | undefined {
  for (const [form, prefix] of INTEGER_FORMS) {
    const match = form.exec(digits)
    if (match === null) continue
    const magnitude = BigInt(prefix + match[1])
    const value = digits.startsWith('-') ? -magnitude : magnitude
    if (value > UINT64_MAX || value < INT64_MIN) return undefined
    return Number.isSafeInteger(Number(value)) ? Number(value) : value
  }
  return undefined
}

function tagOf(value: ScalarValue): string {
  if (value === null) return '!!null'
  if (typeof value === 'boolean') return '!!bool'
  if (typeof value === 'bigint') return '!!int'
  if (typeof value === 'number') return Number.isInteger(value) ? '!!int' : '!!float'
  return '!!str'
}

function fitsTag(value: ScalarValue, tag: string): boolean {
  const own = tagOf(value)
  return own === tag || (tag === '!!float' && own === '!!int') || tag === '!!timestamp'
}

/** A mapping key as JSON spells it: the key `on` becomes "true". Throws DecodeError for null. */
export function keyText(value: ScalarValue): string {
  if (value === null) throw new DecodeError('unsupported map key of type: %!s(<nil>)')
  return String(value)
}
