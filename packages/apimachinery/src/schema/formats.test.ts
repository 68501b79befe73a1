// String formats: one value that has it and one that does not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { effectiveFormat, hasFormat } from './formats.ts'

const SAMPLES: Readonly<Record<string, readonly [readonly string[], readonly string[]]>> = {
  bsonobjectid: [['507f1f77bcf86cd799439011'], ['507f']],
  uri: [
    ['http://a.b/c?d=%2F', '/abs', 'mailto:x@y'],
    ['a.b', './rel', '', 'http://a b/'],
  ],
  email: [
    ['a@b.c', 'Ann <a@b.c>'],
    ['a', '@b', 'a@'],
  ],
  hostname: [
    ['a', 'somewhere.com'],
    ['-a.com', 'a..b'],
  ],
  ipv4: [
    ['10.0.0.1', '010.0.0.1'],
    ['10.0.0.300', '::1'],
  ],
  ipv6: [
    ['::1', '2001:db8::'],
    ['10.0.0.1', '::1%eth0'],
  ],
  cidr: [
    ['10.0.0.0/8', '::/0'],
    ['10.0.0.0', '10.0.0.0/33'],
  ],
  mac: [
    ['01:23:45:67:89:ab', '0123.4567.89ab'],
    ['01:23:45:67:89', '01:23-45:67:89:ab'],
  ],
  uuid: [['A987FBC9-4BED-3078-CF07-9141BA07C9F3'], ['xxx']],
  uuid4: [['57B73598-8764-4AD0-A76A-679BB6640EB1'], ['A987FBC9-4BED-3078-CF07-9141BA07C9F3']],
  isbn10: [['0321751043'], ['0321751044']],
  isbn13: [['978-0321751041'], ['978-0321751042']],
  creditcard: [['4111-1111-1111-1111'], ['4111-1111-1111-1112']],
  ssn: [['111-11-1111'], ['111']],
  hexcolor: [['#fff', 'FFFFFF'], ['#ffff']],
  rgbcolor: [['rgb(0, 31,255)'], ['rgb(1,349,275)']],
  byte: [['ZWxpemFiZXRocG9zZXk='], ['!!!', '']],
  date: [['2024-02-29'], ['2023-02-29', '2024-1-1']],
  duration: [
    ['5m', '1h2.5s', '22 ns', '3 weeks'],
    ['', 'soon'],
  ],
  'date-time': [
    ['2024-01-02T03:04:05Z', '2024-01-02t03:04:05.5+01:00'],
    ['yesterday', '2024-01-02'],
  ],
  'k8s-short-name': [['a-b'], ['A', 'a.b']],
  'k8s-long-name': [['a.b-c'], ['a..b', '-a']],
}

for (const [format, [good, bad]] of Object.entries(SAMPLES)) {
  test(`hasFormat() knows ${format}`, () => {
    for (const text of good) assert.equal(hasFormat(format, text), true, text)
    for (const text of bad) assert.equal(hasFormat(format, text), false, text)
  })
}

test('effectiveFormat() ignores formats that are unknown or of another type', () => {
  assert.equal(effectiveFormat(['string'], 'date-time'), 'date-time')
  assert.equal(effectiveFormat(['string'], 'int32'), '')
  assert.equal(effectiveFormat(['integer'], 'int32'), 'int32')
  assert.equal(effectiveFormat(['integer'], 'uint32'), '')
  assert.equal(effectiveFormat(['object'], 'date'), '')
})
