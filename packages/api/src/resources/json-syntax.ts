// Says what is wrong with a JSON text in the words of Go's encoding/json, for values that embed JSON (docker configs).
// Called by core-config.ts; calls nothing. Ref: Go's encoding/json/scanner.go

class SyntaxProblem extends Error {}

const END = 'unexpected end of JSON input'
const LITERALS: Readonly<Record<string, string>> = { t: 'true', f: 'false', n: 'null' }

/** Go's sentence for a text that is no JSON object; undefined when it is one (or null, which Go takes too). */
export function goJsonSyntaxError(text: string): string | undefined {
  try {
    const scanner = new Scanner(text)
    const kind = scanner.document()
    if (kind === 'object' || kind === 'null') return undefined
    return `json: cannot unmarshal ${kind} into Go value of type map[string]interface {}`
  } catch (error) {
    if (error instanceof SyntaxProblem) return error.message
    throw error
  }
}

class Scanner {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): string {
    const kind = this.#value(0)
    this.#space()
    if (this.#at < this.#text.length) this.#unexpected('after top-level value')
    return kind
  }

  #space(): void {
    while (' \t\r\n'.includes(this.#peek() || 'x')) this.#at += 1
  }

  #peek(): string {
    return this.#text.charAt(this.#at)
  }

  #unexpected(where: string): never {
    const character = this.#peek()
    if (character === '') throw new SyntaxProblem(END)
    const quoted = character === "'" ? `'\\''` : character === '"' ? `'"'` : `'${character}'`
    throw new SyntaxProblem(`invalid character ${quoted} ${where}`)
  }

  #value(depth: number): string {
    if (depth > 10_000) throw new SyntaxProblem('exceeded max depth')
    this.#space()
    const first = this.#peek()
    if (first === '{') return this.#object(depth)
    if (first === '[') return this.#array(depth)
    if (first === '"') return this.#string()
    if (LITERALS[first] !== undefined) return this.#literal(LITERALS[first])
    if (/[-0-9]/.test(first)) return this.#number()
    return this.#unexpected('looking for beginning of value')
  }

  #object(depth: number): string {
    this.#at += 1
    this.#space()
    if (this.#take('}')) return 'object'
    for (;;) {
      this.#space()
      if (this.#peek() !== '"') this.#unexpected('looking for beginning of object key string')
      this.#string()
      this.#space()
      if (!this.#take(':')) this.#unexpected('after object key')
      this.#value(depth + 1)
      this.#space()
      if (this.#take('}')) return 'object'
      if (!this.#take(',')) this.#unexpected('after object key:value pair')
    }
  }

  #array(depth: number): string {
    this.#at += 1
    this.#space()
    if (this.#take(']')) return 'array'
    for (;;) {
      this.#value(depth + 1)
      this.#space()
      if (this.#take(']')) return 'array'
      if (!this.#take(',')) this.#unexpected('after array element')
    }
  }

  #string(): string {
    this.#at += 1
    for (;;) {
      if (this.#take('"')) return 'string'
      if (this.#take('\\')) {
        if (this.#peek() === 'u') this.#hex()
        else if (!'"\\/bfnrt'.includes(this.#peek() || ' '))
          this.#unexpected('in string escape code')
        else this.#at += 1
      } else if (this.#peek() < ' ') this.#unexpected('in string literal')
      else this.#at += 1
    }
  }

  #hex(): void {
    this.#at += 1
    for (let digit = 0; digit < 4; digit += 1) {
      if (!/[0-9a-fA-F]/.test(this.#peek())) this.#unexpected('in \\u hexadecimal character escape')
      this.#at += 1
    }
  }

  #literal(word: string): string {
    for (const [index, expected] of [...word].entries()) {
      if (this.#take(expected)) continue
      this.#unexpected(`in literal ${word} (expecting '${word.charAt(index)}')`)
    }
    return word === 'null' ? 'null' : 'bool'
  }

  #number(): string {
    this.#take('-')
    if (!this.#take('0')) this.#digits('in numeric literal')
    if (this.#take('.')) this.#digits('after decimal point in numeric literal')
    if (this.#take('e') || this.#take('E')) {
      if (!this.#take('+')) this.#take('-')
      this.#digits('in exponent of numeric literal')
    }
    return 'number'
  }

  #digits(where: string): void {
    if (!/[0-9]/.test(this.#peek())) this.#unexpected(where)
    while (/[0-9]/.test(this.#peek())) this.#at += 1
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false
    this.#at += 1
    return true
  }
}
