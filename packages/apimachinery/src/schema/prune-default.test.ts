// Pruning and defaulting: what they drop, what they fill in, and that doing either twice changes nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cloneJson, type JsonObject, type JsonValue } from '../json.ts'
import { customResourceSchema } from './custom-resource.ts'
import { applyDefaults, pruneForbiddenNulls } from './default.ts'
import { pruneUnknownFields } from './prune.ts'
import { compileSchema } from './structural.ts'

const S = { type: 'string' }
const obj = (properties: JsonObject, rest: JsonObject = {}): JsonObject => ({
  type: 'object',
  properties,
  ...rest,
})

test('pruneUnknownFields() drops unknown fields and names them, sorted', () => {
  const node = compileSchema(
    obj({ spec: obj({ a: S, list: { type: 'array', items: obj({ k: S }) } }) }),
  )
  const value = {
    apiVersion: 'g/v1',
    kind: 'K',
    metadata: { name: 'n' },
    status: {},
    spec: { z: 1, a: 'x', list: [{ k: 'k' }, { q: 1 }] },
  }
  assert.deepEqual(pruneUnknownFields(value, node, { resourceRoot: true }), [
    'spec.list[1].q',
    'spec.z',
    'status',
  ])
  assert.deepEqual(value, {
    apiVersion: 'g/v1',
    kind: 'K',
    metadata: { name: 'n' },
    spec: { a: 'x', list: [{ k: 'k' }, {}] },
  })
})

test('pruneUnknownFields() keeps what is preserved, but prunes what the schema describes in it', () => {
  const open = { 'x-kubernetes-preserve-unknown-fields': true }
  const node = compileSchema(obj({ open: obj({ known: obj({ z: S }) }, open) }))
  const value = { open: { extra: { y: 1 }, known: { z: 'z', zz: 1 }, list: [{ q: 1 }] } }
  assert.deepEqual(pruneUnknownFields(value, node), ['open.known.zz'])
  assert.deepEqual(value, { open: { extra: { y: 1 }, known: { z: 'z' }, list: [{ q: 1 }] } })
})

test('pruneUnknownFields() keeps the keys of a map whose values are unknown, not their content', () => {
  const node = compileSchema(obj({ m: { type: 'object', additionalProperties: true } }))
  const value: JsonObject = { m: { a: 1, b: { c: 1 } } }
  assert.deepEqual(pruneUnknownFields(value, node), ['m.b.c'])
  assert.deepEqual(value, { m: { a: 1, b: {} } })
})

test('pruneUnknownFields() spares the metadata of embedded resources', () => {
  const embedded = { 'x-kubernetes-embedded-resource': true }
  const node = compileSchema(obj({ e: obj({ spec: S }, embedded) }))
  const value = { e: { kind: 'K', apiVersion: 'v1', metadata: { any: 1 }, spec: 's', x: 1 } }
  assert.deepEqual(pruneUnknownFields(value, node), ['e.x'])
})

test('applyDefaults() fills in nested defaults, in lists and maps too', () => {
  const inner = obj({ v: { ...S, default: 'vv' } })
  const node = compileSchema(
    obj({
      def: obj({ a: { ...S, default: 'dd' } }, { default: {} }),
      list: { type: 'array', items: inner },
      map: { type: 'object', additionalProperties: inner },
    }),
  )
  const value: JsonObject = { list: [{}, { v: 'own' }], map: { k: {} } }
  applyDefaults(value, node)
  assert.deepEqual(value, {
    def: { a: 'dd' },
    list: [{ v: 'vv' }, { v: 'own' }],
    map: { k: { v: 'vv' } },
  })
})

test('nulls: one with a default takes it, one without is dropped, nullable ones and list items stay', () => {
  const node = compileSchema(
    obj({
      d: { ...S, default: 'dd' },
      gone: S,
      ok: { ...S, nullable: true, default: 'never' },
      list: { type: 'array', items: S },
    }),
  )
  const value: JsonObject = { d: null, gone: null, ok: null, list: [null] }
  pruneForbiddenNulls(value, node)
  assert.deepEqual(value, { d: null, ok: null, list: [null] })
  applyDefaults(value, node)
  assert.deepEqual(value, { d: 'dd', ok: null, list: [null] })
})

