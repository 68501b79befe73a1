// Compiling schemas, and refusing those that are not structural.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatFieldError } from '../field-error.ts'
import type { JsonObject } from '../json.ts'
import { ANY_VALUE, compileSchema, NO_VALUE } from './structural.ts'
import { unsupportedReason, validateStructural } from './structural-validation.ts'

const S = { type: 'string' }
const obj = (properties: JsonObject, rest: JsonObject = {}): JsonObject => ({
  type: 'object',
  properties,
  ...rest,
})

test('compileSchema() makes equal sub-schemas one node and keeps unequal ones apart', () => {
  const match = (maxLength: number) => ({ ...S, maxLength })
  const map = (additionalProperties: JsonObject | boolean) => ({
    type: 'object',
    additionalProperties,
  })
  const node = compileSchema(
    obj({
      a: obj({ x: match(1) }),
      b: obj({ x: match(1) }),
      c: obj({ x: match(2) }),
      d: map(true),
      e: map(false),
    }),
  )
  const of = (name: string) => node.properties?.get(name)
  assert.equal(of('a'), of('b'))
  assert.notEqual(of('a'), of('c'))
  assert.equal(of('d')?.additionalProperties, ANY_VALUE)
  assert.equal(of('e')?.additionalProperties, NO_VALUE)
})

test('compileSchema() drops descriptions unless they are wanted', () => {
  const schema = obj({ a: { ...S, description: 'text' } })
  assert.equal(compileSchema(schema).properties?.get('a')?.description, undefined)
  const kept = compileSchema(schema, { descriptions: true })
  assert.equal(kept.properties?.get('a')?.description, 'text')
})

const CASES: readonly [string, JsonObject, readonly string[]][] = [
  ['a plain one', obj({ a: S }), []],
  [
    'no type at the root',
    { properties: {} },
    ['p.type: Required value: must not be empty at the root'],
  ],
  [
    'another type at the root',
    { type: 'array', items: S },
    ['p.type: Invalid value: "array": must be object at the root'],
  ],
  [
    'no type below',
    obj({ a: {} }),
    ['p.properties[a].type: Required value: must not be empty for specified object fields'],
  ],
  [
    'no type of items',
    obj({ a: { type: 'array', items: {} } }),
    ['p.properties[a].items.type: Required value: must not be empty for specified array items'],
  ],
  [
    'no items',
    obj({ a: { type: 'array' } }),
    ['p.properties[a].items: Required value: must be specified'],
  ],
  [
    'additionalProperties at the root',
    { type: 'object', additionalProperties: S },
    ['p.additionalProperties: Forbidden: must not be used at the root'],
  ],
  [
    'a type in a junctor',
    obj({ a: { ...S, anyOf: [S] } }),
    ['p.properties[a].anyOf[0].type: Forbidden: must be empty to be structural'],
  ],
  [
    'int-or-string in its two forms',
    obj({
      a: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, S] },
      b: {
        'x-kubernetes-int-or-string': true,
        allOf: [{ anyOf: [{ type: 'integer' }, S] }, { minLength: 1 }],
      },
    }),
    [],
  ],
  [
    'a field known only to a junctor',
    obj({ a: S }, { oneOf: [{ properties: { b: {} } }] }),
    ['p.properties[b]: Required value: because it is defined in p.oneOf[0].properties[b]'],
  ],
  [
    'a bad pattern',
    obj({ a: { ...S, pattern: '(' } }),
    [
      'p.properties[a].pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: error parsing regexp: missing closing ): `(`',
    ],
  ],
  [
    'metadata with more than names',
    obj({ metadata: obj({ labels: { type: 'object' } }) }),
    [
      'p.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified',
    ],
  ],
  ['metadata with names only', obj({ metadata: obj({ name: { ...S, maxLength: 5 } }) }), []],
  [
    'an embedded resource that says nothing',
    obj({ e: { type: 'object', 'x-kubernetes-embedded-resource': true } }),
    [
      'p.properties[e].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
    ],
  ],
]

for (const [name, schema, expected] of CASES) {
  test(`validateStructural() judges ${name}`, () => {
    assert.deepEqual(validateStructural(schema, 'p').map(formatFieldError), expected)
  })
}

test('unsupportedReason() finds what no structural schema can hold, at any depth', () => {
  assert.equal(unsupportedReason(obj({ a: S })), undefined)
  const reason = unsupportedReason(obj({ a: { ...S, not: { $ref: '#/x' } } }))
  assert.equal(reason, "OpenAPIV3Schema '$ref' is not supported")
})
