// The table of resourceVersion semantics, cell by cell, against the documented meaning.
// Ref: https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatusError } from '@podless/apimachinery'
import {
  type Consistency,
  getConsistency,
  type ListPosition,
  listConsistency,
  type WatchStart,
  watchStart,
} from './consistency.ts'

const latest: Consistency = { type: 'latest' }
const any: Consistency = { type: 'any' }
const notOlder: Consistency = { type: 'notOlderThan', revision: 7 }
const exact: Consistency = { type: 'exact', revision: 7 }

test('getConsistency() per resourceVersion', () => {
  assert.deepEqual(getConsistency(''), latest)
  assert.deepEqual(getConsistency('0'), any)
  assert.deepEqual(getConsistency('7'), notOlder)
})

const LIST_CELLS: [ListPosition['resourceVersionMatch'], string, number, Consistency][] = [
  ['', '', 0, latest],
  ['', '0', 0, any],
  ['', '7', 0, notOlder],
  ['', '', 5, latest],
  ['', '0', 5, any],
  ['', '7', 5, exact],
  ['NotOlderThan', '0', 0, any],
  ['NotOlderThan', '7', 0, notOlder],
  ['NotOlderThan', '0', 5, any],
  ['NotOlderThan', '7', 5, notOlder],
  ['Exact', '7', 0, exact],
  ['Exact', '7', 5, exact],
]

for (const [resourceVersionMatch, resourceVersion, limit, expected] of LIST_CELLS) {
  const cell = `match "${resourceVersionMatch}", rv "${resourceVersion}", limit ${limit}`
  test(`listConsistency() with ${cell} is ${expected.type}`, () => {
    const position = { resourceVersion, resourceVersionMatch, limit, continue: '' }
    assert.deepEqual(listConsistency(position), expected)
  })
}

test('listConsistency() leaves a list with a token to the token, which allows no resourceVersion', () => {
  const position = {
    resourceVersion: '',
    resourceVersionMatch: '',
    limit: 5,
    continue: 'x',
  } as const
  assert.deepEqual(listConsistency(position), latest)
  assert.deepEqual(listConsistency({ ...position, resourceVersion: '0' }), latest)
  assert.throws(() => listConsistency({ ...position, resourceVersion: '7' }), {
    code: 400,
    message: 'specifying resource version is not allowed when using continue',
  })
})

test('listConsistency() refuses the cells that validation lets nobody reach', () => {
  const position = { resourceVersion: '', limit: 0, continue: '' }
  assert.throws(() => listConsistency({ ...position, resourceVersionMatch: 'Exact' }))
  assert.throws(() => listConsistency({ ...position, resourceVersionMatch: 'NotOlderThan' }))
})

const initial = (consistency: Consistency, marker: boolean): WatchStart => ({
  type: 'initial',
  consistency,
  marker,
})
const WATCH_CELLS: [boolean | undefined, string, WatchStart][] = [
  [undefined, '', initial(latest, false)],
  [undefined, '0', initial(any, false)],
  [undefined, '7', { type: 'after', revision: 7 }],
  [true, '', initial(latest, true)],
  [true, '0', initial(any, true)],
  [true, '7', initial(notOlder, true)],
  [false, '', { type: 'now', consistency: latest }],
  [false, '0', { type: 'now', consistency: any }],
  [false, '7', { type: 'after', revision: 7 }],
]

for (const [sendInitialEvents, resourceVersion, expected] of WATCH_CELLS) {
  const cell = `sendInitialEvents ${sendInitialEvents}, rv "${resourceVersion}"`
  test(`watchStart() with ${cell} starts ${expected.type}`, () => {
    const position = { resourceVersion }
    const full = sendInitialEvents === undefined ? position : { ...position, sendInitialEvents }
    assert.deepEqual(watchStart(full), expected)
  })
}

test('a resourceVersion that is no number is refused with the code its verb gives', () => {
  const position = {
    resourceVersion: 'abc',
    resourceVersionMatch: '',
    limit: 0,
    continue: '',
  } as const
  assert.throws(() => listConsistency(position), { code: 400 })
  assert.throws(() => watchStart({ resourceVersion: 'abc' }), { code: 500 })
  assert.throws(() => getConsistency('abc'), StatusError)
})
