import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtinSchema } from '../codec/field-table.ts'
import type { JsonObject } from '../json.ts'
import { checkConvertible } from './from-unstructured.ts'

const SCHEMA = builtinSchema({ group: 'apps', version: 'v1', kind: 'Deployment' })
const spec = (fields: JsonObject): JsonObject => ({ spec: fields })

const REFUSED: readonly [JsonObject, string][] = [
  [spec({ replicas: 'two' }), 'unrecognized type: int32'],
  [spec({ replicas: 1.5 }), 'cannot convert float64 to int32'],
  [spec({ paused: 1 }), 'unrecognized type: bool'],
  [spec({ strategy: { type: 3 } }), 'cannot convert int64 to v1.DeploymentStrategyType'],
  [spec({ strategy: [] }), 'cannot restore struct from: slice'],
  [{ metadata: { labels: 'a=b' } }, 'cannot restore map from string'],
  [{ metadata: { labels: { a: [] } } }, 'unrecognized type: string'],
  [{ metadata: { finalizers: { a: 'b' } } }, 'cannot restore slice from map'],
]

for (const [object, text] of REFUSED) {
  test(`${JSON.stringify(object)} is refused: ${text}`, () => {
    assert.ok(SCHEMA !== undefined)
    assert.throws(() => checkConvertible(object, SCHEMA), { name: 'DecodeError', message: text })
  })
}

test('what fits its type passes, and so do null and fields that nobody knows', () => {
  assert.ok(SCHEMA !== undefined)
  const metadata = { labels: { a: 'b' }, creationTimestamp: null, unknown: 1 }
  checkConvertible({ metadata, ...spec({ replicas: 2, paused: null }) }, SCHEMA)
})
