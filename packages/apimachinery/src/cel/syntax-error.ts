// Words for text the grammar has no place for, as the parser generator of cel-go puts them. Called
// by parser.ts.

import type { Token } from './lexer.ts'

/**
 * Ends reading; the message is reported at the offset, which is negative when it concerns the whole
 * text.
 */
export class SyntaxFailure extends Error {
  override readonly name = 'SyntaxFailure'
  readonly offset: number

  constructor(offset: number, message: string) {
    super(message)
    this.offset = offset
  }
}

/**
 * What an expression can start with, and what may stand there besides; in the order of token
 * numbers.
 */
const START_TOKENS =
  "'[' ']' '{' '}' '(' ')' '.' ',' '-' '!' '?' 'true' 'false' 'null' " +
  'NUM_FLOAT NUM_INT NUM_UINT STRING BYTES IDENTIFIER'
const NOT_STARTING: ReadonlySet<string> = new Set(["']'", "'}'", "')'", "','", "'?'"])

/** The set of tokens expected where an expression starts or one of `others` may stand. */
export function startOr(...others: readonly string[]): string {
  const allowed = new Set(others.map(other => `'${other}'`))
  const tokens = START_TOKENS.split(' ').filter(
    token => !NOT_STARTING.has(token) || allowed.has(token),
  )
  return `{${tokens.join(', ')}}`
}

/** Whether a token can be the first of an expression. */
export function startsExpression(token: Token | undefined): boolean {
  if (token === undefined || token.kind === 'end') return false
  return token.kind === 'operator' ? /^[[{(.\-!]$/.test(token.text) : token.text !== 'in'
}

/** A token that is left over when leaving it out would help, and a mismatch otherwise. */
export function unexpected(token: Token, extraneous: boolean, expected: string): string {
  return `${extraneous ? 'extraneous' : 'mismatched'} input '${token.text}' expecting ${expected}`
}
