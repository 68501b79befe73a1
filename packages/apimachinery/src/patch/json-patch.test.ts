// Tests of json-patch.ts. Run by node:test; calls only what the package exports.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { JsonObject, JsonValue } from '../json.ts'
import { StatusError } from '../status.ts'
import { applyJsonPatch, decodeJsonPatch } from './json-patch.ts'
import { PatchError } from './patch-error.ts'

const apply = (doc: JsonValue, ...operations: JsonObject[]) => applyJsonPatch(doc, operations)

/** The inner error of a patch that must answer 422. */
function failing(doc: JsonValue, ...operations: JsonObject[]): PatchError {
  try {
    apply(doc, ...operations)
  } catch (error) {
    assert.ok(error instanceof StatusError)
    assert.deepEqual(error.body, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'the server rejected our request due to an error in our request',
      reason: 'Invalid',
      details: {},
      code: 422,
    })
    assert.ok(error.cause instanceof PatchError)
    return error.cause
  }
  return assert.fail('the patch applied')
}

function refusal(patch: JsonValue, strict: boolean): string {
  try {
    decodeJsonPatch(patch, { strict })
  } catch (error) {
    assert.ok(error instanceof StatusError)
    return `${error.code} ${error.message}`
  }
  return assert.fail('the patch was accepted')
}

const CASES: [name: string, doc: JsonValue, operations: JsonObject[], result: JsonValue][] = [
  ['add sets a key', { a: 1 }, [{ op: 'add', path: '/b', value: 2 }], { a: 1, b: 2 }],
  ['add replaces a key', { a: 1 }, [{ op: 'add', path: '/a', value: 2 }], { a: 2 }],
  ['add inserts', [1, 3], [{ op: 'add', path: '/1', value: 2 }], [1, 2, 3]],
  ['add at - appends', { l: [1] }, [{ op: 'add', path: '/l/-', value: 2 }], { l: [1, 2] }],
  ['add at -1 appends', [1], [{ op: 'add', path: '/-1', value: 2 }], [1, 2]],
  ['add without a value sets null', {}, [{ op: 'add', path: '/a' }], { a: null }],
  ['remove drops a key', { a: 1, b: 2 }, [{ op: 'remove', path: '/a' }], { b: 2 }],
  ['remove counts from the end', [1, 2, 3], [{ op: 'remove', path: '/-2' }], [1, 3]],
  ['replace of an absent key sets it', {}, [{ op: 'replace', path: '/a', value: 1 }], { a: 1 }],
  ['replace at the root', { a: 1 }, [{ op: 'replace', path: '', value: [1] }], [1]],
  ['move', { a: { b: 1 } }, [{ op: 'move', from: '/a/b', path: '/c' }], { a: {}, c: 1 }],
  ['copy', { a: [1] }, [{ op: 'copy', from: '/a', path: '/b' }], { a: [1], b: [1] }],
  ['copy of an absent key sets null', {}, [{ op: 'copy', from: '/a', path: '/b' }], { b: null }],
  [
    'test passes',
    { a: [{ b: 1 }] },
    [{ op: 'test', path: '/a/0', value: { b: 1 } }],
    { a: [{ b: 1 }] },
  ],
  [
    'test null passes on an absent key',
    { a: 1 },
    [{ op: 'test', path: '/b', value: null }],
    { a: 1 },
  ],
  ['test without value on an absent key', {}, [{ op: 'test', path: '/b' }], {}],
  [
    'escapes',
    { 'a/b': 1, 'm~n': 2 },
    [
      { op: 'remove', path: '/a~1b' },
      { op: 'replace', path: '/m~0n', value: 3 },
    ],
    { 'm~n': 3 },
  ],
  ['the text before the first slash is ignored', { a: 1 }, [{ op: 'remove', path: 'x/a' }], {}],
  ['an index may have leading zeros', [1, 2], [{ op: 'remove', path: '/01' }], [1]],
]
for (const [name, doc, operations, result] of CASES) {
  test(`applyJsonPatch: ${name}`, () => assert.deepEqual(apply(doc, ...operations), result))
}

test('applyJsonPatch allocates an address as istiod does, with and without a status', () => {
  const status = { conditions: [] }
  const first: JsonObject[] = [
    { op: 'test', path: '/status/addresses', value: null },
    { op: 'replace', path: '/status/addresses', value: [{ value: '240.240.0.1' }] },
  ]
  const expected = { status: { conditions: [], addresses: [{ value: '240.240.0.1' }] } }
  assert.deepEqual(apply({ status }, ...first), expected)
  assert.equal(failing({}, ...first).code, 'missing')
  const second: JsonObject[] = [
    { op: 'test', path: '/status', value: null },
    { op: 'add', path: '/status', value: {} },
    { op: 'add', path: '/status/addresses', value: ['x'] },
  ]
  assert.deepEqual(apply({}, ...second), { status: { addresses: ['x'] } })
})

