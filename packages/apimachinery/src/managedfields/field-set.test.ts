// Tests of field-set.ts and path-element.ts. Run by node:test.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FieldSet, printPath } from './field-set.ts'
import { FieldsFormatError, keyElement, parseElement, valueElement } from './path-element.ts'

const element = fc.oneof(
  fc.constantFrom('f:a', 'f:b', 'f:c.d'),
  fc.constantFrom('x', '<&>', 'é').map(valueElement),
  fc.constantFrom(1, 10, 2).map(port =>
    keyElement([
      ['port', port],
      ['a', 'tcp'],
    ]),
  ),
)
const paths = fc.array(fc.array(element, { minLength: 1, maxLength: 4 }), { maxLength: 8 })
const set = paths.map(list => {
  const made = new FieldSet()
  for (const path of list) made.insert(path)
  return made
})

function same(a: FieldSet, b: FieldSet): void {
  assert.deepEqual(a.toFieldsV1(), b.toFieldsV1())
  assert.ok(a.equals(b))
}

test('FieldSet keeps the laws of sets', () => {
  fc.assert(
    fc.property(set, set, set, (a, b, c) => {
      same(a.union(b), b.union(a))
      same(a.union(b).union(c), a.union(b.union(c)))
      same(a.union(a), a)
      same(a.intersection(b), b.intersection(a))
      same(a.intersection(a), a)
      same(a.intersection(b.union(c)), a.intersection(b).union(a.intersection(c)))
      same(a.difference(b).union(a.intersection(b)), a)
      assert.ok(a.difference(a).isEmpty)
      assert.ok(a.difference(b).intersection(b).isEmpty)
      same(a.recursiveDifference(b).difference(a), new FieldSet())
    }),
  )
})

test('FieldSet holds exactly the paths inserted and survives fieldsV1', () => {
  fc.assert(
    fc.property(paths, list => {
      const made = new FieldSet()
      for (const path of list) made.insert(path)
      const read = FieldSet.fromFieldsV1(made.toFieldsV1())
      same(read, made)
      const expected = new Set(list.map(path => JSON.stringify(path)))
      assert.deepEqual(new Set(read.paths().map(path => JSON.stringify(path))), expected)
      for (const path of list) assert.ok(read.has(path))
    }),
  )
})

test('FieldSet.recursiveDifference takes what lies below, difference does not', () => {
  const below = FieldSet.ofFields(['a', 'b', 'c'], ['a', 'x'])
  const parent = FieldSet.ofFields(['a', 'b'])
  assert.deepEqual(below.recursiveDifference(parent).toFieldsV1(), { 'f:a': { 'f:x': {} } })
  same(below.difference(parent), below)
})

test('FieldSet writes elements in the order fields, keys, values, and marks members with children', () => {
  const made = new FieldSet()
  const number = (port: number) => keyElement([['port', port]])
  for (const last of [valueElement('x'), number(10), number(9), 'f:z', 'f:a'])
    made.insert(['f:s', last])
  made.insert(['f:s', 'f:a', 'f:b'])
  made.insert(['f:s'])
  assert.deepEqual(Object.keys(made.toFieldsV1()['f:s'] as object), [
    '.',
    'f:a',
    'f:z',
    'k:{"port":9}',
    'k:{"port":10}',
    'v:"x"',
  ])
  assert.deepEqual(made.toFieldsV1(), {
    'f:s': {
      '.': {},
      'f:a': { '.': {}, 'f:b': {} },
      'f:z': {},
      'k:{"port":9}': {},
      'k:{"port":10}': {},
      'v:"x"': {},
    },
  })
})

test('fromFieldsV1 skips unknown kinds of elements and refuses text that is none', () => {
  const read = FieldSet.fromFieldsV1({ 'f:a': { 'q:future': {} }, 'x:y': {} })
  assert.deepEqual(read.toFieldsV1(), { 'f:a': {} })
  for (const key of ['a', 'fa', 'k:{', 'v:', 'i:x', 'k:[1]']) {
    assert.throws(() => FieldSet.fromFieldsV1({ [key]: {} }), FieldsFormatError)
  }
})

test('path elements are canonical and escape HTML as Go does', () => {
  assert.equal(parseElement('k:{ "b": 1, "a": "<" }'), 'k:{"a":"\\u003c","b":1}')
  assert.equal(parseElement('v:"\\u003c"'), valueElement('<'))
  assert.equal(
    printPath([
      'f:spec',
      'f:ports',
      keyElement([
        ['protocol', 'TCP'],
        ['port', 80],
      ]),
      'f:name',
    ]),
    '.spec.ports[port=80,protocol="TCP"].name',
  )
  assert.equal(printPath(['f:a', valueElement('x'), 'i:3']), '.a[="x"][3]')
})
