// decodeTyped() against what Go's decoding and encoding of the same type gives.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { JsonObject, JsonValue } from '../json.ts'
import { DecodeError } from './decode-error.ts'
import { builtinSchema } from './field-table.ts'
import { decodeObjectMeta, decodeTyped } from './typed.ts'

function schemaOf(group: string, version: string, kind: string) {
  const schema = builtinSchema({ group, version, kind })
  assert.ok(schema !== undefined, kind)
  return schema
}
const CONFIG_MAP = schemaOf('', 'v1', 'ConfigMap')
const SECRET = schemaOf('', 'v1', 'Secret')
const POD = schemaOf('', 'v1', 'Pod')
const LEASE = schemaOf('coordination.k8s.io', 'v1', 'Lease')
const QUOTA = schemaOf('', 'v1', 'ResourceQuota')
const CRD = schemaOf('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition')

const errorOf = (value: JsonValue, schema = CONFIG_MAP): string => {
  try {
    decodeTyped(value, schema)
  } catch (error) {
    assert.ok(error instanceof DecodeError, String(error))
    return error.message
  }
  return 'no error'
}

test('decodeTyped() drops unknown fields and names them by path', () => {
  const { object, unknownFields } = decodeTyped(
    {
      kind: 'Pod',
      spec: { a: 1, containers: [{ name: 'c', b: 2 }] },
      Data: {},
      metadata: { x: 1 },
    },
    POD,
  )
  assert.deepEqual(unknownFields, [
    'unknown field "spec.a"',
    'unknown field "spec.containers[0].b"',
    'unknown field "Data"',
    'unknown field "metadata.x"',
  ])
  assert.deepEqual(object, {
    kind: 'Pod',
    metadata: {},
    spec: { containers: [{ name: 'c', resources: {} }] },
    status: {},
  })
})

const MISMATCHES: [value: JsonValue, message: string, schema?: typeof POD][] = [
  [
    { data: [] },
    'json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string',
  ],
  [
    { data: { a: 5 } },
    'json: cannot unmarshal number into Go struct field ConfigMap.data of type string',
  ],
  [
    { metadata: { labels: { a: 1 } } },
    'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
  ],
  [
    { immutable: 'x' },
    'json: cannot unmarshal string into Go struct field ConfigMap.immutable of type bool',
  ],
  [
    { immutable: 'x', data: { a: true } },
    'json: cannot unmarshal string into Go struct field ConfigMap.immutable of type bool',
  ],
  [
    { metadata: 'x' },
    'json: cannot unmarshal string into Go struct field ConfigMap.metadata of type v1.ObjectMeta',
  ],
  [{ binaryData: { b: '!' } }, 'illegal base64 data at input byte 0'],
  [{ binaryData: { b: 'a!' } }, 'illegal base64 data at input byte 1'],
  [{ binaryData: { b: 'YWI' } }, 'illegal base64 data at input byte 0'],
  [{ binaryData: { b: 'YQ=a' } }, 'illegal base64 data at input byte 2'],
  [
    { binaryData: { b: 7 } },
    'json: cannot unmarshal number into Go struct field ConfigMap.binaryData of type []uint8',
  ],
  [
    { spec: { replicas: 1, priority: 1.5 } },
    'json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32',
    POD,
  ],
  [
    { spec: { priority: 3e9 } },
    'json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32',
    POD,
  ],
  [
    { spec: { volumes: [{ name: 'v', hostPath: 'x' }] } },
    'json: cannot unmarshal string into Go struct field Volume.spec.volumes.VolumeSource.hostPath of type v1.HostPathVolumeSource',
    POD,
  ],
  [
    { spec: { renewTime: '2024' } },
    'parsing time "2024" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "" as "-"',
    LEASE,
  ],
  [
    { spec: { renewTime: '2024-01-01T00:00:00.5Z' } },
    'parsing time "2024-01-01T00:00:00.5Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse ".5Z" as ".000000"',
    LEASE,
  ],
  [
    { metadata: { creationTimestamp: '2024-13-01T00:00:00Z' } },
    'parsing time "2024-13-01T00:00:00Z": month out of range',
  ],
  [
    { metadata: { creationTimestamp: '2023-02-29T00:00:00Z' } },
    'parsing time "2023-02-29T00:00:00Z": day out of range',
  ],
  [
    { metadata: { creationTimestamp: 5 } },
    'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string',
  ],
  [
    { spec: { hard: { pods: 'x' } } },
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    QUOTA,
  ],
  [
    { metadata: { name: 5 }, spec: { hard: { pods: 'x' } } },
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    QUOTA,
  ],
]

test('decodeTyped() words type errors as Go does', () => {
  for (const [value, message, schema] of MISMATCHES) {
    assert.equal(errorOf(value, schema ?? CONFIG_MAP), message, JSON.stringify(value))
  }
})

