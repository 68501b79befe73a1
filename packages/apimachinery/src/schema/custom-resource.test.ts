// A version's schema at work on whole objects: metadata, embedded resources, lists, rules, updates.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FieldError, fieldErrorBody } from '../field-error.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import { customResourceSchema } from './custom-resource.ts'

const S = { type: 'string' }
const I = { type: 'integer' }
const obj = (properties: JsonObject, rest: JsonObject = {}): JsonObject => ({
  type: 'object',
  properties,
  ...rest,
})
const RULES = 'x-kubernetes-validations'
const resource = (spec: JsonValue, rest: JsonObject = {}): JsonObject => ({
  apiVersion: 'g.example.com/v1',
  kind: 'Thing',
  metadata: { name: 'one' },
  spec,
  ...rest,
})
const causes = (errors: readonly FieldError[]): string[] =>
  errors.map(error => `${error.field}: ${fieldErrorBody(error)}`)
const SKIPPED =
  '<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation'

test('customResourceSchema() gives equal schemas one instance', () => {
  const make = () => customResourceSchema(obj({ spec: obj({ shared: S }) }))
  const held = make()
  assert.equal(make(), held)
  assert.notEqual(customResourceSchema(obj({ spec: obj({ other: S }) })), held)
})

test('prune() brings metadata into its stored form and names what is unknown', () => {
  const schema = customResourceSchema(obj({ spec: obj({ a: S }) }))
  const object = resource({ a: 'x', b: 1 }, { extra: 1 })
  object.metadata = {
    name: 'one',
    nope: 1,
    labels: {},
    generation: 0,
    creationTimestamp: '2024-01-02T04:04:05.5+01:00',
    ownerReferences: [{ kind: 'K', name: 'n', x: 1 }],
  }
  assert.deepEqual(schema.prune(object), {
    unknown: ['metadata.ownerReferences[0].x', 'metadata.nope', 'extra', 'spec.b'],
  })
  assert.deepEqual(object.metadata, {
    name: 'one',
    creationTimestamp: '2024-01-02T03:04:05Z',
    ownerReferences: [{ apiVersion: '', kind: 'K', name: 'n', uid: '' }],
  })
})

test('prune() reports metadata that can not be read, in the words of Go', () => {
  const schema = customResourceSchema(obj({}))
  const object = resource({})
  object.metadata = { labels: { a: 1 } }
  const message =
    'json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string'
  assert.equal(schema.prune(object).error, message)
})

test('prune() keeps everything when the CRD preserves unknown fields', () => {
  const schema = customResourceSchema(obj({}), { preserveUnknownFields: true })
  const object = resource({ any: { thing: null } })
  assert.deepEqual(schema.prune(object), { unknown: [] })
  assert.deepEqual(object.spec, { any: { thing: null } })
})

test('embedded resources have their metadata pruned and checked', () => {
  const embedded = obj(
    {},
    {
      'x-kubernetes-embedded-resource': true,
      'x-kubernetes-preserve-unknown-fields': true,
    },
  )
  const schema = customResourceSchema(obj({ spec: obj({ emb: embedded }) }))
  const object = resource({
    emb: { apiVersion: 'a/b/c', kind: 'K_', metadata: { name: 'a/b', bogus: 1 }, x: 1 },
  })
  assert.deepEqual(schema.prune(object).unknown, ['spec.emb.metadata.bogus'])
  const fields = schema.validate(object).errors.map(error => error.field)
  assert.deepEqual(fields, ['spec.emb.apiVersion', 'spec.emb.kind', 'spec.emb.metadata.name'])
  const bare = schema.validate(resource({ emb: {} })).errors
  assert.deepEqual(causes(bare), [
    'spec.emb.apiVersion: Required value',
    'spec.emb.kind: Required value',
  ])
})

test('validate() refuses repeated set items and map keys, unless they were stored', () => {
  const list = (items: JsonObject, type: string, keys: string[]): JsonObject => ({
    type: 'array',
    items,
    'x-kubernetes-list-type': type,
    'x-kubernetes-list-map-keys': keys,
  })
  const schema = customResourceSchema(
    obj({
      spec: obj({ set: list(S, 'set', []), map: list(obj({ k: S, p: I }), 'map', ['p', 'k']) }),
    }),
  )
  const object = resource({
    set: ['a', 'b', 'a', 'a'],
    map: [{ k: 'x' }, { k: 'x', p: 1 }, { k: 'x' }],
  })
  assert.deepEqual(causes(schema.validate(object).errors), [
    'spec.set[2]: Duplicate value: "a"',
    'spec.map[2]: Duplicate value: {"k":"x"}',
  ])
  assert.deepEqual(schema.validate(object, { old: object }).errors, [])
})

const RULED = customResourceSchema(
  obj(
    {
      spec: obj(
        {
          min: I,
          max: I,
          mode: { ...S, maxLength: 9 },
          frozen: { ...S, [RULES]: [{ rule: 'self == oldSelf', message: ' frozen ' }] },
          ports: {
            type: 'object',
            additionalProperties: { ...I, [RULES]: [{ rule: 'self < 10' }] },
          },
          list: {
            type: 'array',
            items: obj({ k: S, v: { ...I, [RULES]: [{ rule: 'self >= oldSelf' }] } }),
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['k'],
          },
          once: {
            ...S,
            [RULES]: [
              {
                rule: 'oldSelf.hasValue() || self == "new"',
                optionalOldSelf: true,
                message: 'starts as new',
              },
            ],
          },
        },
        {
          [RULES]: [
            {
              rule: '!has(self.max) || self.min <= self.max',
              reason: 'FieldValueForbidden',
              message: 'too low',
              fieldPath: '.min',
            },
            {
              rule: '!has(self.mode) || self.mode == "on"',
              messageExpression: '"mode is " + self.mode',
            },
          ],
        },
      ),
    },
    {},
  ),
)

