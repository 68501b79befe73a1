// Splits an expression into tokens. Called by the parser; reports unknown characters to the Source.
// Ref: cel-go/parser/gen/CEL.g4

import type { Source } from './source.ts'

export type TokenKind =
  | 'ident'
  | 'escaped-ident'
  | 'int'
  | 'uint'
  | 'double'
  | 'string'
  | 'bytes'
  | 'operator'
  | 'end'

export interface Token {
  readonly kind: TokenKind
  readonly text: string
  readonly offset: number
}

const OPERATORS = [
  ...['==', '!=', '<=', '>=', '&&', '||', '<', '>', '[', ']', '{', '}', '(', ')'],
  ...['.', ',', '-', '!', '?', ':', '+', '*', '/', '%'],
]
const ESCAPE =
  '\\\\(?:[abfnrtv"\'\\\\?`]|[0-3][0-7][0-7]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})'
/** What the lexer has looked at when it finds that no token starts like this. */
const UNKNOWN = new RegExp(
  [
    `"(?:${ESCAPE}|[^\\\\"\\n\\r])*(?:\\\\.|[^])?`,
    `'(?:${ESCAPE}|[^\\\\'\\n\\r])*(?:\\\\.|[^])?`,
    '`[A-Za-z0-9_.\\-/ ]*[^]?',
    '[=&|][^]?',
    '[^]',
  ].join('|'),
  'uy',
)
const SPACE = /[\t \r\n\f]+/y
const COMMENT = /\/\/[^\n]*/y
const DOUBLE =
  /(?:[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)/y
const UINT = /(?:0x[0-9a-fA-F]+|[0-9]+)[uU]/y
const INT = /(?:0x[0-9a-fA-F]+|[0-9]+)/y
const IDENT = /[A-Za-z_][A-Za-z0-9_]*/y
const ESCAPED_IDENT = /`[A-Za-z0-9_.\-/ ]+`/y
const STRING = new RegExp(
  [
    `[rR](?:"""[^]*?"""|'''[^]*?'''|"[^"\\n\\r]*"|'[^'\\n\\r]*')`,
    `"""(?:${ESCAPE}|[^\\\\])*?"""`,
    `'''(?:${ESCAPE}|[^\\\\])*?'''`,
    `"(?:${ESCAPE}|[^\\\\"\\n\\r])*"`,
    `'(?:${ESCAPE}|[^\\\\'\\n\\r])*'`,
  ].join('|'),
  'y',
)

/** All tokens up to and including the end token. Characters no token starts with are reported. */
export function tokenize(source: Source): Token[] {
  const text = source.text
  const tokens: Token[] = []
  let offset = 0
  while (offset < text.length) {
    const skipped = match(SPACE, text, offset) ?? match(COMMENT, text, offset)
    if (skipped !== undefined) {
      offset += skipped.length
      continue
    }
    const token = next(text, offset)
    if (token === undefined) {
      const bad = match(UNKNOWN, text, offset) ?? ''
      source.report(offset, `Syntax error: token recognition error at: '${bad}'`)
      offset += bad.length
      continue
    }
    tokens.push(token)
    offset += token.text.length
  }
  tokens.push({ kind: 'end', text: '<EOF>', offset: text.length })
  return tokens
}

function next(text: string, offset: number): Token | undefined {
  const char = text[offset] as string
  if (/[bB]/.test(char)) {
    const quoted = match(STRING, text, offset + 1)
    if (quoted !== undefined) return { kind: 'bytes', text: char + quoted, offset }
  }
  for (const [kind, pattern] of PATTERNS) {
    const found = match(pattern, text, offset)
    if (found !== undefined) return { kind, text: found, offset }
  }
  const operator = OPERATORS.find(symbol => text.startsWith(symbol, offset))
  return operator === undefined ? undefined : { kind: 'operator', text: operator, offset }
}

const PATTERNS: readonly (readonly [TokenKind, RegExp])[] = [
  ['string', STRING],
  ['double', DOUBLE],
  ['uint', UINT],
  ['int', INT],
  ['ident', IDENT],
  ['escaped-ident', ESCAPED_IDENT],
]

function match(pattern: RegExp, text: string, offset: number): string | undefined {
  pattern.lastIndex = offset
  return pattern.exec(text)?.[0]
}
