// A careful second reading of JSON text, run only where JSON.parse cannot help: to find Go's words for a syntax error,
// duplicate keys, or numbers of which a value does not tell how they were written. Called by json.ts.
// Ref: sigs.k8s.io/json internal/golang/encoding/json/scanner.go (states and messages)

import { isInt64Literal } from '../int64.ts'
import { DecodeError, quoteGo } from './decode-error.ts'

export interface Findings {
  /** Paths of the keys that occur more than once in their object, each once, at most 100. */
  readonly duplicates: readonly (readonly (string | number)[])[]
  /** Numbers that are no int64 but look like one, or are otherwise not written as their value would be; at most 100. */
  readonly literals: readonly NumberLiteral[]
  /** The first number that no float64 can hold. */
  readonly tooLarge?: string
}

/** A number as it was written: `1.0`, `1e3`, `9223372036854775808`. */
export interface NumberLiteral {
  readonly path: readonly (string | number)[]
  readonly text: string
}

export const NO_FINDINGS: Findings = { duplicates: [], literals: [] }

const STRICT_ERRORS_MAX = 100
const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const COMMA = 0x2c
const COLON = 0x3a
/** An integer with fewer digits is within int64. */
const INT64_DIGITS = 19

type KeyVisitor = (path: readonly (string | number)[]) => void

interface Frame {
  readonly keys: Set<string> | undefined
  key: string | number
}

/**
 * Reads the whole text. Throws DecodeError with Go's message at the first byte that is not JSON, or where objects and
 * arrays nest deeper than `depthMax`. `onKey` is told every key, as often as it occurs.
 */
export function scanJson(bytes: Uint8Array, depthMax: number, onKey?: KeyVisitor): Findings {
  return new Scanner(bytes, depthMax, onKey).run()
}

class Scanner {
  private position = 0
  private readonly frames: Frame[] = []
  private readonly duplicates = new Map<string, readonly (string | number)[]>()
  private readonly literals: NumberLiteral[] = []
  private tooLarge: string | undefined
  private readonly bytes: Buffer
  private readonly depthMax: number
  private readonly onKey: KeyVisitor | undefined

  constructor(bytes: Uint8Array, depthMax: number, onKey?: KeyVisitor) {
    this.onKey = onKey
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.depthMax = depthMax
  }

  run(): Findings {
    this.skipSpace()
    let descended = this.value()
    while (this.frames.length > 0) descended = this.step(descended)
    this.skipSpace()
    if (this.position < this.bytes.length) this.fail('after top-level value')
    const { literals, tooLarge } = this
    const duplicates = [...this.duplicates.values()]
    return { duplicates, literals, ...(tooLarge === undefined ? {} : { tooLarge }) }
  }

  /** Continues the innermost container; true when it went one deeper. */
  private step(justOpened: boolean): boolean {
    const frame = this.frames[this.frames.length - 1]
    if (frame === undefined) return false
    this.skipSpace()
    const byte = this.bytes[this.position]
    const isArray = frame.keys === undefined
    if (byte === (isArray ? CLOSE_ARRAY : CLOSE_OBJECT)) return this.close()
    if (!justOpened) {
      if (byte !== COMMA) this.fail(isArray ? 'after array element' : 'after object key:value pair')
      this.position++
      this.skipSpace()
    }
    if (isArray) frame.key = typeof frame.key === 'number' ? frame.key + 1 : 0
    else this.key(frame)
    this.skipSpace()
    return this.value()
  }

  private close(): boolean {
    this.position++
    this.frames.pop()
    return false
  }

  private key(frame: Frame): void {
    if (this.bytes[this.position] !== QUOTE) this.fail('looking for beginning of object key string')
    const key = this.string()
    if (frame.keys?.has(key) && this.duplicates.size < STRICT_ERRORS_MAX) {
      const path = this.pathOf(key)
      this.duplicates.set(formatPath(path), path)
    }
    this.onKey?.(this.pathOf(key))
    frame.keys?.add(key)
    frame.key = key
    this.skipSpace()
    if (this.bytes[this.position] !== COLON) this.fail('after object key')
    this.position++
  }

  private pathOf(key: string): (string | number)[] {
    return [...this.frames.slice(0, -1).map(open => open.key), key]
  }

