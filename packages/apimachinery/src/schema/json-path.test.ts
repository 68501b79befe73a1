// JSONPath as printer columns use it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileJsonPath } from './json-path.ts'
import { printerCell, selectableFieldValue } from './printer-column.ts'

const OBJECT = {
  metadata: { creationTimestamp: '2024-01-02T03:04:05Z', labels: { 'a.b/c': 'dotted' } },
  spec: { hosts: ['x', 'y'], size: 2.5, on: true, nothing: null },
  status: {
    conditions: [
      { type: 'Ready', status: 'True' },
      { type: 'Synced', status: 'False', n: 3 },
    ],
  },
}

const CASES: readonly [string, unknown][] = [
  ['.spec.hosts', [['x', 'y']]],
  ['.spec.hosts[0]', ['x']],
  ['.spec.hosts[-1]', ['y']],
  ['.spec.hosts[*]', ['x', 'y']],
  ['.spec.hosts[0:2:2]', ['x']],
  ['.spec.hosts[5]', undefined],
  ['.spec.missing.deeper', []],
  ['.metadata.labels.a\\.b/c', ['dotted']],
  [".metadata.labels['a\\.b/c']", ['dotted']],
  ['.status.conditions[?(@.type=="Ready")].status', ['True']],
  ["$.status.conditions[?(@.type!='Ready')].type", ['Synced']],
  ['.status.conditions[?(@.n)].type', ['Synced']],
  ['.status.conditions[?(@.n>2)].type', ['Synced']],
  ['.status.conditions[*].type', ['Ready', 'Synced']],
  ["['spec','status']..type", ['Ready', 'Synced']],
  ['..n', [3]],
]

for (const [path, expected] of CASES) {
  test(`compileJsonPath() follows ${path}`, () => {
    const compiled = compileJsonPath(path)
    assert.ok(compiled.ok)
    assert.deepEqual(compiled.find(OBJECT), expected)
  })
}

for (const path of ['.a[', '.a[x]', '.a[?(@.b', '.a.."b', 'word', '#']) {
  test(`compileJsonPath() refuses ${path}`, () => assert.equal(compileJsonPath(path).ok, false))
}

test('printerCell() prints a value as the type of its column wants it', () => {
  const cell = (type: string, path: string) =>
    printerCell(type, path)?.(OBJECT, time => `age of ${time}`)
  assert.equal(cell('string', '.spec.hosts'), '["x","y"]')
  assert.equal(cell('string', '.spec.on'), 'true')
  assert.equal(cell('string', '.spec.nothing'), '<no value>')
  assert.equal(cell('integer', '.spec.size'), 2)
  assert.equal(cell('number', '.spec.size'), 2.5)
  assert.equal(cell('boolean', '.spec.size'), null)
  assert.equal(cell('string', '.spec.none'), null)
  assert.equal(cell('date', '.metadata.creationTimestamp'), 'age of 2024-01-02T03:04:05Z')
  assert.equal(printerCell('string', '.a['), undefined)
})

test('selectableFieldValue() is the text of a field, empty without one', () => {
  assert.equal(selectableFieldValue('.spec.on')(OBJECT), 'true')
  assert.equal(selectableFieldValue('.spec.none.x')(OBJECT), '')
})
