// Why bytes could not become an object. Thrown by json.ts, yaml.ts, typed.ts and protobuf.ts with the text Go prints;
// decode-object.ts wraps it into the 400 a client sees.

export class DecodeError extends Error {
  override readonly name = 'DecodeError'
}

/** Go's strconv.Quote for text in messages: escapes what does not print, and keeps `<`, `>` and `&`. */
export function quoteGo(text: string): string {
  let out = '"'
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0
    if (char === '"' || char === '\\') out += `\\${char}`
    else if (SHORT_ESCAPES.has(char)) out += SHORT_ESCAPES.get(char)
    else if (code < 0x20 || code === 0x7f) out += `\\x${code.toString(16).padStart(2, '0')}`
    else if ((code >= 0x80 && code < 0xa1) || code === 0xad)
      out += `\\u${code.toString(16).padStart(4, '0')}`
    else out += char
  }
  return `${out}"`
}

const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\x07', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
])
