// Protobuf against objects that Go encoded, where they are at hand, and against itself.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { type GroupVersionKind, parseApiVersion } from '../gvk.ts'
import type { JsonObject } from '../json.ts'
import { DecodeError } from './decode-error.ts'
import { builtinSchema } from './field-table.ts'
import { decodeProtobuf, encodeProtobuf, encodeWatchFrame, hasProtobuf } from './protobuf.ts'
import { decodeTyped } from './typed.ts'

const DATA = new URL('../../../../../shared/data/k8s-api/', import.meta.url)
const skip = existsSync(DATA) ? false : `no recorded objects at ${DATA.pathname}`

function recordedObjects(): {
  name: string
  gvk: GroupVersionKind
  json: JsonObject
  pb: Buffer
}[] {
  return readdirSync(DATA)
    .filter(file => file.endsWith('.json'))
    .map(file => {
      const name = file.slice(0, -'.json'.length)
      const json = JSON.parse(readFileSync(new URL(file, DATA), 'utf8')) as JsonObject
      const gv = parseApiVersion(String(json.apiVersion ?? 'v1'))
      assert.ok(gv !== undefined)
      const gvk = { ...gv, kind: name.slice(name.lastIndexOf('.') + 1) }
      return { name, gvk, json, pb: readFileSync(new URL(`${name}.pb`, DATA)) }
    })
}

test('every object that Go encoded decodes to its JSON and encodes to its bytes', { skip }, () => {
  const objects = recordedObjects()
  assert.ok(objects.length > 50)
  for (const { name, gvk, json, pb } of objects) {
    assert.deepEqual(decodeProtobuf(pb, gvk), json, name)
    const encoded = json.kind === undefined ? encodeProtobuf(json, gvk) : encodeProtobuf(json)
    assert.equal(encoded.toString('hex'), pb.toString('hex'), name)
  }
})

test('every object that Go encoded is its own typed round trip', { skip }, () => {
  for (const { name, gvk, json } of recordedObjects()) {
    const schema = builtinSchema(gvk)
    assert.ok(schema !== undefined, name)
    assert.deepEqual(decodeTyped(json, schema), { object: json, unknownFields: [] }, name)
  }
})

const CONFIG_MAP = { group: '', version: 'v1', kind: 'ConfigMap' }

test('a ConfigMap survives encoding, whatever its text', () => {
  const text = fc.string({ unit: 'grapheme' })
  fc.assert(
    fc.property(fc.dictionary(text, text, { minKeys: 1 }), fc.boolean(), (data, immutable) => {
      const obj = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, immutable, data }
      const back = decodeProtobuf(encodeProtobuf(obj), CONFIG_MAP)
      assert.deepEqual(back, decodeTyped(obj, builtinSchema(CONFIG_MAP)!).object)
    }),
  )
})

test('lists, Status, negative numbers and CRD schemas survive encoding', () => {
  const schema = {
    type: 'object',
    properties: {
      a: { type: 'array', items: { type: 'integer', minimum: -1.5, default: { x: [1] } } },
      b: { additionalProperties: false, anyOf: [{ required: ['c'] }] },
      c: { additionalProperties: { type: 'string', enum: ['x', null] } },
    },
  }
  const names = { plural: 'as', kind: 'A' }
  const objects: JsonObject[] = [
    {
      kind: 'ConfigMapList',
      apiVersion: 'v1',
      metadata: { resourceVersion: '7' },
      items: [{ metadata: { name: 'x' }, data: { a: 'b' } }],
    },
    {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      code: 404,
      details: { causes: [{ field: 'f' }] },
    },
    {
      kind: 'Lease',
      apiVersion: 'coordination.k8s.io/v1',
      metadata: {},
      spec: { leaseDurationSeconds: -5, renewTime: '2024-01-02T03:04:05.000006Z' },
    },
    {
      kind: 'CustomResourceDefinition',
      apiVersion: 'apiextensions.k8s.io/v1',
      metadata: { name: 'as.x' },
      spec: {
        group: 'x',
        names,
        scope: 'Cluster',
        versions: [
          { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } },
        ],
      },
      status: { conditions: null, acceptedNames: names, storedVersions: null },
    },
  ]
  for (const obj of objects) {
    assert.deepEqual(decodeProtobuf(encodeProtobuf(obj), CONFIG_MAP), obj)
  }
})

test('decodeProtobuf() throws only DecodeError, whatever the bytes', () => {
  const good = encodeProtobuf({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { labels: { a: 'b' } },
    data: { k: 'v' },
  })
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, cut) => {
      const bad = Buffer.from(good)
      bad[at] = byte
      for (const bytes of [bad, good.subarray(0, cut)]) {
        try {
          decodeProtobuf(bytes, CONFIG_MAP)
        } catch (error) {
          assert.ok(error instanceof DecodeError, String(error))
        }
      }
    }),
  )
  assert.throws(
    () => decodeProtobuf(Buffer.from('{}'), CONFIG_MAP),
    /expected prefix \[107 56 115 0\]/,
  )
})

test('encodeWatchFrame() prefixes a bare WatchEvent with its length', () => {
  const frame = encodeWatchFrame('ADDED', Buffer.from([1, 2]))
  assert.equal(frame.toString('hex'), '0000000d' + '0a054144444544' + '1204' + '0a020102')
})

test('hasProtobuf() knows built-ins from custom resources', () => {
  assert.ok(hasProtobuf(CONFIG_MAP))
  assert.ok(
    hasProtobuf({ group: 'meta.k8s.io', version: 'v1beta1', kind: 'PartialObjectMetadata' }),
  )
  assert.ok(!hasProtobuf({ group: 'meta.k8s.io', version: 'v1', kind: 'Table' }))
  assert.ok(!hasProtobuf({ group: 'x.io', version: 'v1', kind: 'A' }))
})
