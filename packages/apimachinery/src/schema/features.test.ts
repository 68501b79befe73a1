import assert from 'node:assert/strict'
import { test } from 'node:test'
import { featuresOf } from './features.ts'
import type { SchemaNode } from './node.ts'

const deep = (node: SchemaNode): SchemaNode => ({
  type: 'object',
  properties: new Map([
    ['a', { type: 'array', items: { type: 'object', additionalProperties: node } }],
  ]),
})

test('featuresOf() finds what a schema uses, however deep', () => {
  const none = { embedded: false, defaults: false, uniqueLists: false }
  assert.deepEqual(featuresOf(deep({ type: 'array', listType: 'atomic' })), none)
  const cases: [SchemaNode, keyof typeof none][] = [
    [{ type: 'object', embeddedResource: true }, 'embedded'],
    [{ type: 'boolean', default: false }, 'defaults'],
    [{ type: 'array', listType: 'set' }, 'uniqueLists'],
    [{ type: 'array', listType: 'map', listMapKeys: ['name'] }, 'uniqueLists'],
  ]
  for (const [node, feature] of cases)
    assert.deepEqual(featuresOf(deep(node)), { ...none, [feature]: true }, feature)
})
