// Schemas and paths as OpenAPI v2 says them, and all built-ins: a name of a field is never taken for a keyword.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isObject, type JsonObject } from '@podless/apimachinery'
import { builtinResources } from '../resources/index.ts'
import { pathsOf } from './openapi-paths.ts'
import { schemasOf } from './openapi-schemas.ts'
import { definitionsToV2, pathsToV2 } from './openapi-v2.ts'

const KEPT = { type: 'string' }
const custom = (schema: JsonObject): JsonObject =>
  definitionsToV2({ Cup: schema }, () => true).Cup as JsonObject
const builtin = (schema: JsonObject): JsonObject =>
  definitionsToV2({ Cup: schema }, () => false).Cup as JsonObject

const SCHEMAS: readonly [string, JsonObject, JsonObject][] = [
  [
    'fields named like keywords stay',
    { type: 'object', properties: { $ref: KEPT, not: KEPT, nullable: KEPT, default: KEPT } },
    { type: 'object', properties: { $ref: KEPT, not: KEPT, nullable: KEPT, default: KEPT } },
  ],
  [
    'alternatives and defaults go',
    { type: 'integer', default: 3, anyOf: [{ minimum: 1 }], not: { maximum: 9 }, maximum: 12 },
    { type: 'integer', maximum: 12 },
  ],
  [
    'a reference moves out of the allOf that v3 needs',
    { allOf: [{ $ref: '#/components/schemas/Jug' }], description: 'Its jug.', default: {} },
    { $ref: '#/definitions/Jug', description: 'Its jug.' },
  ],
  [
    'an amount that v3 calls text or a number is text',
    { oneOf: [{ type: 'string' }, { type: 'number' }], description: 'Its volume.' },
    { type: 'string', description: 'Its volume.' },
  ],
  [
    'what may be null has no type and is not required',
    {
      type: 'object',
      required: ['lid', 'rim'],
      properties: { lid: { type: 'array', items: KEPT, nullable: true }, rim: KEPT },
    },
    { type: 'object', required: ['rim'], properties: { lid: {}, rim: KEPT } },
  ],
  [
    'a list without items and an open object have no type',
    {
      type: 'object',
      properties: {
        bag: {
          type: 'object',
          'x-kubernetes-preserve-unknown-fields': true,
          properties: { a: KEPT },
        },
        row: { type: 'array', 'x-kubernetes-preserve-unknown-fields': true, items: KEPT },
      },
    },
    {
      type: 'object',
      properties: {
        bag: { 'x-kubernetes-preserve-unknown-fields': true },
        row: { 'x-kubernetes-preserve-unknown-fields': true },
      },
    },
  ],
]

for (const [what, schema, expected] of SCHEMAS) {
  test(`in v2 ${what}`, () => {
    assert.deepEqual(builtin(schema), expected)
  })
}

test('an open custom resource names no field, so that kubectl refuses none', () => {
  const kinds = [{ group: 'g.example', version: 'v1', kind: 'Cup' }]
  const open = {
    type: 'object',
    properties: { spec: KEPT },
    'x-kubernetes-preserve-unknown-fields': true,
    'x-kubernetes-group-version-kind': kinds,
  }
  assert.deepEqual(custom(open), { type: 'object', 'x-kubernetes-group-version-kind': kinds })
})

test('operations say their bodies, parameters and answers as v2 does', () => {
  const schema = { $ref: '#/components/schemas/Cup' }
  const parameter = { name: 'dryRun', in: 'query', schema: { type: 'string' } }
  const paths = {
    '/cups/{name}': {
      parameters: [{ name: 'name', in: 'path', required: true, schema: { type: 'string' } }],
      put: {
        operationId: 'replaceCup',
        parameters: [parameter],
        requestBody: { required: true, content: { '*/*': { schema } } },
        responses: { 200: { description: 'OK', content: { 'application/json': { schema } } } },
      },
    },
  }
  assert.deepEqual(pathsToV2(paths), {
    '/cups/{name}': {
      parameters: [{ name: 'name', in: 'path', required: true, type: 'string' }],
      put: {
        operationId: 'replaceCup',
        consumes: ['*/*'],
        produces: ['application/json', 'application/yaml'],
        schemes: ['https'],
        parameters: [
          { name: 'body', in: 'body', required: true, schema: { $ref: '#/definitions/Cup' } },
          { name: 'dryRun', in: 'query', type: 'string' },
        ],
        responses: { 200: { description: 'OK', schema: { $ref: '#/definitions/Cup' } } },
      },
    },
  })
})

test('every field of the metadata that all objects have is described', () => {
  const { properties } = schemasOf(builtinResources())[
    'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'
  ] as { properties: Record<string, { type?: string; description?: string }> }
  for (const [name, { description }] of Object.entries(properties)) assert.ok(description, name)
  assert.ok(properties.labels?.type)
})

test('no path has an empty list, as Go writes none', () => {
  const resources = builtinResources()
  const text = JSON.stringify([pathsOf(resources), pathsToV2(pathsOf(resources))])
  assert.doesNotMatch(text, /\[\]/)
})

test('each field of a built-in is a schema, and references stay within v2', () => {
  const resources = builtinResources()
  const definitions = definitionsToV2(schemasOf(resources), () => false)
  const text = JSON.stringify([definitions, pathsToV2(pathsOf(resources))])
  assert.ok(!text.includes('#/components/'))
  const names = new Set(Object.keys(definitions).map(name => `#/definitions/${name}`))
  for (const [, name] of text.matchAll(/"\$ref":"([^"]+)"/g)) assert.ok(names.has(name ?? ''), name)
  for (const [name, definition] of Object.entries(definitions)) {
    const { properties = {} } = definition as JsonObject
    assert.ok(isObject(properties), name)
    for (const [field, schema] of Object.entries(properties))
      assert.ok(isObject(schema), `${name}.${field}`)
  }
})
