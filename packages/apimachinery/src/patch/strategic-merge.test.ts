// Tests of strategic-merge.ts. Run by node:test; calls only what the package exports.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { JsonObject, JsonValue } from '../json.ts'
import type { SchemaNode } from '../schema/node.ts'
import { StatusError } from '../status.ts'
import { applyStrategicMergePatch } from './strategic-merge.ts'

const text: SchemaNode = { type: 'string', goType: 'string' }
const texts: SchemaNode = { type: 'array', items: text }
const struct = (goType: string, fields: Record<string, SchemaNode>): SchemaNode => ({
  type: 'object',
  goType,
  properties: new Map(Object.entries(fields)),
})
const merged = (items: SchemaNode, patchMergeKey: string): SchemaNode => ({
  type: 'array',
  items,
  patchStrategy: ['merge'],
  patchMergeKey,
})
const reference = struct('v1.ObjectReference', { name: text, namespace: text })
const port = struct('v1.Port', { port: { type: 'integer' }, name: text })
const ACCOUNT = struct('v1.ServiceAccount', {
  metadata: struct('v1.ObjectMeta', {
    labels: { type: 'object', goType: 'map[string]string', additionalProperties: text },
    finalizers: { ...texts, patchStrategy: ['merge'] },
  }),
  secrets: merged(reference, 'name'),
  imagePullSecrets: { type: 'array', items: reference },
  strategy: {
    ...struct('v1.Strategy', { type: text, rolling: reference }),
    patchStrategy: ['retainKeys'],
  },
  whole: { ...reference, patchStrategy: ['replace'] },
  containers: merged(
    struct('v1.Container', { name: text, image: text, ports: merged(port, 'port') }),
    'name',
  ),
  maps: {
    type: 'object',
    goType: 'map[string]v1.ObjectReference',
    additionalProperties: reference,
  },
})

const apply = (doc: JsonObject, patch: JsonValue) => applyStrategicMergePatch(doc, patch, ACCOUNT)
const names = (...list: string[]) => list.map(name => ({ name }))

const CASES: [name: string, doc: JsonObject, patch: JsonObject, result: JsonObject][] = [
  [
    'a list merges by key, what is new first',
    { secrets: names('s1', 's2') },
    { secrets: names('s3') },
    { secrets: names('s3', 's1', 's2') },
  ],
  [
    'an item of the same key merges',
    { secrets: [{ name: 'a', namespace: 'x' }] },
    { secrets: [{ name: 'a', namespace: null }] },
    { secrets: names('a') },
  ],
  [
    '$patch delete drops an item',
    { secrets: names('s1', 's2') },
    { secrets: [{ $patch: 'delete', name: 's1' }] },
    { secrets: names('s2') },
  ],
  [
    '$patch replace replaces a merged list',
    { secrets: names('s1', 's2') },
    { secrets: [{ $patch: 'replace' }, { name: 's3' }] },
    { secrets: names('s3') },
  ],
  [
    'an atomic list is taken as it is, directives too',
    { imagePullSecrets: names('p1') },
    { imagePullSecrets: [{ $patch: 'replace' }, { name: 'only' }] },
    { imagePullSecrets: [{ $patch: 'replace' }, { name: 'only' }] },
  ],
  [
    '$setElementOrder orders',
    { secrets: names('s2', 's3') },
    { '$setElementOrder/secrets': names('s3', 's2') },
    { secrets: names('s3', 's2') },
  ],
  [
    '$setElementOrder leaves other items in between',
    { secrets: names('a', 'b', 'c', 'd') },
    { '$setElementOrder/secrets': names('d', 'b') },
    { secrets: names('a', 'c', 'd', 'b') },
  ],
  [
    'a new item takes the place of a deleted one',
    { secrets: names('q', 'p', 'r') },
    {
      '$setElementOrder/secrets': names('s'),
      secrets: [{ name: 'p', $patch: 'delete' }, { name: 's' }],
    },
    { secrets: names('q', 'r', 's') },
  ],
  [
    '$deleteFromPrimitiveList deletes',
    { metadata: { finalizers: ['a', 'b'] } },
    { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } },
    { metadata: { finalizers: ['b'] } },
  ],
  [
    'a list of scalars merges as a set',
    { metadata: { finalizers: ['b'] } },
    { metadata: { finalizers: ['c', 'b'] } },
    { metadata: { finalizers: ['c', 'b'] } },
  ],
  [
    '$patch replace replaces a map',
    { metadata: { labels: { a: '1' } } },
    { metadata: { labels: { only: 'x', $patch: 'replace' } } },
    { metadata: { labels: { only: 'x' } } },
  ],
  [
    '$patch delete empties a map',
    { metadata: { labels: { a: '1' } } },
    { metadata: { labels: { $patch: 'delete' } } },
    { metadata: { labels: {} } },
  ],
  [
    '$patch where there is nothing vanishes',
    {},
    { metadata: { labels: { only: 'x', $patch: 'replace' } } },
    { metadata: {} },
  ],
  [
    '$retainKeys clears the other keys',
    { strategy: { type: 'Rolling', rolling: { name: 'x' } } },
    { strategy: { $retainKeys: ['type'], type: 'Recreate' } },
    { strategy: { type: 'Recreate' } },
  ],
  [
    'the strategy replace replaces a struct',
    { whole: { name: 'a', namespace: 'b' } },
    { whole: { name: 'c' } },
    { whole: { name: 'c' } },
  ],
  [
    'null deletes and is dropped from what is new',
    { strategy: { type: 'x' } },
    { strategy: null, whole: { name: null } },
    { whole: {} },
  ],
  [
    'lists merge inside list items',
    { containers: [{ name: 'a', ports: [{ port: 1 }, { port: 2, name: 'x' }] }] },
    { containers: [{ name: 'a', ports: [{ port: 2, name: 'y' }] }] },
    { containers: [{ name: 'a', ports: [{ port: 1 }, { port: 2, name: 'y' }] }] },
  ],
  [
    'another type of value is taken',
    { whole: { name: 'a' } },
    { whole: 'text' },
    { whole: 'text' },
  ],
]
for (const [name, doc, patch, result] of CASES) {
  test(`applyStrategicMergePatch: ${name}`, () => {
    const before = JSON.stringify([doc, patch])
    assert.deepEqual(apply(doc, patch), result)
    assert.equal(JSON.stringify([doc, patch]), before)
  })
}

