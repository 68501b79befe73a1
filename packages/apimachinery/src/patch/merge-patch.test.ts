// Tests of merge-patch.ts. Run by node:test; calls only what the package exports.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { JsonObject, JsonValue } from '../json.ts'
import { StatusError } from '../status.ts'
import { applyMergePatch } from './merge-patch.ts'

// The examples of RFC 7386, appendix A, as far as the target is an object.
const RFC: [doc: JsonObject, patch: JsonObject, result: JsonObject][] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]
for (const [doc, patch, result] of RFC) {
  test(`applyMergePatch ${JSON.stringify(doc)} + ${JSON.stringify(patch)}`, () => {
    assert.deepEqual(applyMergePatch(doc, patch, { strict: true }), result)
  })
}

test('applyMergePatch drops nulls inside arrays except where an object stood', () => {
  const patch = { a: [{ x: null }, null] }
  assert.deepEqual(applyMergePatch({}, patch, { strict: true }), { a: [{}, null] })
  assert.deepEqual(applyMergePatch({ a: [1] }, patch, { strict: true }), { a: [{}, null] })
  assert.deepEqual(applyMergePatch({ a: {} }, patch, { strict: true }), patch)
})

test('applyMergePatch answers 400 to a patch that is no object', () => {
  const refusal = (patch: JsonValue, strict: boolean) => {
    try {
      applyMergePatch({}, patch, { strict })
    } catch (error) {
      assert.ok(error instanceof StatusError)
      return `${error.code} ${error.message}`
    }
    return assert.fail('accepted')
  }
  const text = (kind: string) =>
    `400 error decoding patch: json: cannot unmarshal ${kind} into Go value of type map[string]interface {}`
  assert.equal(refusal('text', true), text('string'))
  assert.equal(refusal([1], true), text('array'))
  assert.equal(refusal(false, true), text('bool'))
  assert.equal(refusal(null, true), '400 Invalid JSON Patch')
  assert.equal(refusal('text', false), '400 Invalid JSON Patch')
  assert.deepEqual(applyMergePatch({}, [{ a: null }], { strict: false }), [{}])
})

const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<JsonValue>
const object = fc.dictionary(fc.string(), json) as fc.Arbitrary<JsonObject>
// An array that replaces an object keeps its inner nulls, one that replaces an array loses them.
const withoutArrays = object.filter(patch => !JSON.stringify(patch).includes('['))

test('applyMergePatch is idempotent and leaves its arguments alone', () => {
  fc.assert(
    fc.property(object, withoutArrays, (doc, patch) => {
      const before = JSON.stringify([doc, patch])
      const once = applyMergePatch(doc, patch, { strict: true })
      assert.deepEqual(applyMergePatch(once, patch, { strict: true }), once)
      assert.equal(JSON.stringify([doc, patch]), before)
    }),
  )
})
