// Integers beyond 2^53: which digits come back, and what becomes of numbers that are no int64.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addInt64, isInt64, parseExact } from './int64.ts'
import { cloneJson, equalJson } from './json.ts'

test('parseExact() keeps every int64 and writes it digit for digit', () => {
  const digits = ['9007199254740993', '-9007199254740993', '9223372036854775807']
  digits.push('-9223372036854775808', '9007199254740991', '4611686018427387904', '0', '-1')
  for (const text of digits) {
    const value = parseExact(`{"a":[${text}]}`)
    assert.equal(JSON.stringify(value), `{"a":[${text}]}`)
    assert.equal(JSON.stringify(cloneJson(value)), `{"a":[${text}]}`)
    assert.ok(isInt64(parseExact(text)), text)
  }
})

test('parseExact() makes a float64 of every other number, written as Go writes it', () => {
  const written = [
    ['9223372036854775808', '9223372036854776000'],
    ['-9223372036854775809', '-9223372036854776000'],
    ['18446744073709551615', '18446744073709552000'],
    ['123456789012345678901234567890', '1.2345678901234568e+29'],
    ['9007199254740993.0', '9007199254740992'],
    ['1e18', '1000000000000000000'],
    ['1e21', '1e+21'],
    ['0.12345678901234567', '0.12345678901234566'],
  ]
  for (const [text = '', expected] of written) {
    assert.equal(typeof parseExact(text), 'number', text)
    assert.equal(JSON.stringify(parseExact(text)), expected)
    assert.ok(!isInt64(parseExact(text)), text)
  }
})

test('parseExact() takes digits in strings and keys for what they are', () => {
  const text = '{"9007199254740993":"9007199254740993","a":"x9007199254740993 1 ,9007199254740993"}'
  assert.equal(JSON.stringify(parseExact(text)), text)
})

test('parseExact() finds an int64 wherever it stands', () => {
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  const space = fc.stringMatching(/^[ \n\t]{0,20}$/)
  fc.assert(
    fc.property(int64, space, fc.string({ maxLength: 40 }), (value, gap, text) => {
      const json = `{${gap}"k":${gap}[${JSON.stringify(text)},${gap}${value}${gap}],"l":${value}}`
      const expected = `{"k":[${JSON.stringify(text)},${value}],"l":${value}}`
      assert.equal(JSON.stringify(parseExact(json)), expected)
    }),
  )
})

test('parseExact() reads a long row of digits in one pass', () => {
  const text = `["${'1'.repeat(2_000_000)}"]`
  assert.equal(JSON.stringify(parseExact(text)), text)
})

test('equalJson() tells neighbours beyond 2^53 apart', () => {
  const [a, b] = [parseExact('[9007199254740993]'), parseExact('[9007199254740992]')]
  assert.ok(!equalJson(a, b))
  assert.ok(equalJson(a, parseExact('[9007199254740993]')))
})

test('addInt64() counts on where numbers end, and wraps around as Go does', () => {
  assert.equal(addInt64(1, 1), 2)
  assert.equal(addInt64(2 ** 53 - 1, 1), 9007199254740992n)
  assert.equal(addInt64(9007199254740993n, 1), 9007199254740994n)
  assert.equal(addInt64(9007199254740992n, -1), 2 ** 53 - 1)
  assert.equal(addInt64(2n ** 63n - 1n, 1), -(2n ** 63n))
})
