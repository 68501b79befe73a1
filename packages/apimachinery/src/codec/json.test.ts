// parseJson() against the answers of Go's decoder as Kubernetes uses it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DecodeError } from './decode-error.ts'
import { encodeJson, NESTING_MAX, parseJson, parseJsonStrict } from './json.ts'

const errorOf = (text: string | Uint8Array): string => {
  try {
    parseJson(text)
  } catch (error) {
    assert.ok(error instanceof DecodeError, String(error))
    return error.message
  }
  return 'no error'
}

const SYNTAX_ERRORS: [text: string, message: string][] = [
  ['', 'unexpected end of JSON input'],
  ['{"a":', 'unexpected end of JSON input'],
  ['{"a":1} xyz', "invalid character 'x' after top-level value"],
  ['{"a":"x\u0000"}', "invalid character '\\x00' in string literal"],
  ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b":2}', "invalid character '\"' after object key:value pair"],
  ['[1 2]', "invalid character '2' after array element"],
  ['[1,]', "invalid character ']' looking for beginning of value"],
  ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
  ['tru', 'unexpected end of JSON input'],
  ['trux', "invalid character 'x' in literal true (expecting 'e')"],
  ['nul1', "invalid character '1' in literal null (expecting 'l')"],
  ['01', "invalid character '1' after top-level value"],
  ['-x', "invalid character 'x' in numeric literal"],
  ['1.x', "invalid character 'x' after decimal point in numeric literal"],
  ['1ex', "invalid character 'x' in exponent of numeric literal"],
  ['"\\x"', "invalid character 'x' in string escape code"],
  ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
  ["'", "invalid character '\\'' looking for beginning of value"],
  ['\u00e9', "invalid character 'Ã' looking for beginning of value"],
  ['\ufeff{}', "invalid character 'ï' looking for beginning of value"],
]

test('parseJson() words syntax errors as Go does', () => {
  for (const [text, message] of SYNTAX_ERRORS) assert.equal(errorOf(text), message, text)
})

test('parseJson() refuses nesting beyond the limit and accepts the limit', () => {
  const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
  assert.equal(errorOf(nested(NESTING_MAX)), 'no error')
  assert.equal(errorOf(nested(NESTING_MAX + 1)), "invalid character '{' exceeded max depth")
  assert.equal(
    errorOf(`${'['.repeat(11_000)}${']'.repeat(11_000)}`),
    "invalid character '[' exceeded max depth",
  )
  assert.equal(errorOf(`["${'[{'.repeat(5_000)}"]`), 'no error')
})

test('parseJson() replaces each invalid byte and each lone surrogate by U+FFFD', () => {
  const bytes = (...parts: (string | number[])[]) =>
    Buffer.concat(parts.map(part => Buffer.from(part as string)))
  assert.deepEqual(parseJson(bytes('{"a":"', [0xff, 0xfe], '"}')), { a: '\ufffd\ufffd' })
  assert.equal(parseJson(bytes('"', [0xe2, 0x82], 'A"')), '\ufffd\ufffdA')
  assert.deepEqual(parseJson('{"\\ud800":"x\\udc00y"}'), { '\ufffd': 'x\ufffdy' })
  assert.equal(parseJson('"\\ud83d\\ude00"'), '\u{1f600}')
})

test('parseJsonStrict() names duplicate fields by their path, in order, each once', () => {
  const text = '{"m":{"n":1,"n":2,"n":3},"d":[{"a":1,"a":2}],"m":{}}'
  assert.deepEqual(parseJsonStrict(text, { duplicates: true }).duplicates, [
    ['m', 'n'],
    ['d', 0, 'a'],
    ['m'],
  ])
  assert.deepEqual(parseJsonStrict(text, { duplicates: false }).duplicates, [])
})

test('parseJsonStrict() tells how numbers are written that look like integers and are none', () => {
  const text =
    '{"a":[9223372036854775808],"b":9007199254740993,"c":1e3,"d":-1e400,"e":1.5,"f":1.0,"g":"1.0"}'
  for (const duplicates of [true, false]) {
    const { literals, tooLarge } = parseJsonStrict(text, { duplicates })
    assert.deepEqual(literals, [
      { path: ['a', 0], text: '9223372036854775808' },
      { path: ['c'], text: '1e3' },
      { path: ['d'], text: '-1e400' },
      { path: ['f'], text: '1.0' },
    ])
    assert.equal(tooLarge, '-1e400')
  }
})

test('parseJson() refuses a number that no float64 holds', () => {
  const refused = 'json: cannot unmarshal number 1E400 into Go value of type float64'
  assert.equal(errorOf(Buffer.from('{"a":[1,{"b":1E400}]}')), refused)
  assert.deepEqual(parseJson('[1e-400,1e308]'), [0, 1e308])
})

test('parseJson() agrees with JSON.parse on every JSON value', () => {
  fc.assert(
    fc.property(fc.json(), text => {
      const expected = JSON.stringify(JSON.parse(text))
      assert.equal(JSON.stringify(parseJson(text)), expected)
      assert.equal(JSON.stringify(parseJsonStrict(text, { duplicates: true }).value), expected)
    }),
  )
})

test('parseJson() throws only DecodeError, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
      errorOf(bytes)
    }),
  )
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'{}[]",:0123.-eE \\utrfnals'.split('')) }),
      text => {
        errorOf(text)
      },
    ),
  )
})

test('encodeJson() writes apiVersion, kind and metadata first', () => {
  const obj = { spec: {}, metadata: { name: 'a' }, kind: 'K', apiVersion: 'v1' }
  assert.equal(encodeJson(obj), '{"apiVersion":"v1","kind":"K","metadata":{"name":"a"},"spec":{}}')
})