const REFUSALS: [patch: JsonValue, code: number, message: string][] = [
  [
    { secrets: [{ namespace: 'x' }] },
    500,
    'map: map[namespace:x] does not contain declared merge key: name',
  ],
  [{ $patch: 'explode' }, 500, 'unknown patch type: explode in map: map[$patch:explode]'],
  [
    { secrets: [{ $patch: 'merge', name: 'a' }] },
    500,
    'merging lists cannot yet be specified in the patch',
  ],
  [
    { secrets: [{ name: 'a' }, 'text'] },
    500,
    'list element types are not identical: [[map[name:s]] [map[name:a] text]]',
  ],
  [
    { secrets: [[1]], '$setElementOrder/none': [] },
    500,
    'unable to find api field in struct ServiceAccount for the json field "none"',
  ],
  [
    { maps: { a: { name: 'b' } } },
    500,
    'merging an object in json but data type is not struct, instead is: map',
  ],
  [{ $retainKeys: 'a' }, 400, 'invalid patch format of retainKeys'],
  [{ $retainKeys: ['secrets'], whole: {} }, 400, 'invalid patch format of retainKeys'],
  [{ $deleteFromPrimitiveList: ['a'] }, 400, 'invalid patch format of primitive list'],
  [{ $setElementOrder: ['a'] }, 400, 'invalid patch format of setElementOrder list'],
  [[1], 400, 'json: cannot unmarshal array into Go value of type map[string]interface {}'],
  [
    { secrets: names('a', 'b'), '$setElementOrder/secrets': names('b', 'a') },
    500,
    "The order in patch list:\n[map[name:a] map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:b] map[name:a]]\n",
  ],
]
for (const [patch, code, message] of REFUSALS) {
  test(`applyStrategicMergePatch answers ${code} to ${JSON.stringify(patch)}`, () => {
    const doc = { secrets: names('s'), maps: { a: { name: 'x' } } }
    const isRefused = (error: unknown) => {
      assert.ok(error instanceof StatusError, String(error))
      assert.equal(error.body.code, code)
      assert.equal(error.body.message, message)
      assert.equal(error.body.reason, code === 400 ? 'BadRequest' : undefined)
      return true
    }
    assert.throws(() => apply(doc, patch), isRefused)
  })
}

test('applyStrategicMergePatch answers 422 to lists of lists', () => {
  assert.throws(
    () => apply({ metadata: { finalizers: [['a']] } }, { metadata: { finalizers: ['b'] } }),
    (error: unknown) => error instanceof StatusError && error.code === 422,
  )
})

const list = fc
  .shuffledSubarray(['a', 'b', 'c', 'd'])
  .chain(ids =>
    fc.tuple(
      ...ids.map(name =>
        fc.record(
          { name: fc.constant(name), image: fc.constantFrom('1', '2') },
          { noNullPrototype: true },
        ),
      ),
    ),
  ) as fc.Arbitrary<JsonValue[]> as fc.Arbitrary<{ name: string }[]>

test('applyStrategicMergePatch keeps every item, in the order of the patch, and is idempotent', () => {
  fc.assert(
    fc.property(list, list, (live, patch) => {
      const once = apply({ containers: live }, { containers: patch })
      const result = once.containers as { name: string }[]
      const all = new Set([...live, ...patch].map(it => it.name))
      assert.deepEqual(new Set(result.map(it => it.name)), all)
      assert.equal(result.length, all.size)
      const named = new Set(patch.map(it => it.name))
      assert.deepEqual(
        result.filter(it => named.has(it.name)),
        patch,
      )
      assert.deepEqual(apply(once, { containers: patch }), once)
    }),
  )
})
