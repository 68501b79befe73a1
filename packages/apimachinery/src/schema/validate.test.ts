// Value validation: which causes a bad value yields, in upstream's words.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldErrorBody } from '../field-error.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import { Correlation } from './correlate.ts'
import { compileSchema } from './structural.ts'
import { validateValue } from './validate.ts'

/** The causes of `{f: value}` under the given schema of f. */
function causes(schema: JsonObject, value: JsonValue): string[] {
  const node = compileSchema({ type: 'object', properties: { f: schema } })
  return validateValue(node, { f: value }).map(e => `${e.type} ${e.field} ${fieldErrorBody(e)}`)
}

const S = { type: 'string' }
const I = { type: 'integer' }
const INVALID = 'FieldValueInvalid f Invalid value:'
const TYPE = 'FieldValueTypeInvalid f Invalid value:'
const LOOSE = 'FieldValueInvalid <nil> Invalid value: "":'

const CASES: readonly [string, JsonObject, JsonValue, readonly string[]][] = [
  ['type', S, 5, [`${TYPE} "integer": f in body must be of type string: "integer"`]],
  [
    'list for object',
    { type: 'object' },
    [],
    [`${TYPE} "array": f in body must be of type object: "array"`],
  ],
  ['null', S, null, [`${TYPE} "null": f in body must be of type string: "null"`]],
  ['nullable', { ...S, nullable: true }, null, []],
  ['integers are numbers', { type: 'number' }, 3, []],
  [
    'fraction for integer',
    I,
    1.5,
    [
      `${TYPE} "number": f in body must be of type integer: "number"`,
      `${LOOSE} Checked value must be of type integer (default format) in f`,
    ],
  ],
  [
    'int32',
    { ...I, format: 'int32' },
    2 ** 31,
    [`${LOOSE} Checked value must be of type integer with format int32 in f`],
  ],
  ['maxLength counts characters', { ...S, maxLength: 2 }, 'ää', []],
  [
    'maxLength',
    { ...S, maxLength: 1 },
    'ab',
    ['FieldValueTooLong f Too long: may not be more than 1 byte'],
  ],
  [
    'minLength',
    { ...S, minLength: 3 },
    'ab',
    [`${INVALID} "ab": f in body should be at least 3 chars long`],
  ],
  ['pattern', { ...S, pattern: '^a+$' }, 'b', [`${INVALID} "b": f in body should match '^a+$'`]],
  ['RE2 pattern', { ...S, pattern: '(?i)^A\\z' }, 'a', []],
  [
    'enum',
    { ...S, enum: ['x', 'y'] },
    'z',
    ['FieldValueNotSupported f Unsupported value: "z": supported values: "x", "y"'],
  ],
  [
    'enum of numbers',
    { ...I, enum: [1, 2] },
    3,
    ['FieldValueNotSupported f Unsupported value: 3: supported values: "1", "2"'],
  ],
  [
    'minimum',
    { ...I, minimum: 2 },
    1,
    [`${INVALID} 1: f in body should be greater than or equal to 2`],
  ],
  [
    'exclusive maximum',
    { type: 'number', maximum: 2, exclusiveMaximum: true },
    2,
    [`${INVALID} 2: f in body should be less than 2`],
  ],
  ['a fractional bound is cut for integers', { type: 'number', minimum: 0.5 }, 0, []],
  [
    'the lowest int64 is no bound of integers',
    { ...I, minimum: -(2 ** 63) },
    1,
    [`${LOOSE} Minimum boundary value must be of type integer (default format) in f`],
  ],
  [
    'a bound beyond 2^53 is shown in full',
    { ...I, minimum: 2 ** 60 },
    1,
    [`${INVALID} 1: f in body should be greater than or equal to 1152921504606846976`],
  ],
  ['multipleOf', { ...I, multipleOf: 5 }, 7, [`${INVALID} 7: f in body should be a multiple of 5`]],
  ['multipleOf a fraction', { type: 'number', multipleOf: 0.1 }, 0.3, []],
  [
    'items',
    { type: 'array', items: S },
    ['a', 1],
    [
      'FieldValueTypeInvalid f[1] Invalid value: "integer": f[1] in body must be of type string: "integer"',
    ],
  ],
  [
    'minItems',
    { type: 'array', items: S, minItems: 1 },
    [],
    [`${INVALID} 0: f in body should have at least 1 items`],
  ],
  [
    'maxItems',
    { type: 'array', items: S, maxItems: 1 },
    ['a', 'b'],
    ['FieldValueTooMany f Too many: 2: must have at most 1 item'],
  ],
  [
    'maxProperties',
    { type: 'object', additionalProperties: I, maxProperties: 1 },
    { a: 1, b: 2 },
    ['FieldValueTooMany f Too many: 2: must have at most 1 item'],
  ],
  [
    'values of a map',
    { type: 'object', additionalProperties: I },
    { a: 'x' },
    [
      'FieldValueTypeInvalid f.a Invalid value: "string": f.a in body must be of type integer: "string"',
    ],
  ],
  [
    'no additional properties',
    { type: 'object', additionalProperties: false },
    { a: 1 },
    [`${INVALID} "a": f.a in body is a forbidden property`],
  ],
  ['any additional properties', { type: 'object', additionalProperties: true }, { a: [1] }, []],
  [
    'required',
    { type: 'object', properties: { a: S }, required: ['a'] },
    {},
    ['FieldValueRequired f.a Required value'],
  ],
  ['int or string', { 'x-kubernetes-int-or-string': true }, '50%', []],
  [
    'neither int nor string',
    { 'x-kubernetes-int-or-string': true },
    true,
    [`${TYPE} "boolean": f in body must be of type integer,string: "boolean"`],
  ],
  [
    'format',
    { ...S, format: 'date-time' },
    'now',
    [`${TYPE} "now": f in body must be of type date-time: "now"`],
  ],
  ['unknown formats are ignored', { ...S, format: 'colour' }, 'x', []],
  [
    'a number where a format is known',
    { ...S, format: 'date' },
    5,
    [`${TYPE} "int64": f in body must be of type date: "int64"`],
  ],
  ['not', { ...S, not: { enum: ['x'] } }, 'x', [`${LOOSE} "f" must not validate the schema (not)`]],
  [
    'allOf',
    { ...S, allOf: [{ minLength: 1 }, { maxLength: 1 }] },
    'ab',
    [
      'FieldValueTooLong f Too long: may not be more than 1 byte',
      `${LOOSE} "f" must validate all the schemas (allOf)`,
    ],
  ],
  ['anyOf', { ...S, anyOf: [{ maxLength: 1 }, { pattern: '^b' }] }, 'bb', []],
  [
    'oneOf reports the alternative that came furthest',
    {
      type: 'object',
      properties: { a: S, b: I },
      oneOf: [{ required: ['a'] }, { required: ['b'], properties: { b: { minimum: 3 } } }],
    },
    { b: 1 },
    [
      `${LOOSE} "f" must validate one and only one schema (oneOf). Found none valid`,
      'FieldValueInvalid f.b Invalid value: 1: f.b in body should be greater than or equal to 3',
    ],
  ],
  [
    'oneOf with two',
    { ...S, oneOf: [{ minLength: 1 }, { maxLength: 9 }] },
    'ab',
    [`${LOOSE} "f" must validate one and only one schema (oneOf). Found 2 valid alternatives`],
  ],
]

