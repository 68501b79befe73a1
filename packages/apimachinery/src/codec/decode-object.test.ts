// decodeObject() against the refusals that real Kubernetes machinery gave.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatusError } from '../status.ts'
import { type DecodeOptions, decodeObject, strictDecodingFailure } from './decode-object.ts'
import { encodeProtobuf } from './protobuf.ts'

const GVK = { group: '', version: 'v1', kind: 'ConfigMap' }
const BUILTIN: DecodeOptions = { format: 'json', gvk: GVK, builtin: true, strict: true }
const MUG: DecodeOptions = {
  ...BUILTIN,
  gvk: { group: 'x.io', version: 'v1', kind: 'Mug' },
  builtin: false,
}

const decode = (body: string, options = BUILTIN) => decodeObject(Buffer.from(body), options)
const refusalOf = (body: string, options = BUILTIN): string => {
  try {
    decode(body, options)
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error))
    assert.equal(error.code, 400)
    return error.message
  }
  return 'accepted'
}

const HEAD = '{"apiVersion":"v1","kind":"ConfigMap"'
const UNRECOGNIZED =
  "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error:"
const SUMMARY = '({"apiVersion":"v1","kind":"Con ...)'
const CANNOT = 'ConfigMap in version "v1" cannot be handled as a ConfigMap:'

const REFUSALS: [body: string, message: string][] = [
  ['', `${UNRECOGNIZED} unexpected end of JSON input (<empty>)`],
  [`${HEAD},`, `${UNRECOGNIZED} unexpected end of JSON input ${SUMMARY}`],
  [`${HEAD}} xyz`, `${UNRECOGNIZED} invalid character 'x' after top-level value ${SUMMARY}`],
  [
    '42',
    `${UNRECOGNIZED} json: cannot unmarshal number into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (3432)`,
  ],
  [
    `${HEAD},"data":[]}`,
    `${CANNOT} json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string`,
  ],
  [`${HEAD},"binaryData":{"a":"a!"}}`, `${CANNOT} illegal base64 data at input byte 1`],
  [
    '{"apiVersion":"v1","kind":"Secret"}',
    'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion',
  ],
  [
    '{"apiVersion":"v9","kind":"ConfigMap"}',
    'ConfigMap in version "v9" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version "v9" in scheme "pkg/api/legacyscheme/scheme.go:30"',
  ],
  [
    `${HEAD},"metadata":{"generation":9223372036854775808}}`,
    `${CANNOT} json: cannot unmarshal number 9223372036854775808 into Go struct field ObjectMeta.metadata.generation of type int64`,
  ],
  [
    `${HEAD},"metadata":{"generation":1.0}}`,
    `${CANNOT} json: cannot unmarshal number 1.0 into Go struct field ObjectMeta.metadata.generation of type int64`,
  ],
]

test('decodeObject() refuses a body in the words of the recorded server', () => {
  for (const [body, message] of REFUSALS) assert.equal(refusalOf(body), message, body)
})

test('decodeObject() fills in what a built-in body may leave out', () => {
  assert.deepEqual(decode('null').object, { apiVersion: 'v1', kind: 'ConfigMap', metadata: {} })
  assert.deepEqual(decode('\n {"metadata":{"name":"a"}}').object.metadata, { name: 'a' })
})

test('decodeObject() tells unknown and duplicate fields in the order of the body', () => {
  const texts = (body: string): readonly string[] => decode(`${HEAD},${body}}`).strictErrors
  assert.deepEqual(texts('"x":1,"data":{"a":"1","a":"2"},"y":{"data":1}'), [
    'unknown field "x"',
    'duplicate field "data.a"',
    'unknown field "y"',
  ])
  assert.deepEqual(texts('"immutable":true,"x":1,"immutable":false'), [
    'unknown field "x"',
    'duplicate field "immutable"',
  ])
})

test('decodeObject() collects strict findings only when asked', () => {
  const body = `${HEAD},"metadata":{"name":"a","name":"b"},"data":{"a":"1","a":"2"},"x":{"y":1,"y":2},"x":1}`
  const { object, strictErrors, gvk } = decode(body)
  assert.deepEqual(strictErrors, [
    'duplicate field "metadata.name"',
    'duplicate field "data.a"',
    'unknown field "x"',
  ])
  assert.deepEqual(object.metadata, { name: 'b' })
  assert.deepEqual(decode(body, { ...BUILTIN, strict: false }).strictErrors, [])
  assert.equal(
    strictDecodingFailure(gvk, 'ConfigMap', strictErrors.slice(2)).message,
    `${CANNOT} strict decoding error: unknown field "x"`,
  )
})

