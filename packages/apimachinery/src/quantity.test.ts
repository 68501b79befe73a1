// Quantities: what is written back for what was sent, as upstream's own table of cases has it, and arithmetic.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  scaledQuantity,
} from './index.ts'

const quantity = (text: string) => {
  const parsed = parseQuantity(text)
  if (!parsed.ok) return assert.fail(`${text}: ${parsed.error}`)
  return parsed.quantity
}

test('canonicalQuantity() picks the largest suffix that loses nothing', () => {
  const cases: Record<string, string | undefined> = {
    '0': '0',
    '0Ki': '0',
    '-0': '0',
    '1.5': '1500m',
    '1.5Gi': '1536Mi',
    '0.5': '500m',
    '.5': '500m',
    '100m': '100m',
    '1000m': '1',
    '1000': '1k',
    '1024': '1024',
    '1024Ki': '1Mi',
    '2048Mi': '2Gi',
    '0.5Ki': '512',
    '0.5Mi': '512Ki',
    '1000Ki': '1000Ki',
    '12e6': '12e6',
    '1200e3': '1200e3',
    '1000e3': '1e6',
    '0.1n': '1n',
    '-1.5k': '-1500',
    '+3': '+3',
    '10Ei': '9223372036854775807',
    '': undefined,
    '1.2.3': undefined,
    '1Kb': undefined,
    '1mi': undefined,
    ' 1': undefined,
    five: undefined,
  }
  for (const [text, canonical] of Object.entries(cases)) {
    assert.equal(canonicalQuantity(text), canonical, text)
  }
})

test('parseQuantity() says what is wrong in the words of upstream', () => {
  const error = (text: string) => {
    const parsed = parseQuantity(text)
    return parsed.ok ? assert.fail(text) : parsed.error
  }
  assert.match(error('1x'), /^quantities must match the regular expression/)
  assert.equal(error('1KG'), "unable to parse quantity's suffix")
})

const anyQuantity = fc
  .tuple(
    fc.integer({ min: -1_000_000, max: 1_000_000 }),
    fc.constantFrom('', 'm', 'k', 'M', 'Ki', 'Mi', 'Gi', 'u', 'e3'),
  )
  .map(([number, suffix]) => `${number}${suffix}`)

test('the canonical form is a fixed point and means the same', () => {
  fc.assert(
    fc.property(anyQuantity, text => {
      const value = quantity(text)
      const canonical = formatQuantity(value)
      assert.equal(compareQuantities(quantity(canonical), value), 0)
      assert.equal(formatQuantity(quantity(canonical)), canonical)
    }),
  )
})

test('comparison and addition are those of the exact numbers', () => {
  assert.equal(compareQuantities(quantity('1Gi'), quantity('1G')), 1)
  assert.equal(compareQuantities(quantity('1000m'), quantity('1')), 0)
  assert.equal(formatQuantity(addQuantities(quantity('1500m'), quantity('500m'))), '2')
  assert.equal(formatQuantity(addQuantities(quantity('0'), quantity('1Mi'))), '1Mi')
  assert.equal(scaledQuantity(quantity('1500m'), 0), 2n)
  assert.equal(scaledQuantity(quantity('1.5'), -3), 1500n)
})
