// Bytes in, bytes with a resourceVersion out, without a change to anything else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonObject, type KubeObject, parseExact } from '@podless/apimachinery'
import fc from 'fast-check'
import {
  encodeObject,
  parseObject,
  spliceResourceVersion,
  storedObject,
  withRevision,
} from './stored-object.ts'

const KEY = '/registry/x/a'

test('spliceResourceVersion() puts the revision first in metadata and touches nothing else', () => {
  const bytes = Buffer.from('{"apiVersion":"v1","kind":"X","metadata":{"name":"a"},"n":1.0}')
  assert.equal(
    spliceResourceVersion(bytes, 12).toString(),
    '{"apiVersion":"v1","kind":"X","metadata":{"resourceVersion":"12","name":"a"},"n":1.0}',
  )
  const empty = Buffer.from('{"apiVersion":"v1","kind":"X","metadata":{}}')
  const once = spliceResourceVersion(empty, 1)
  assert.equal(once.toString(), '{"apiVersion":"v1","kind":"X","metadata":{"resourceVersion":"1"}}')
  assert.equal(spliceResourceVersion(once, 234).toString(), once.toString().replace('"1"', '"234"'))
})

test('spliceResourceVersion() reads bytes in another order too', () => {
  for (const text of [
    '{"kind":"X","apiVersion":"v1","metadata":{"name":"a"}}',
    '{ "apiVersion": "v1", "kind": "X", "metadata": {"name":"a"} }',
    '{"apiVersion":"v1","data":{"metadata":{}},"kind":"X","metadata":{"name":"a"}}',
  ]) {
    const object = JSON.parse(spliceResourceVersion(Buffer.from(text), 9).toString())
    const expected = JSON.parse(text)
    expected.metadata.resourceVersion = '9'
    assert.deepEqual(object, expected)
  }
})

test('storedObject() refuses what is no object as corrupt', () => {
  for (const text of [
    '',
    'null',
    '[]',
    '{"apiVersion":"v1","kind":"X"}',
    'k8s\0x',
    '{"apiVersion":',
  ]) {
    assert.throws(
      () => storedObject(KEY, Buffer.from(text), 1),
      { code: 'corrupt', key: KEY },
      text,
    )
  }
})

const json = fc.jsonValue().map(value => parseExact(JSON.stringify(value)))
const plain = fc.stringMatching(/^[A-Za-zé]+$/)
const metadata = fc.record({
  name: fc.string(),
  labels: fc.dictionary(fc.string(), fc.string()),
  annotations: fc.dictionary(fc.string(), fc.string({ unit: 'binary' })),
})

test('storedObject() holds what was encoded, under any revision it is shown with', () => {
  fc.assert(
    fc.property(plain, metadata, json, fc.nat(), (kind, meta, spec, revision) => {
      const text = JSON.stringify({ apiVersion: 'v1', kind, metadata: meta, spec })
      const object = parseExact(text) as KubeObject & JsonObject
      const stored = storedObject(KEY, encodeObject(object), 5)
      const later = withRevision(stored, revision)
      object.metadata.resourceVersion = String(revision)
      assert.deepEqual(parseObject(later), object)
      assert.equal(later.header.name, meta.name)
      assert.deepEqual(later.header.labels, object.metadata.labels)
      const again = encodeObject(parseObject(later))
      assert.deepEqual(storedObject(KEY, again, 5).bytes, stored.bytes)
    }),
  )
})

test('a memo belongs to one object', () => {
  const stored = storedObject(KEY, Buffer.from('{"apiVersion":"v1","kind":"X","metadata":{}}'), 1)
  stored.memo.set('table', 1)
  assert.equal(stored.memo.get('table'), 1)
  assert.equal(withRevision(stored, 2).memo.size, 0)
})