const FAILURES: [doc: JsonValue, operation: JsonObject, message: string][] = [
  [{ a: 1 }, { op: 'test', path: '/a', value: 2 }, 'testing value /a failed: test failed'],
  [
    {},
    { op: 'remove', path: '/a' },
    "error in remove for path: '/a': Unable to remove nonexistent key: a: missing value",
  ],
  [{}, { op: 'frobnicate', path: '/a' }, 'Unexpected kind: frobnicate'],
  [{}, { path: '/a' }, 'Unexpected kind: unknown'],
  [
    [],
    { op: 'add', path: '/1', value: 0 },
    "error in add for path: '/1': Unable to access invalid index: 1: invalid index referenced",
  ],
  [
    [1],
    { op: 'remove', path: '/-2' },
    "error in remove for path: '/-2': Unable to access invalid index: -2: invalid index referenced",
  ],
  [
    {},
    { op: 'add', path: '', value: {} },
    'add operation does not apply: doc is missing path: "": missing value',
  ],
  [
    { a: null },
    { op: 'add', path: '/a/b', value: 1 },
    'add operation does not apply: doc is missing path: "/a/b": missing value',
  ],
  [
    {},
    { op: 'move', from: '/a', path: '/b' },
    "error in move for path: 'a': Unable to remove nonexistent key: a: missing value",
  ],
]
for (const [doc, operation, message] of FAILURES) {
  test(`applyJsonPatch answers 422 to ${JSON.stringify(operation)}`, () => {
    assert.equal(failing(doc, operation).message, message)
  })
}

test('applyJsonPatch bounds what copies may add', () => {
  const doc = { a: 'x'.repeat(2 * 1024 * 1024) }
  const copy = (path: string) => ({ op: 'copy', from: '/a', path })
  assert.equal(failing(doc, copy('/b'), copy('/c')).code, 'copyTooLarge')
})

test('applyJsonPatch leaves the document and the patch alone, also with __proto__ as a key', () => {
  const doc = { a: { list: [1] } }
  const value = { x: [1] }
  const result = apply(
    doc,
    { op: 'add', path: '/b', value },
    { op: 'add', path: '/b/x/-', value: 2 },
    { op: 'add', path: '/a/list/-', value: 2 },
    { op: 'add', path: '/__proto__', value: { polluted: true } },
  ) as JsonObject
  assert.deepEqual(doc, { a: { list: [1] } })
  assert.deepEqual(value, { x: [1] })
  assert.ok(Object.hasOwn(result, '__proto__'))
  assert.equal(({} as JsonObject).polluted, undefined)
})

test('decodeJsonPatch refuses what Go cannot decode, with its words', () => {
  const op = 'json: cannot unmarshal'
  assert.equal(
    refusal({}, true),
    `400 error decoding patch: ${op} object into Go value of type []handlers.jsonPatchOp`,
  )
  assert.equal(refusal({}, false), `400 ${op} object into Go value of type jsonpatch.Patch`)
  assert.equal(
    refusal([1], true),
    `400 error decoding patch: ${op} number into Go value of type handlers.jsonPatchOp`,
  )
  assert.equal(refusal([1], false), `400 ${op} number into Go value of type jsonpatch.Operation`)
  assert.equal(
    refusal([{ op: 'add', path: 5 }], true),
    `400 error decoding patch: ${op} number into Go struct field jsonPatchOp.path of type string`,
  )
  assert.deepEqual(decodeJsonPatch(null, { strict: true }).operations, [])
})

test('decodeJsonPatch reports unknown members and limits the operations', () => {
  const { strictErrors } = decodeJsonPatch([{ op: 'add', foo: 1 }, { bar: 2 }], { strict: true })
  assert.deepEqual(strictErrors, [
    'json patch unknown field "[0].foo"',
    'json patch unknown field "[1].bar"',
  ])
  assert.deepEqual(decodeJsonPatch([{ foo: 1 }], { strict: false }).strictErrors, [])
  const many = new Array<JsonValue>(10_001).fill({ op: 'test', path: '/a' })
  assert.equal(
    refusal(many, true),
    '413 Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001',
  )
})

const json = () => fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<JsonValue>

test('applyJsonPatch: add then test passes, then remove restores', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), json()), fc.string(), json(), (raw, key, value) => {
      const doc: JsonObject = { ...raw }
      delete doc[key]
      const path = `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
      const result = apply(
        doc,
        { op: 'add', path, value },
        { op: 'test', path, value },
        { op: 'copy', from: path, path: '/a copy' },
        { op: 'test', path: '/a copy', value },
        { op: 'remove', path: '/a copy' },
      ) as JsonObject
      if (key === 'a copy') return
      assert.deepEqual(apply(result, { op: 'remove', path }), doc)
    }),
  )
})