  /** Reads a scalar, or opens a container and answers true. */
  private value(): boolean {
    const byte = this.bytes[this.position]
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (this.frames.length >= this.depthMax) this.fail('exceeded max depth')
      this.position++
      this.frames.push({ keys: byte === OPEN_OBJECT ? new Set() : undefined, key: -1 })
      return true
    }
    if (byte === QUOTE) this.skipString()
    else if (byte === 0x74) this.literal('true')
    else if (byte === 0x66) this.literal('false')
    else if (byte === 0x6e) this.literal('null')
    else if (byte === 0x2d || isDigit(byte)) this.number()
    else this.fail('looking for beginning of value')
    return false
  }

  private literal(word: string): void {
    this.position++
    for (const expected of word.slice(1)) {
      if (this.bytes[this.position] !== expected.charCodeAt(0)) {
        this.fail(`in literal ${word} (expecting '${expected}')`)
      }
      this.position++
    }
  }

  private number(): void {
    const start = this.position
    if (this.bytes[this.position] === 0x2d) {
      this.position++
      if (!isDigit(this.bytes[this.position])) this.fail('in numeric literal')
    }
    if (this.bytes[this.position] === 0x30) this.position++
    else this.digits()
    let isInteger = true
    if (this.bytes[this.position] === 0x2e) {
      isInteger = false
      this.position++
      if (!isDigit(this.bytes[this.position])) this.fail('after decimal point in numeric literal')
      this.digits()
    }
    const exponent = this.bytes[this.position]
    if (exponent === 0x65 || exponent === 0x45) {
      isInteger = false
      this.position++
      const sign = this.bytes[this.position]
      if (sign === 0x2b || sign === 0x2d) this.position++
      if (!isDigit(this.bytes[this.position])) this.fail('in exponent of numeric literal')
      this.digits()
    }
    if (!isInteger || this.position - start >= INT64_DIGITS) this.noteLiteral(start)
  }

  private digits(): void {
    while (isDigit(this.bytes[this.position])) this.position++
  }

  private noteLiteral(start: number): void {
    const text = this.bytes.toString('latin1', start, this.position)
    if (isInt64Literal(text)) return
    const value = Number(text)
    if (!Number.isFinite(value)) this.tooLarge ??= text
    if (String(value) === text && !Number.isInteger(value)) return
    if (this.literals.length >= STRICT_ERRORS_MAX) return
    this.literals.push({ path: this.frames.map(frame => frame.key), text })
  }

  private string(): string {
    const start = this.position
    const isPlain = this.skipString()
    if (isPlain) return this.bytes.toString('utf8', start + 1, this.position - 1)
    return JSON.parse(this.bytes.toString('utf8', start, this.position)) as string
  }

  /** Passes a string whose text is of no use; true when it has no escapes. */
  private skipString(): boolean {
    let isPlain = true
    this.position++
    for (;;) {
      const byte = this.bytes[this.position]
      if (byte === QUOTE) break
      if (byte === undefined || byte < 0x20) this.fail('in string literal')
      this.position++
      if (byte !== BACKSLASH) continue
      isPlain = false
      this.escape()
    }
    this.position++
    return isPlain
  }

  private escape(): void {
    const byte = this.bytes[this.position]
    if (byte === undefined || !'bfnrt\\/"u'.includes(String.fromCharCode(byte))) {
      this.fail('in string escape code')
    }
    this.position++
    if (byte !== 0x75) return
    for (let i = 0; i < 4; i++, this.position++) {
      const digit = this.bytes[this.position]
      if (digit === undefined || !/[0-9a-fA-F]/.test(String.fromCharCode(digit))) {
        this.fail('in \\u hexadecimal character escape')
      }
    }
  }

  private skipSpace(): void {
    for (;;) {
      const byte = this.bytes[this.position]
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return
      this.position++
    }
  }

  private fail(context: string): never {
    const byte = this.bytes[this.position]
    if (byte === undefined) throw new DecodeError('unexpected end of JSON input')
    throw new DecodeError(`invalid character ${quoteByte(byte)} ${context}`)
  }
}

/** `metadata.labels.a`, `items[0].name`: as strict decoding errors name a field. */
export function formatPath(path: readonly (string | number)[]): string {
  let out = ''
  for (const step of path) {
    if (typeof step === 'number') out += `[${step}]`
    else out += out === '' ? step : `.${step}`
  }
  return out
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

/** A byte as Go shows it: 'x', '\'', '\x00', and bytes over 0x7f as the rune of that number. */
function quoteByte(byte: number): string {
  if (byte === 0x27) return `'\\''`
  if (byte === QUOTE) return `'"'`
  return `'${quoteGo(String.fromCharCode(byte)).slice(1, -1)}'`
}
