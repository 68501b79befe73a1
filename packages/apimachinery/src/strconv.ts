// Numbers and durations read the way Go's strconv and time packages read them, with their error texts, since clients
// see those texts. Called by options.ts, resource-version.ts, selectors.ts and the server's timeout parameter.

const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)
const UINT64_MAX = 2n ** 64n - 1n

/** A text that is not the number it should be; `message` is Go's. */
export class ParseError extends Error {
  override readonly name = 'ParseError'
}

/** strconv.ParseInt(text, 10, 64). Throws ParseError. */
export function parseInt64(text: string): bigint {
  if (!/^[+-]?[0-9]+$/.test(text)) throw numberError('ParseInt', text, 'invalid syntax')
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text)
  if (value > INT64_MAX || value < INT64_MIN) {
    throw numberError('ParseInt', text, 'value out of range')
  }
  return value
}

/** strconv.ParseUint(text, 10, 64). Throws ParseError. */
export function parseUint64(text: string): bigint {
  if (!/^[0-9]+$/.test(text)) throw numberError('ParseUint', text, 'invalid syntax')
  const value = BigInt(text)
  if (value > UINT64_MAX) throw numberError('ParseUint', text, 'value out of range')
  return value
}

function numberError(func: string, text: string, why: string): ParseError {
  return new ParseError(`strconv.${func}: parsing ${JSON.stringify(text)}: ${why}`)
}

const UNIT_NANOSECONDS: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', 1e3],
  ['\u00b5s', 1e3],
  ['\u03bcs', 1e3],
  ['ms', 1e6],
  ['s', 1e9],
  ['m', 60e9],
  ['h', 3600e9],
])

/** time.ParseDuration: "1h15m30.5s" in milliseconds. Throws ParseError. Ref: Go's time/format.go ParseDuration */
export function parseGoDurationMs(text: string): number {
  const invalid = () => new ParseError(`time: invalid duration ${JSON.stringify(text)}`)
  const negative = text.startsWith('-')
  let rest = text.replace(/^[+-]/, '')
  if (rest === '0') return 0
  if (rest === '') throw invalid()
  let nanoseconds = 0
  while (rest !== '') {
    const number = /^(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)/.exec(rest)?.[0]
    if (number === undefined) throw invalid()
    rest = rest.slice(number.length)
    const unit = /^[^.0-9]+/.exec(rest)?.[0]
    if (unit === undefined) {
      throw new ParseError(`time: missing unit in duration ${JSON.stringify(text)}`)
    }
    rest = rest.slice(unit.length)
    const scale = UNIT_NANOSECONDS.get(unit)
    if (scale === undefined) {
      const where = `${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`
      throw new ParseError(`time: unknown unit ${where}`)
    }
    nanoseconds += Number(number) * scale
    if (nanoseconds > Number(INT64_MAX)) throw invalid()
  }
  return ((negative ? -1 : 1) * nanoseconds) / 1e6
}