test('decodeTyped() writes fields as omitempty and pointers have it', () => {
  const empty = { immutable: false, data: {}, binaryData: null, metadata: null }
  assert.deepEqual(decodeTyped(empty, CONFIG_MAP).object, { metadata: {}, immutable: false })
  assert.deepEqual(decodeTyped(null, CONFIG_MAP).object, { metadata: {} })
  assert.deepEqual(decodeTyped({ data: { a: null } }, CONFIG_MAP).object, {
    metadata: {},
    data: { a: '' },
  })
  assert.deepEqual(decodeTyped({ data: { a: null } }, SECRET).object, {
    metadata: {},
    data: { a: '' },
  })
  const role = schemaOf('rbac.authorization.k8s.io', 'v1', 'Role')
  assert.deepEqual(decodeTyped({ rules: [] }, role).object, { metadata: {}, rules: null })
  assert.deepEqual(decodeTyped({ rules: [{}] }, role).object, {
    metadata: {},
    rules: [{ verbs: null }],
  })
  const event = decodeTyped({}, schemaOf('', 'v1', 'Event')).object
  assert.deepEqual(event, {
    metadata: {},
    involvedObject: {},
    source: {},
    firstTimestamp: null,
    lastTimestamp: null,
    eventTime: null,
    reportingComponent: '',
    reportingInstance: '',
  })
})

test('decodeTyped() gives quantities, times and bytes their canonical form', () => {
  const quota = decodeTyped({ spec: { hard: { cpu: '1000m', memory: 1024, pods: ' 10 ' } } }, QUOTA)
  assert.deepEqual(quota.object.spec, { hard: { cpu: '1', memory: '1024', pods: '10' } })
  const times = decodeTyped(
    {
      metadata: { creationTimestamp: '2024-01-02T03:04:05.999+02:00', deletionTimestamp: null },
      spec: { renewTime: '2024-01-02T03:04:05.000006-01:30' },
    },
    LEASE,
  ).object
  assert.deepEqual(times, {
    metadata: { creationTimestamp: '2024-01-02T01:04:05Z' },
    spec: { renewTime: '2024-01-02T04:34:05.000006Z' },
  })
  assert.deepEqual(decodeTyped({ data: { a: 'Y\nQ==' } }, SECRET).object.data, { a: 'YQ==' })
})

test('decodeTyped() types the schemas inside a CRD, leniently where Go does', () => {
  const versions = (schema: JsonObject) => ({
    spec: { versions: [{ name: 'v1', schema: { openAPIV3Schema: schema } }] },
  })
  const { object, unknownFields } = decodeTyped(
    versions({
      type: 'object',
      wat: 1,
      properties: { a: { items: { wat: 1, type: 'string' }, default: null } },
    }),
    CRD,
  )
  assert.deepEqual(unknownFields, ['unknown field "spec.versions[0].schema.openAPIV3Schema.wat"'])
  assert.deepEqual((object.spec as JsonObject).versions, [
    {
      name: 'v1',
      served: false,
      storage: false,
      schema: {
        openAPIV3Schema: { type: 'object', properties: { a: { items: { type: 'string' } } } },
      },
    },
  ])
  assert.equal(
    errorOf(versions({ additionalProperties: 'x' }), CRD),
    'boolean or JSON schema expected',
  )
  assert.equal(
    errorOf(versions({ properties: { a: { items: { type: 5 } } } }), CRD),
    'json: cannot unmarshal number into Go struct field JSONSchemaProps.spec.versions.schema.openAPIV3Schema.properties.items.type of type string',
  )
})

test('decodeObjectMeta() types the metadata of custom resources', () => {
  const meta = { name: 'a', nope: 1, labels: {}, creationTimestamp: null, managedFields: [] }
  assert.deepEqual(decodeObjectMeta(meta), {
    object: { name: 'a' },
    unknownFields: ['unknown field "metadata.nope"'],
  })
  assert.throws(() => decodeObjectMeta({ labels: { a: 1 } }), {
    message: 'json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string',
  })
})

test('decodeTyped() is idempotent and throws only DecodeError', () => {
  const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<JsonValue>
  const pod = fc.record(
    {
      metadata: fc.record({ name: json, labels: json, finalizers: json }, { requiredKeys: [] }),
      spec: fc.record(
        { containers: json, volumes: json, nodeSelector: json },
        { requiredKeys: [] },
      ),
      status: json,
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(pod, value => {
      let once: JsonObject
      try {
        once = decodeTyped(value as JsonObject, POD).object
      } catch (error) {
        assert.ok(error instanceof DecodeError, String(error))
        return
      }
      assert.deepEqual(decodeTyped(once, POD), { object: once, unknownFields: [] })
    }),
  )
})