const RULE_CASES: readonly [string, JsonObject, readonly string[]][] = [
  ['nothing to say', { min: 1, max: 2, mode: 'on', once: 'new' }, []],
  ['reason and field path', { min: 3, max: 2 }, ['spec.min: Forbidden: too low']],
  ['message expression', { mode: 'off' }, ['spec: Invalid value: mode is off']],
  [
    'default message, and the key of a map',
    { ports: { http: 70 } },
    ['spec.ports[http]: Invalid value: 70: failed rule: self < 10'],
  ],
  ['transition rules on create', { frozen: 'x', list: [{ k: 'a', v: 1 }] }, []],
  ['an optional old value', { once: 'late' }, ['spec.once: Invalid value: "late": starts as new']],
  [
    'a failing evaluation',
    { max: 2 },
    ['spec: Invalid value: "object": no such key: min evaluating rule: too low'],
  ],
  [
    'schema errors',
    { min: 'x', mode: 'off' },
    [
      'spec.min: Invalid value: "string": spec.min in body must be of type integer: "string"',
      SKIPPED,
    ],
  ],
]

for (const [name, spec, expected] of RULE_CASES) {
  test(`validate() runs rules: ${name}`, () => {
    assert.deepEqual(causes(RULED.validate(resource(spec)).errors), expected)
  })
}

test('validate() pairs old values by field and by key of a list', () => {
  const old = resource({
    frozen: 'ice',
    list: [
      { k: 'a', v: 1 },
      { k: 'b', v: 5 },
    ],
  })
  const object = resource({
    frozen: 'water',
    list: [
      { k: 'b', v: 4 },
      { k: 'a', v: 1 },
      { k: 'c', v: 0 },
    ],
  })
  assert.deepEqual(causes(RULED.validate(object, { old }).errors), [
    'spec.frozen: Invalid value: "water": frozen',
    'spec.list[0].v: Invalid value: 4: failed rule: self >= oldSelf',
  ])
})

test('validate() turns failures of unchanged parts into warnings', () => {
  const old = resource({ mode: 'off', ports: { a: 70 } })
  const same = RULED.validate(resource({ mode: 'off', ports: { a: 70 } }), { old })
  assert.deepEqual(same.errors, [])
  assert.deepEqual(same.warnings, [
    'spec: Invalid value: mode is off',
    'spec.ports[a]: Invalid value: 70: failed rule: self < 10',
  ])
  const changed = RULED.validate(resource({ mode: 'off', ports: { a: 70, b: 1 } }), { old })
  assert.deepEqual(causes(changed.errors), ['spec: Invalid value: mode is off'])
})

test('validate() lets earlier errors keep rules from running', () => {
  const earlier: FieldError[] = [{ type: 'FieldValueRequired', field: 'metadata.name', detail: '' }]
  const found = RULED.validate(resource({ mode: 'off' }), { earlier })
  assert.deepEqual(causes(found.errors), [SKIPPED])
})

test('validate() works the same after its programs were dropped', () => {
  RULED.dropPrograms()
  assert.equal(RULED.validate(resource({ mode: 'off' })).errors.length, 1)
})

test('validate() of a status looks at the status alone, but runs all rules', () => {
  const schema = customResourceSchema(
    obj(
      { spec: obj({ n: I }), status: obj({ phase: { ...S, enum: ['Up'] } }) },
      {
        [RULES]: [
          {
            rule: '!has(self.status) || self.status.phase == "Up" || self.spec.n > 0',
            message: 'm',
          },
        ],
      },
    ),
  )
  const object = resource({ n: 'not checked here' }, { status: { phase: 'Sideways' } })
  const found = schema.validate(object, { old: resource({}), part: 'status' })
  assert.deepEqual(causes(found.errors), [
    'status.phase: Unsupported value: "Sideways": supported values: "Up"',
    SKIPPED,
  ])
})

test('rules at the root see the name of the object', () => {
  const schema = customResourceSchema(
    obj(
      {},
      { [RULES]: [{ rule: 'self.metadata.name.startsWith("c")', message: 'must start with c' }] },
    ),
  )
  assert.deepEqual(causes(schema.validate(resource({})).errors), [
    '<nil>: Invalid value: must start with c',
  ])
})

test('rules stop when the budget is spent', () => {
  const schema = customResourceSchema(
    obj({
      spec: obj({
        list: {
          type: 'array',
          items: I,
          [RULES]: [
            { rule: 'self.all(a, self.all(b, self.all(c, a + b + c >= 0)))' },
            { rule: 'false' },
          ],
        },
      }),
    }),
  )
  const list = Array.from({ length: 200 }, (_, i) => i)
  const [error, ...more] = schema.validate(resource({ list })).errors
  assert.match(error?.detail ?? '', /no further validation rules will be run/)
  assert.deepEqual(more, [])
})

test('rules of properties that CEL can not see are passed over', () => {
  const hidden = { 'x-kubernetes-preserve-unknown-fields': true, [RULES]: [{ rule: 'false' }] }
  const schema = customResourceSchema(
    obj({ spec: obj({ list: { type: 'array', items: hidden } }) }),
  )
  assert.deepEqual(schema.validate(resource({ list: [1] })).errors, [])
})
