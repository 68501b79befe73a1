// How a CRD's schema stands in messages about it, and where rules may look back at the old value.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldErrorBody } from '../field-error.ts'
import type { JsonObject } from '../json.ts'
import { validateCrdSchema } from './crd-schema-validation.ts'

const obj = (properties: JsonObject, rest: JsonObject = {}): JsonObject => ({
  type: 'object',
  properties,
  ...rest,
})
const judge = (a: JsonObject): string[] =>
  validateCrdSchema(obj({ a }), 'root', { statusEnabled: false }).map(
    error => `${error.field}: ${fieldErrorBody(error)}`,
  )
const A = 'root.properties[a]'

test('schemas are printed as upstream holds them', () => {
  const [stray] = validateCrdSchema(obj({}, { not: {} }), 'root', { statusEnabled: true })
  assert.ok(stray !== undefined)
  assert.match(fieldErrorBody(stray), /^Invalid value: \{"ID":"","Schema":"",.*"Not":\{"ID":/)
  const several = judge({
    type: 'array',
    items: [{ type: 'string' }, { type: 'integer' }],
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['k'],
  })
  assert.ok(several.some(text => text.includes('{"Schema":null,"JSONSchemas":[{"ID":""')))
})

test('a default with unknown fields is printed with the metadata it would get', () => {
  const metadata = { name: 'x', no: 1 }
  const refused = judge({
    ...obj({ spec: obj({}) }, { 'x-kubernetes-embedded-resource': true }),
    default: { apiVersion: 'v1', kind: 'Pod', metadata, no: 1 },
  })
  const value = '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"no":1}'
  assert.deepEqual(refused, [`${A}.default: Invalid value: ${value}: must not have unknown fields`])
})

test('oldSelf needs maps of a type that pairs old fields with new ones', () => {
  const rules = [{ rule: 'self == oldSelf' }]
  const f = { type: 'string', maxLength: 5, 'x-kubernetes-validations': rules }
  const strange = judge(obj({ f }, { 'x-kubernetes-map-type': 'future' }))
  assert.ok(strange.some(text => text.endsWith(`uncorrelatable portion of the schema within ${A}`)))
  assert.deepEqual(judge(obj({ f }, { 'x-kubernetes-map-type': 'atomic' })), [])
})