test('decodeObject() types only the metadata of a custom resource', () => {
  const body =
    '{"spec":{"b":null,"a":1},"metadata":{"name":"m","nope":1},"kind":"Mug","apiVersion":"x.io/v2"}'
  const { object, gvk, strictErrors } = decode(body, MUG)
  assert.equal(
    JSON.stringify(object),
    '{"apiVersion":"x.io/v2","kind":"Mug","metadata":{"name":"m"},"spec":{"b":null,"a":1}}',
  )
  assert.deepEqual(gvk, { group: 'x.io', version: 'v2', kind: 'Mug' })
  assert.deepEqual(strictErrors, ['unknown field "metadata.nope"'])
  assert.equal(
    refusalOf('{"metadata":{"name":"x"}}', MUG),
    `the object provided is unrecognized (must be of type Mug): Object 'Kind' is missing in '{"metadata":{"name":"x"}}' ({"metadata":{"name":"x"}})`,
  )
  assert.equal(
    refusalOf('{"apiVersion":"x.io/v1","kind":"Mug","metadata":{"labels":{"a":1}}}', MUG),
    'Mug in version "v1" cannot be handled as a Mug: json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string',
  )
})

test('decodeObject() keeps an int64 as it is, and rounds it where the field is a float64', () => {
  const body = (schema: string) =>
    `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{"versions":[{"schema":{"openAPIV3Schema":${schema}}}]}}`
  const gvk = { group: 'apiextensions.k8s.io', version: 'v1', kind: 'CustomResourceDefinition' }
  const options = { ...BUILTIN, gvk }
  const schemaOf = (text: string): string => {
    const { object } = decodeObject(Buffer.from(body(text)), options)
    return /"openAPIV3Schema":(.*?)\}\}\]/.exec(JSON.stringify(object))?.[1] ?? ''
  }
  assert.equal(
    schemaOf('{"maximum":9223372036854775807,"default":9223372036854775807}'),
    '{"default":9223372036854775807,"maximum":9223372036854776000}',
  )
  const refused = 'CustomResourceDefinition in version "v1" cannot be handled as a'
  assert.equal(
    refusalOf(body('{"default":[1e400]}'), options),
    `${refused} CustomResourceDefinition: json: cannot unmarshal number 1e400 into Go value of type float64`,
  )
  assert.equal(
    refusalOf(body('{"maximum":1e400}'), options),
    `${refused} CustomResourceDefinition: json: cannot unmarshal number 1e400 into Go struct field JSONSchemaProps.spec.versions.schema.openAPIV3Schema.maximum of type float64`,
  )
})

test('decodeObject() refuses a built-in of another version than the endpoint serves', () => {
  const gvk = { group: 'events.k8s.io', version: 'v1', kind: 'Event' }
  assert.equal(
    refusalOf('{"apiVersion":"v1","kind":"Event"}', { ...BUILTIN, gvk }),
    'the API version in the data (v1) does not match the expected API version (events.k8s.io/v1)',
  )
  const options = { ...BUILTIN, gvk: { ...gvk, kind: 'DeleteOptions' } }
  assert.equal(refusalOf('{"apiVersion":"v1","kind":"DeleteOptions"}', options), 'accepted')
})

test('decodeObject() reads YAML and protobuf bodies', () => {
  const yaml = 'kind: ConfigMap\napiVersion: v1\ndata:\n  on: "x"\n  on: "y"\n---\n]'
  const { object, strictErrors } = decode(yaml, { ...BUILTIN, format: 'yaml' })
  assert.deepEqual(object, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {},
    data: { true: 'y' },
  })
  assert.deepEqual(strictErrors, ['yaml: unmarshal errors:\n  line 5: key true already set in map'])
  const bytes = encodeProtobuf(object)
  assert.deepEqual(decodeObject(bytes, { ...BUILTIN, format: 'protobuf' }).object, object)
  const secret = encodeProtobuf({ apiVersion: 'v1', kind: 'Secret', metadata: {} })
  assert.throws(() => decodeObject(secret, { ...BUILTIN, format: 'protobuf' }), StatusError)
})
