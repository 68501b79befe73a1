// The text of one expression, positions in it, and errors printed the way cel-go prints them.
// Called by the parser and the checker; calls nothing.

/** One problem at a UTF-16 offset of the expression. */
interface Issue {
  readonly offset: number
  readonly message: string
}

/** Collects issues of one expression. */
export class Source {
  readonly text: string
  readonly #issues: Issue[] = []

  constructor(text: string) {
    this.text = text
  }

  report(offset: number, message: string): void {
    this.#issues.push({ offset, message })
  }

  get failed(): boolean {
    return this.#issues.length > 0
  }

  /** All issues ordered by position, each with its line and a caret. */
  display(): string {
    const lines = this.text.split('\n')
    const located = this.#issues.map(issue => ({ issue, at: this.#locate(issue.offset) }))
    located.sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column)
    const shown = located.slice(0, MAX_ISSUES).map(({ issue, at }) => {
      const line = lines[at.line - 1]
      const shown = line === undefined ? '' : snippet(line, at.column)
      return `ERROR: <input>:${at.line}:${at.column + 1}: ${issue.message}${shown}`
    })
    if (located.length > MAX_ISSUES) {
      shown.push(`${located.length - MAX_ISSUES} more errors were truncated`)
    }
    return shown.join('\n')
  }

  /** 1-based line and 0-based column in code points; a negative offset has no location. */
  #locate(offset: number): { line: number; column: number } {
    if (offset < 0) return { line: -1, column: -1 }
    const before = this.text.slice(0, offset)
    const start = before.lastIndexOf('\n') + 1
    let line = 1
    for (const char of before) if (char === '\n') line++
    return { line, column: Array.from(before.slice(start)).length }
  }
}

const MAX_ISSUES = 100
/** Lines longer than this many bytes are not echoed. Ref: cel-go/common/error.go */
const MAX_SNIPPET_BYTES = 16384

/** Multi-byte characters are underlined by wide dots, so the caret stays below its character. */
function snippet(line: string, column: number): string {
  if (Buffer.byteLength(line) > MAX_SNIPPET_BYTES) return ''
  const chars = Array.from(line.replaceAll('\t', ' '))
  let under = ''
  for (const char of chars.slice(0, Math.max(0, column))) under += isAscii(char) ? '.' : '\uff0e'
  under += isAscii(chars[column] ?? ' ') ? '^' : '\uff3e'
  return `\n | ${chars.join('')}\n | ${under}`
}

function isAscii(char: string): boolean {
  return char.charCodeAt(0) < 0x80
}