test('applyDefaults() copies a default, so objects do not share it', () => {
  const node = compileSchema(
    obj({
      d: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, default: { a: [1] } },
    }),
  )
  const [one, two]: [JsonObject, JsonObject] = [{}, {}]
  applyDefaults(one, node)
  applyDefaults(two, node)
  assert.notEqual(one.d, two.d)
  assert.deepEqual(one, two)
})

test('names like __proto__ are ordinary fields', () => {
  const properties = JSON.parse('{"__proto__": {"type": "string", "default": "x"}}') as JsonObject
  const node = compileSchema(obj(properties))
  const value: JsonObject = {}
  applyDefaults(value, node)
  assert.equal(JSON.stringify(value), '{"__proto__":"x"}')
  assert.deepEqual(pruneUnknownFields(value, node), [])
})

const NAMES = ['a', 'b', 'c']
const leaf = fc.constantFrom<JsonObject>(
  S,
  { ...S, default: 'd' },
  { ...S, nullable: true },
  { type: 'integer', default: 1 },
  { 'x-kubernetes-preserve-unknown-fields': true },
)
const { schema } = fc.letrec<{ schema: JsonObject }>(tie => ({
  schema: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc
      .tuple(fc.dictionary(fc.constantFrom(...NAMES), tie('schema')), fc.boolean())
      .map(([properties, open]) =>
        obj(properties, open ? { 'x-kubernetes-preserve-unknown-fields': true, default: {} } : {}),
      ),
    tie('schema').map(items => ({ type: 'array', items })),
    tie('schema').map(values => ({ type: 'object', additionalProperties: values })),
  ),
}))
const { value } = fc.letrec<{ value: JsonValue }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<JsonValue>(null, 'x', 1, true),
    fc.dictionary(fc.constantFrom(...NAMES, 'zz'), tie('value')),
    fc.array(tie('value'), { maxLength: 3 }),
  ),
}))

test('pruning and defaulting are idempotent, and defaults survive pruning', () => {
  fc.assert(
    fc.property(schema, value, (rawSchema, sent) => {
      const node = compileSchema(rawSchema)
      const once = cloneJson(sent)
      pruneUnknownFields(once, node)
      const pruned = cloneJson(once)
      assert.deepEqual(pruneUnknownFields(once, node), [])
      assert.deepEqual(once, pruned)
      pruneForbiddenNulls(once, node)
      applyDefaults(once, node)
      const filled = cloneJson(once)
      applyDefaults(once, node)
      pruneForbiddenNulls(once, node)
      assert.deepEqual(once, filled)
      assert.deepEqual(pruneUnknownFields(once, node), [])
    }),
  )
})

test('what was accepted stays accepted and as it is when it comes back from the store', () => {
  let accepted = 0
  fc.assert(
    fc.property(schema, value, (rawSchema, sent) => {
      const made = customResourceSchema(obj({ spec: rawSchema }))
      const stored: JsonObject = { apiVersion: 'g/v1', kind: 'K', metadata: { name: 'n' } }
      stored.spec = cloneJson(sent)
      made.prune(stored)
      made.default(stored)
      if (made.validate(stored).errors.length > 0) return
      accepted += 1
      const read = JSON.parse(JSON.stringify(stored)) as JsonObject
      assert.deepEqual(made.prune(read), { unknown: [] })
      made.default(read)
      assert.deepEqual(read, stored)
      assert.deepEqual(made.validate(read, { old: stored }), { errors: [], warnings: [] })
      assert.deepEqual(made.validate(read).errors, [])
    }),
    { numRuns: 500 },
  )
  assert.ok(accepted > 50, `only ${accepted} of the values were valid`)
})
