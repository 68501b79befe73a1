// A document that has every kind of field and union, against the bytes gnostic itself makes of it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject, JsonValue } from '../json.ts'
import { encodeOpenApiV2 } from './openapi-v2-protobuf.ts'
import { Reader } from './protobuf-wire.ts'

const GET: JsonObject = {
  tags: ['cups_v1'],
  description: 'Reads a cup.',
  operationId: 'readCup',
  produces: ['application/json'],
  consumes: ['*/*'],
  schemes: ['https'],
  deprecated: true,
  parameters: [
    { $ref: '#/parameters/pretty' },
    { name: 'watch', in: 'query', type: 'boolean', uniqueItems: true },
    { name: 'accept', in: 'header', type: 'string' },
  ],
  responses: {
    '200': { description: 'OK', schema: { $ref: '#/definitions/example.Cup' } },
    '401': { description: 'Unauthorized' },
    '404': { $ref: '#/responses/none' },
    'x-also': 'said',
  },
  'x-kubernetes-action': 'get',
  'x-kubernetes-group-version-kind': { group: 'example', kind: 'Cup', version: 'v1' },
}
const PUT: JsonObject = {
  operationId: 'replaceCup',
  parameters: [
    { name: 'body', in: 'body', required: true, schema: { $ref: '#/definitions/example.Cup' } },
  ],
  responses: { default: { description: 'OK' } },
}
const CUP: JsonObject = {
  description: 'A cup — with a handle.',
  type: 'object',
  required: ['size', 'x-mark'],
  properties: {
    size: {
      type: 'integer',
      format: 'int32',
      minimum: 0,
      maximum: 10.5,
      exclusiveMaximum: true,
      default: 0,
      enum: [0, 1, '1', ''],
    },
    'x-mark': { type: 'string', minLength: 1, maxLength: 300, pattern: '^a+$' },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    open: { type: 'object', additionalProperties: true },
    shut: { type: 'object', additionalProperties: false },
    parts: {
      type: 'array',
      maxItems: 3,
      items: { $ref: '#/definitions/example.Part' },
      'x-kubernetes-list-map-keys': ['name'],
      'x-kubernetes-list-type': 'map',
    },
    any: {},
  },
  externalDocs: { url: 'https://cups.example' },
  'x-kubernetes-group-version-kind': [{ group: 'example', kind: 'Cup', version: 'v1' }],
}
const DOCUMENT: JsonObject = {
  swagger: '2.0',
  info: { title: 'Cups', version: 'v1.2' },
  paths: {
    '/cups/{name}': {
      get: GET,
      put: PUT,
      parameters: [{ name: 'name', in: 'path', required: true, type: 'string', uniqueItems: true }],
    },
  },
  definitions: {
    'example.Cup': CUP,
    'example.Part': {
      type: 'object',
      properties: { $ref: { type: 'string', 'x-kubernetes-preserve-unknown-fields': true } },
      allOf: [{ description: 'one' }, {}],
    },
  },
  parameters: { pretty: { name: 'pretty', in: 'query', type: 'string', uniqueItems: true } },
  responses: { none: { description: 'Not found' } },
  securityDefinitions: {
    BearerToken: { type: 'apiKey', name: 'authorization', in: 'header', description: 'A token' },
  },
  security: [{ BearerToken: [] }, { Other: ['a', 'b'] }],
}

