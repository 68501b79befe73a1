// Between a stored object and what is served: whatever a schema accepted, it still accepts after the object was stored and
// read again, and nothing about it changed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cloneJson,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  parseExact,
} from '@podless/apimachinery'
import { storedObject } from '@podless/storage'
import fc from 'fast-check'
import { CompiledSchemas, resourcesFromCrd } from '../custom/resource-from-crd.ts'
import type { Resource } from '../resource.ts'
import { decodeStored, encodeForStorage, servedBytes } from './stored-form.ts'

interface Typed {
  readonly schema: JsonObject
  readonly values: fc.Arbitrary<JsonValue>
}

const typed = (schema: JsonObject, values: fc.Arbitrary<JsonValue>): fc.Arbitrary<Typed> =>
  fc.constant({ schema, values })

const anyJson = fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<JsonValue>

/** Schemas of single values, each with values that it mostly accepts. */
const LEAVES: fc.Arbitrary<Typed> = fc.oneof(
  typed({ type: 'string' }, fc.string()),
  typed({ type: 'string', maxLength: 4, pattern: '^[a-z]*$' }, fc.string({ maxLength: 5 })),
  typed({ type: 'string', enum: ['a', 'b'] }, fc.constantFrom('a', 'b', 'c')),
  typed({ type: 'string', default: 'filled' }, fc.string()),
  typed({ type: 'string', nullable: true }, fc.option(fc.string())),
  typed({ type: 'string', format: 'date-time' }, fc.constant('2024-02-29T12:00:00Z')),
  typed({ type: 'integer', minimum: -5, default: 3 }, fc.integer({ min: -6, max: 2 ** 40 })),
  typed({ type: 'number' }, fc.double({ noNaN: true, noDefaultInfinity: true })),
  typed({ type: 'boolean' }, fc.boolean()),
  typed({ 'x-kubernetes-int-or-string': true }, fc.oneof(fc.integer(), fc.string())),
  typed(
    { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    fc.dictionary(fc.string(), anyJson),
  ),
  typed(
    { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'integer' } },
    fc.array(fc.integer({ max: 5, min: 0 }), { maxLength: 3 }),
  ),
  typed(
    {
      type: 'integer',
      'x-kubernetes-validations': [{ rule: 'self % 2 == 0', message: 'must be even' }],
    },
    fc.integer(),
  ),
)

/** What holds other values: objects, maps and lists. */
function holding(inner: fc.Arbitrary<Typed>): fc.Arbitrary<Typed> {
  const fields = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'é', 'toString'), { minLength: 1 })
  const objects = fields.chain(names =>
    fc.tuple(...names.map(() => inner)).map(parts => {
      const properties = Object.fromEntries(parts.map(({ schema }, i) => [names[i], schema]))
      const known = Object.fromEntries(parts.map(({ values }, i) => [names[i], values])) as Record<
        string,
        fc.Arbitrary<JsonValue>
      >
      const values = fc.record({ ...known, unknown: anyJson }, { requiredKeys: [] })
      return { schema: { type: 'object', properties }, values }
    }),
  )
  const maps = inner.map(({ schema, values }) => ({
    schema: { type: 'object', additionalProperties: schema },
    values: fc.dictionary(fc.string(), values, { maxKeys: 3 }),
  }))
  const lists = inner.map(({ schema, values }) => ({
    schema: { type: 'array', items: schema },
    values: fc.array(values, { maxLength: 3 }),
  }))
  return fc.oneof(objects, maps, lists) as fc.Arbitrary<Typed>
}

const schemas = fc.oneof(LEAVES, holding(LEAVES), holding(holding(LEAVES)))

/** A CRD with two versions of the same schema, which was changed once if `generation` says so. */
function resourceOf(spec: JsonObject, generation: number, served: string): Resource {
  const schema = { openAPIV3Schema: { type: 'object', properties: { spec } } }
  const crd: KubeObject = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'things.example.com', uid: 'u', generation },
    spec: {
      group: 'example.com',
      scope: 'Cluster',
      names: { plural: 'things', kind: 'Thing' },
      versions: [
        { name: 'v1', served: true, storage: true, schema },
        { name: 'v2', served: true, storage: false, schema },
      ],
    },
  }
  const source = {
    load: () => cloneJson(crd),
    schemas: new CompiledSchemas(),
    caller: { call: () => assert.fail('nothing is converted by a webhook') },
  }
  const resource = resourcesFromCrd(crd, source).find(({ gvr }) => gvr.version === served)
  assert.ok(resource)
  return resource
}

test('what was valid when it was stored is valid, and the same, when it is read', () => {
  let accepted = 0
  const scenario = schemas.chain(({ schema, values }) =>
    fc.record({
      schema: fc.constant(schema),
      value: values,
      generation: fc.integer({ min: 1, max: 2 }),
      version: fc.constantFrom('v1', 'v2'),
    }),
  )
  fc.assert(
    fc.property(scenario, ({ schema, value, generation, version }) => {
      const resource = resourceOf(schema, generation, version)
      const { custom } = resource
      assert.ok(custom)
      const sent = JSON.stringify(value)
      const obj = {
        apiVersion: `example.com/${version}`,
        kind: 'Thing',
        metadata: { name: 'thing', uid: 'u' },
        spec: parseExact(sent),
      } as KubeObject
      custom.prune(obj)
      custom.default(obj)
      if (custom.validate(obj).errors.length > 0) return
      accepted += 1

      const stored = storedObject('/registry/k', encodeForStorage(obj, resource), 7)
      const read = decodeStored(stored, resource)
      assert.deepEqual(custom.validate(read).errors, [])
      assert.equal(read.metadata.resourceVersion, '7')
      delete read.metadata.resourceVersion
      assert.deepEqual(cloneJson(read), cloneJson(obj))
      assert.deepEqual(
        parseExact(servedBytes(stored, resource).toString()),
        decodeStored(stored, resource),
      )
    }),
    { numRuns: 400 },
  )
  assert.ok(accepted > 100, `only ${accepted} objects were valid`)
})
