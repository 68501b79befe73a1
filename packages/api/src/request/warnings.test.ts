import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Warnings } from './warnings.ts'

function headersOf(...texts: string[]): string[] {
  const warnings = new Warnings()
  for (const text of texts) warnings.add(text)
  return warnings.headers()
}

test('a text is said once, quoted, and not at all when a header cannot hold it', () => {
  assert.deepEqual(headersOf('a', 'b', 'a', '', 'two\nlines', 'a "b" \\'), [
    '299 - "a"',
    '299 - "b"',
    '299 - "a \\"b\\" \\\\"',
  ])
})

test('what is no ASCII goes over the wire as UTF-8', () => {
  const [header = ''] = headersOf('unknown field "漢é"')
  assert.equal(Buffer.from(header, 'latin1').toString(), '299 - "unknown field \\"漢é\\""')
})

test('long texts stay whole until there are too many of them', () => {
  const long = 'x'.repeat(1000)
  assert.deepEqual(headersOf(long), [`299 - "${long}"`])
  const many = headersOf(...Array.from({ length: 40 }, (_, i) => `${i} ${long}`))
  assert.ok(many.every(header => header.length === 256 + '299 - ""'.length))
  assert.equal(many.length, 16)
})