/** proto.Marshal of openapi_v2.ParseDocument of the document. */
const GNOSTIC = `
  CgMyLjASDAoEQ3VwcxIEdjEuMkKLBBKIBAoML2N1cHMve25hbWV9EvcDEv8CCgdjdXBzX3YxGgxSZWFkcyBhIGN1cC
  4qB3JlYWRDdXAyEGFwcGxpY2F0aW9uL2pzb246AyovKkIXEhUKEyMvcGFyYW1ldGVycy9wcmV0dHlCIAoeEhwaGhIF
  cXVlcnkiBXdhdGNoMgdib29sZWFuoAEBQh4KHBIaChgSBmhlYWRlciIGYWNjZXB0KgZzdHJpbmdKdwosCgMyMDASJQ
  ojCgJPSxIdChsKGSMvZGVmaW5pdGlvbnMvZXhhbXBsZS5DdXAKFwoDNDAxEhAKDgoMVW5hdXRob3JpemVkChsKAzQw
  NBIUEhIKECMvcmVzcG9uc2VzL25vbmUSEQoGeC1hbHNvEgcSBXNhaWQKUgVodHRwc1gBah0KE3gta3ViZXJuZXRlcy
  1hY3Rpb24SBhIEZ2V0CmpKCh94LWt1YmVybmV0ZXMtZ3JvdXAtdmVyc2lvbi1raW5kEicSJWdyb3VwOiBleGFtcGxl
  CmtpbmQ6IEN1cAp2ZXJzaW9uOiB2MQoaUioKcmVwbGFjZUN1cEIvCi0KKxIEYm9keRoEYm9keSABKhsKGSMvZGVmaW
  5pdGlvbnMvZXhhbXBsZS5DdXBKEwoRCgdkZWZhdWx0EgYKBAoCT0tKHwodEhsiGQgBEgRwYXRoIgRuYW1lKgZzdHJp
  bmeYAQFKgwUKjgQKC2V4YW1wbGUuQ3VwEv4DIhhBIGN1cCDigJQgd2l0aCBhIGhhbmRsZS6aAQRzaXplmgEGeC1tYX
  JrsgEICgZvYmplY3TKAdkCCksKBHNpemUSQxIFaW50MzIqBBICMAo5AAAAAAAAJUBAAaIBBBICMAqiAQQSAjEKogEG
  EgQiMSIKogEFEgMiIgqyAQkKB2ludGVnZXIKIAoGeC1tYXJrEhZYrAJgAWoEXmErJLIBCAoGc3RyaW5nCiUKBmxhYm
  VscxIbqgENCguyAQgKBnN0cmluZ7IBCAoGb2JqZWN0ChgKBG9wZW4SEKoBAhABsgEICgZvYmplY3QKGAoEc2h1dBIQ
  qgECEACyAQgKBm9iamVjdAqDAQoFcGFydHMSenADsgEHCgVhcnJheboBHgocChojL2RlZmluaXRpb25zL2V4YW1wbG
  UuUGFydPoBJwoaeC1rdWJlcm5ldGVzLWxpc3QtbWFwLWtleXMSCRIHLSBuYW1lCvoBIAoWeC1rdWJlcm5ldGVzLWxp
  c3QtdHlwZRIGEgRtYXAKCgcKA2FueRIA6gEWEhRodHRwczovL2N1cHMuZXhhbXBsZfoBUAofeC1rdWJlcm5ldGVzLW
  dyb3VwLXZlcnNpb24ta2luZBItEistIGdyb3VwOiBleGFtcGxlCiAga2luZDogQ3VwCiAgdmVyc2lvbjogdjEKCnAK
  DGV4YW1wbGUuUGFydBJgsgEICgZvYmplY3TCAQUiA29uZcIBAMoBRwpFCgQkcmVmEj2yAQgKBnN0cmluZ/oBLwokeC
  1rdWJlcm5ldGVzLXByZXNlcnZlLXVua25vd24tZmllbGRzEgcSBXRydWUKUioKKAoGcHJldHR5Eh4SHBoaEgVxdWVy
  eSIGcHJldHR5MgZzdHJpbmegAQFaFQoTCgRub25lEgsKCU5vdCBmb3VuZGIRCg8KC0JlYXJlclRva2VuEgBiEQoPCg
  VPdGhlchIGCgFhCgFiajsKOQoLQmVhcmVyVG9rZW4SKhIoCgZhcGlLZXkSDWF1dGhvcml6YXRpb24aBmhlYWRlciIH
  QSB0b2tlbg==`

test('a document is the message that gnostic makes of it, byte for byte', () => {
  const expected = Buffer.from(GNOSTIC, 'base64')
  assert.equal(encodeOpenApiV2(DOCUMENT).toString('latin1'), expected.toString('latin1'))
})

/** The bytes of the first field of this number. */
function field(bytes: Buffer, wanted: number): Buffer {
  for (const reader = new Reader(bytes); !reader.done; ) {
    const { field, wireType } = reader.tag()
    if (field === wanted) return reader.bytesValue()
    reader.skip(wireType)
  }
  assert.fail(`there is no field ${wanted}`)
}

const schemaOf = (schema: JsonObject): Buffer =>
  [9, 1, 2].reduce(field, encodeOpenApiV2({ swagger: '2.0', definitions: { Cup: schema } }))

test('an empty schema is a message of no fields, and what v2 has no word for is none', () => {
  assert.equal(schemaOf({}).length, 0)
  assert.equal(schemaOf({ nullable: true, oneOf: [{}] }).length, 0)
})

test('values are YAML that reads back as what it was', () => {
  const shown = (value: JsonValue): string =>
    [5, 2].reduce(field, schemaOf({ default: value })).toString()
  assert.equal(shown('no'), '"no"\n')
  assert.equal(shown('1'), '"1"\n')
  assert.equal(shown(false), 'false\n')
  assert.equal(shown({ a: ['b'] }), 'a:\n- b\n')
})

test('the largest limits are exact', () => {
  const limit = 2n ** 63n - 1n
  assert.equal(schemaOf({ maxLength: limit }).toString('hex'), '58ffffffffffffffff7f')
})
