import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freeNumber, staticSizeOf } from './free-number.ts'

const RANGE = { first: 100, size: 10, staticSize: 4 }

test('the upper part of a range is given first, the lower one when nothing else is left', () => {
  const taken = new Set<number>()
  const given = Array.from({ length: 11 }, () => {
    const value = freeNumber(
      RANGE,
      number => !taken.has(number),
      below => below - 1,
    )
    if (value !== undefined) taken.add(value)
    return value
  })
  assert.deepEqual(given, [109, 104, 105, 106, 107, 108, 100, 101, 102, 103, undefined])
})

test('a range keeps a share for those who name theirs, between a least and a most, and none when it is small', () => {
  const ports = { min: 16, max: 128, step: 32 }
  const sizes = [16, 17, 512, 2_768, 10_000].map(size => staticSizeOf(size, ports))
  assert.deepEqual(sizes, [0, 16, 16, 86, 128])
})