for (const [name, schema, value, expected] of CASES) {
  test(`validateValue() words a failure of ${name}`, () => {
    assert.deepEqual(causes(schema, value), expected)
  })
}

test('validateValue() names a part of an object below its field path', () => {
  const node = compileSchema({ type: 'object', properties: { phase: { ...S, minLength: 2 } } })
  const [error] = validateValue(node, { phase: 'x' }, { fieldPath: 'status' })
  assert.equal(error?.field, 'status.phase')
  assert.equal(error?.detail, 'phase in body should be at least 2 chars long')
})

test('validateValue() forgives what an update did not change', () => {
  const entry = {
    type: 'object',
    properties: { k: S, v: { ...S, maxLength: 1 } },
    required: ['k'],
  }
  const node = compileSchema({
    type: 'object',
    properties: {
      map: {
        type: 'array',
        items: entry,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['k'],
      },
      atomic: { type: 'array', items: { ...S, maxLength: 1 } },
    },
  })
  const old = {
    map: [
      { k: 'a', v: 'long' },
      { k: 'b', v: 'long' },
    ],
    atomic: ['long', 'x'],
  }
  const update = {
    map: [
      { k: 'b', v: 'longer' },
      { k: 'a', v: 'long' },
    ],
    atomic: ['long', 'y'],
  }
  const fields = validateValue(node, update, { correlation: new Correlation(update, old, node) })
  assert.deepEqual(
    fields.map(e => e.field),
    ['map[0].v', 'atomic[0]'],
  )
  const same = validateValue(node, old, { correlation: new Correlation(old, old, node) })
  assert.deepEqual(same, [])
})
