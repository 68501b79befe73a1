// The value of a string or bytes literal. Called by the parser. Ref: cel-go/parser/unescape.go

const SIMPLE: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '`': '`',
  '?': '?',
}

/** Thrown for an escape that names no character. */
export class EscapeError extends Error {
  override readonly name = 'EscapeError'
}

/** The text of a string literal, quotes and prefix included. Throws EscapeError. */
export function unquoteString(literal: string): string {
  let text = ''
  for (const part of parts(literal)) {
    if (typeof part === 'string') text += part
    else if (!part.isByte || part.code < 0x80) text += fromCode(part.code)
    else text += String.fromCharCode(part.code)
  }
  return text
}

/** The bytes of a bytes literal without its `b` prefix. Hex and octal escapes are bytes here. */
export function unquoteBytes(literal: string): Uint8Array {
  const chunks: Uint8Array[] = []
  for (const part of parts(literal)) {
    if (typeof part === 'string') chunks.push(Buffer.from(part))
    else if (part.isByte) chunks.push(Uint8Array.of(part.code))
    else throw new EscapeError('unable to unescape string')
  }
  return new Uint8Array(Buffer.concat(chunks))
}

type Part = string | { readonly code: number; readonly isByte: boolean }

function* parts(literal: string): Generator<Part> {
  const raw = /^[rR]/.test(literal)
  const quoted = (raw ? literal.slice(1) : literal).replace(/\r\n?/g, '\n')
  const width = /^("""|''')/.test(quoted) && quoted.length >= 6 ? 3 : 1
  const body = quoted.slice(width, -width)
  if (raw) {
    yield body
    return
  }
  let from = 0
  for (let at = body.indexOf('\\'); at >= 0; at = body.indexOf('\\', from)) {
    if (at > from) yield body.slice(from, at)
    const escaped = readEscape(body, at + 1)
    yield escaped.part
    from = escaped.end
  }
  if (from < body.length) yield body.slice(from)
}

function readEscape(body: string, at: number): { part: Part; end: number } {
  const letter = body[at] ?? ''
  const simple = SIMPLE[letter]
  if (simple !== undefined) return { part: simple, end: at + 1 }
  if (/[0-3]/.test(letter)) {
    return { part: { code: Number.parseInt(body.slice(at, at + 3), 8), isByte: true }, end: at + 3 }
  }
  const width = { x: 2, X: 2, u: 4, U: 8 }[letter]
  if (width === undefined) throw new EscapeError('unable to unescape string')
  const code = Number.parseInt(body.slice(at + 1, at + 1 + width), 16)
  if (Number.isNaN(code) || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
    throw new EscapeError('unable to unescape string')
  }
  return { part: { code, isByte: width === 2 }, end: at + 1 + width }
}

function fromCode(code: number): string {
  return String.fromCodePoint(code)
}
