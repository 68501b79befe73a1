// The strings extension, version 2: charAt, indexOf, join, replace, split and so on. Called by
// registry.ts. Positions count code points. format() is in format-text.ts. Ref:
// cel-go/ext/strings.go

import { COST_EXCEEDED } from '../cost-limit.ts'
import type { Library } from '../function.ts'
import { ArrayList, CelError, type CelList, type CelValue } from '../value.ts'
import { formatText } from './format-text.ts'

/** No text an expression makes may get longer than this; inputs are at most one request. */
const MAX_TEXT_LENGTH = 64 * 1024 * 1024

function outOfRange(index: bigint): CelError {
  return new CelError(`index out of range: ${index}`)
}

function charAt(text: string, index: bigint): CelValue {
  const chars = Array.from(text)
  if (index < 0n || index > BigInt(chars.length)) return outOfRange(index)
  return chars[Number(index)] ?? ''
}

function matchesAt(chars: readonly string[], part: readonly string[], at: number): boolean {
  return part.every((char, i) => chars[at + i] === char)
}

function indexOf(text: string, part: string, offset = 0n): CelValue {
  if (part === '') return offset
  const chars = Array.from(text)
  const sought = Array.from(part)
  if (offset < 0n) return outOfRange(offset)
  for (let i = Number(offset); i <= chars.length - sought.length; i++) {
    if (matchesAt(chars, sought, i)) return BigInt(i)
  }
  return -1n
}

function lastIndexOf(text: string, part: string, offset?: bigint): CelValue {
  const chars = Array.from(text)
  if (part === '') return offset ?? BigInt(chars.length)
  const sought = Array.from(part)
  const from = offset ?? BigInt(chars.length - 1)
  if (offset !== undefined && offset < 0n) return outOfRange(offset)
  if (from >= BigInt(chars.length)) return -1n
  for (let i = Math.min(Number(from), chars.length - sought.length); i >= 0; i--) {
    if (matchesAt(chars, sought, i)) return BigInt(i)
  }
  return -1n
}

function replace(text: string, from: string, to: string, limit = -1n): CelValue {
  if (limit === 0n) return text
  const parts = from === '' ? ['', ...Array.from(text), ''] : text.split(from)
  const all = limit < 0n || limit >= BigInt(parts.length)
  const count = all ? parts.length - 1 : Number(limit)
  guardLength(text.length + count * to.length)
  const replaced = parts.slice(0, count + 1).join(to)
  return count === parts.length - 1 ? replaced : [replaced, ...parts.slice(count + 1)].join(from)
}

function split(text: string, separator: string, limit = -1n): CelValue {
  if (limit === 0n) return new ArrayList([])
  const parts = separator === '' ? Array.from(text) : text.split(separator)
  if (limit < 0n || BigInt(parts.length) <= limit) return new ArrayList(parts)
  const count = Number(limit) - 1
  return new ArrayList([...parts.slice(0, count), parts.slice(count).join(separator)])
}

function substring(text: string, start: bigint, end?: bigint): CelValue {
  const chars = Array.from(text)
  const length = BigInt(chars.length)
  if (end !== undefined && start > end) {
    return new CelError(`invalid substring range. start: ${start}, end: ${end}`)
  }
  if (start < 0n || start > length) return outOfRange(start)
  if (end !== undefined && (end < 0n || end > length)) return outOfRange(end)
  return chars.slice(Number(start), end === undefined ? undefined : Number(end)).join('')
}

function join(list: CelList, separator = ''): CelValue {
  const parts: string[] = []
  let length = 0
  for (const item of list) {
    if (typeof item !== 'string') return new CelError(`join: invalid input: ${String(item)}`)
    length += item.length + separator.length
    parts.push(item)
  }
  guardLength(length)
  return parts.join(separator)
}

function guardLength(length: number): void {
  if (length > MAX_TEXT_LENGTH) throw COST_EXCEEDED
}

const QUOTED: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
}

function quote(text: string): CelValue {
  const escaped = Array.from(text.toWellFormed(), char => QUOTED[char] ?? char)
  return `"${escaped.join('')}"`
}

/**
 * Go's strings.TrimSpace: Unicode white space, without the byte order mark that JavaScript trims.
 */
function trim(text: string): CelValue {
  return text.replace(/^[\s\x85]+|[\s\x85]+$/g, space =>
    space.replace(/^[^\ufeff]+|[^\ufeff]+$/g, ''),
  )
}

export const STRINGS: Library = {
  charAt: { string_char_at_int: ['string.(int) -> string', charAt] },
  indexOf: {
    string_index_of_string: ['string.(string) -> int', indexOf],
    string_index_of_string_int: ['string.(string, int) -> int', indexOf],
  },
  lastIndexOf: {
    string_last_index_of_string: ['string.(string) -> int', lastIndexOf],
    string_last_index_of_string_int: ['string.(string, int) -> int', lastIndexOf],
  },
  lowerAscii: {
    string_lower_ascii: [
      'string.() -> string',
      (text: string) => text.replace(/[A-Z]+/g, part => part.toLowerCase()),
    ],
  },
  upperAscii: {
    string_upper_ascii: [
      'string.() -> string',
      (text: string) => text.replace(/[a-z]+/g, part => part.toUpperCase()),
    ],
  },
  replace: {
    string_replace_string_string: ['string.(string, string) -> string', replace],
    string_replace_string_string_int: ['string.(string, string, int) -> string', replace],
  },
  split: {
    string_split_string: ['string.(string) -> list(string)', split],
    string_split_string_int: ['string.(string, int) -> list(string)', split],
  },
  substring: {
    string_substring_int: ['string.(int) -> string', substring],
    string_substring_int_int: ['string.(int, int) -> string', substring],
  },
  trim: { string_trim: ['string.() -> string', trim] },
  join: {
    list_join: ['list(string).() -> string', join],
    list_join_string: ['list(string).(string) -> string', join],
  },
  format: { string_format: ['string.(list(dyn)) -> string', formatText] },
  'strings.quote': { strings_quote: ['(string) -> string', quote] },
}
