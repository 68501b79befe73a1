// What is refused of a CustomResourceDefinition, and how its defaults are filled in.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FieldError, fieldErrorBody } from '../field-error.ts'
import { cloneJson, type JsonObject, type JsonValue } from '../json.ts'
import { defaultCrd, prepareCrdForCreate, prepareCrdForUpdate } from './crd-defaults.ts'
import { validateCrd, validateCrdUpdate } from './crd-validation.ts'

const S = { type: 'string' }
const I = { type: 'integer' }
const RULES = 'x-kubernetes-validations'
const LIST_TYPE = 'x-kubernetes-list-type'
const LIST_KEYS = 'x-kubernetes-list-map-keys'
const obj = (properties: JsonObject, rest: JsonObject = {}): JsonObject => ({
  type: 'object',
  properties,
  ...rest,
})
const specOf = (properties: JsonObject, rest: JsonObject = {}): JsonObject =>
  obj({ spec: obj(properties, rest) })

function version(name: string, schema: JsonObject | undefined, rest: JsonObject = {}): JsonObject {
  const body = schema === undefined ? {} : { schema: { openAPIV3Schema: schema } }
  return { name, served: true, storage: true, ...body, ...rest }
}

function crd(versions: JsonValue, rest: JsonObject = {}, metadata: JsonObject = {}): JsonObject {
  const spec = {
    group: 'g.example.com',
    scope: 'Namespaced',
    names: { plural: 'mugs', kind: 'Mug' },
    versions,
    ...rest,
  }
  const object: JsonObject = { metadata: { name: 'mugs.g.example.com', ...metadata }, spec }
  defaultCrd(object)
  prepareCrdForCreate(object)
  return object
}

const causes = (errors: readonly FieldError[]): string[] =>
  errors.map(error => `${error.field}: ${fieldErrorBody(error)}`)
const judge = (schema: JsonObject, rest: JsonObject = {}): string[] =>
  causes(validateCrd(crd([version('v1', schema, rest)])))

const AT = 'spec.validation.openAPIV3Schema'
const A = `${AT}.properties[spec].properties[a]`
const listOf = (items: JsonObject, rest: JsonObject): JsonObject => ({
  type: 'array',
  items,
  ...rest,
})

test('defaultCrd() fills in names, conversion and the stored version', () => {
  const object = crd([version('v1', specOf({}))])
  const spec = object.spec as JsonObject
  assert.deepEqual(spec.names, {
    plural: 'mugs',
    kind: 'Mug',
    singular: 'mug',
    listKind: 'MugList',
  })
  assert.deepEqual(spec.conversion, { strategy: 'None' })
  assert.deepEqual(object.status, { storedVersions: ['v1'] })
  assert.deepEqual(validateCrd(object), [])
})

const SCHEMAS: readonly [string, JsonObject, readonly string[]][] = [
  [
    'an unknown type',
    specOf({ a: { type: 'text' } }),
    [
      `${A}.type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"`,
    ],
  ],
  [
    'a reference',
    specOf({ a: { ...S, $ref: '#/x' } }),
    [`${A}.$ref: Forbidden: $ref is not supported`],
  ],
  [
    'properties beside additionalProperties',
    specOf({ a: obj({ b: S }, { additionalProperties: S }) }),
    [
      `${A}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive`,
    ],
  ],
  [
    'uniqueItems',
    specOf({ a: listOf(S, { uniqueItems: true }) }),
    [
      `${A}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic`,
    ],
  ],
  [
    'a default of the wrong type',
    specOf({ a: { ...I, default: 'x' } }),
    [`${A}.default: Invalid value: "string":  in body must be of type integer: "string"`],
  ],
  [
    'a default with unknown fields',
    specOf({ a: { type: 'object', default: { b: 1 } } }),
    [`${A}.default: Invalid value: {"b":1}: must not have unknown fields`],
  ],
  [
    'a default in metadata',
    obj({ metadata: { type: 'object', default: {} } }),
    [`${AT}.properties[metadata].default: Forbidden: must not be set in top-level metadata`],
  ],
  [
    'a default that breaks a rule',
    specOf({ a: { ...I, default: 1, [RULES]: [{ rule: 'self > 1', message: 'm' }] } }),
    [`${A}.default: Invalid value: 1: m`],
  ],
  [
    'a list map without keys',
    specOf({ a: listOf(obj({ k: S }), { [LIST_TYPE]: 'map' }) }),
    [`${A}.${LIST_KEYS}: Required value: must not be empty if ${LIST_TYPE} is map`],
  ],
  [
    'a key that may be missing',
    specOf({ a: listOf(obj({ k: S }), { [LIST_TYPE]: 'map', [LIST_KEYS]: ['k'] }) }),
    [
      `${A}.items.properties[k].default: Required value: this property is in ${LIST_KEYS}, so it must have a default or be a required property`,
    ],
  ],
  [
    'a set of objects',
    specOf({ a: listOf(obj({ k: S }), { [LIST_TYPE]: 'set' }) }),
    [
      `${A}.items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with ${LIST_TYPE}=set`,
    ],
  ],
  [
    'a list type on a string',
    specOf({ a: { ...S, [LIST_TYPE]: 'set' } }),
    [`${A}.type: Invalid value: "string": must be array if ${LIST_TYPE} is specified`],
  ],
  [
    'an empty rule',
    specOf({}, { [RULES]: [{ rule: ' ' }] }),
    [`${AT}.properties[spec].${RULES}[0].rule: Required value: rule is not specified`],
  ],
  [
    'a message with line breaks',
    specOf({}, { [RULES]: [{ rule: 'true', message: 'a\nb' }] }),
    [
      `${AT}.properties[spec].${RULES}[0].message: Invalid value: "a\\nb": must not contain line breaks`,
    ],
  ],
  [
    'a field path to nowhere',
    specOf({ a: I }, { [RULES]: [{ rule: 'self.a > 1', fieldPath: '.zz' }] }),
    [`${AT}.properties[spec].${RULES}[0].fieldPath: Invalid value: ".zz": must be a valid path`],
  ],
  [
    'a rule that is no condition',
    specOf({ a: I }, { [RULES]: [{ rule: 'self.a' }] }),
    [
      `${AT}.properties[spec].${RULES}[0].rule: Invalid value: {"Rule":"self.a","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}: cel expression must evaluate to a bool`,
    ],
  ],
  [
    'oldSelf where it can not be found',
    specOf({ a: listOf({ ...I, [RULES]: [{ rule: 'self == oldSelf' }] }, { maxItems: 3 }) }),
    [
      `${A}.items.${RULES}[0].rule: Invalid value: "self == oldSelf": oldSelf cannot be used on the uncorrelatable portion of the schema within ${A}`,
    ],
  ],
  [
    'optionalOldSelf without oldSelf',
    specOf({ a: { ...I, [RULES]: [{ rule: 'self > 1', optionalOldSelf: true }] } }),
    [
      `${A}.${RULES}[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule`,
    ],
  ],
]

for (const [name, schema, expected] of SCHEMAS) {
  test(`validateCrd() refuses a schema with ${name}`, () =>
    assert.deepEqual(judge(schema), expected))
}

test('validateCrd() refuses rules that may cost too much, and says which', () => {
  const cube = listOf(listOf(listOf(S, {}), {}), {})
  const rule = 'self.a.all(p, p.all(q, q.all(r, r.contains("x"))))'
  const [first, second, third, ...rest] = judge(specOf({ a: cube }, { [RULES]: [{ rule }] }))
  const at = `${AT}.properties[spec].${RULES}[0].rule: Forbidden:`
  assert.ok(
    first?.startsWith(`${at} estimated rule cost exceeds budget by factor of more than 100x`),
  )
  assert.ok(second?.startsWith(`${at} contributed to estimated rule cost total`))
  assert.ok(
    third?.startsWith(`${AT}: Forbidden: x-kubernetes-validations estimated rule cost total`),
  )
  assert.deepEqual(rest, [])
  const bounded = listOf(S, { maxItems: 5 })
  assert.deepEqual(
    judge(specOf({ a: bounded }, { [RULES]: [{ rule: 'self.a.all(p, p != "x")' }] })),
    [],
  )
})

test('validateCrd() multiplies the cost of a rule by how often it can run', () => {
  const inner = (limit: JsonObject) =>
    specOf({
      a: listOf({ ...S, maxLength: 1000, [RULES]: [{ rule: 'self.matches("a+b+")' }] }, limit),
    })
  assert.deepEqual(judge(inner({ maxItems: 10 })), [])
  assert.match(judge(inner({})).join(), /estimated rule cost exceeds budget by factor of/)
})

const FIELDS: readonly [string, JsonObject, readonly string[]][] = [
  [
    'a printer column',
    { additionalPrinterColumns: [{ name: 'X', type: 'text', jsonPath: 'spec' }] },
    [
      'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string',
      'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec": must be a simple json path starting with .',
    ],
  ],
  [
    'a scale path',
    { subresources: { scale: { specReplicasPath: '.status.r', statusReplicasPath: '.status.r' } } },
    [
      'spec.subresources.scale.specReplicasPath: Invalid value: ".status.r": should be a json path under .spec',
    ],
  ],
  [
    'selectable fields',
    { selectableFields: [{ jsonPath: '.spec.b' }, { jsonPath: '.spec' }] },
    [
      'spec.selectableFields[0].jsonPath: Invalid value: ".spec.b": is an invalid path: does not refer to a valid field',
      'spec.selectableFields[1].jsonPath: Invalid value: ".spec": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
    ],
  ],
  [
    'a deprecation warning',
    { deprecationWarning: 'x' },
    [
      'spec.versions[0].deprecationWarning: Invalid value: "x": can only be set for deprecated versions',
    ],
  ],
]

for (const [name, rest, expected] of FIELDS) {
  test(`validateCrd() checks ${name}`, () =>
    assert.deepEqual(judge(specOf({ a: S }), rest), expected))
}

test('validateCrd() names the version when versions differ', () => {
  const versions = [version('v1', specOf({})), version('v2', specOf({ a: {} }), { storage: false })]
  assert.deepEqual(causes(validateCrd(crd(versions))), [
    'spec.versions[1].schema.openAPIV3Schema.properties[spec].properties[a].type: Required value: must not be empty for specified object fields',
  ])
})

test('validateCrd() keeps a schema with a status subresource to fields that survive at its root', () => {
  const schema = obj({}, { maxProperties: 3 })
  const [error] = judge(schema, { subresources: { status: {} } })
  assert.match(error ?? '', /only \[Description Type .*\] fields are allowed at the root/)
})

test('validateCrd() checks versions as a set', () => {
  const two = [version('v1', specOf({})), version('v1', specOf({}))]
  const texts = causes(validateCrd(crd(two))).map(text => text.replace(/value: \[.*\]:/, 'value:'))
  assert.deepEqual(texts, [
    'spec.versions: Invalid value: must contain unique version names',
    'spec.versions: Invalid value: must have exactly one version marked as storage version',
    'status.storedVersions: Invalid value: must have the storage version v1',
  ])
  assert.deepEqual(causes(validateCrd(crd([]))), [
    'spec.versions: Invalid value: []: must have exactly one version marked as storage version',
    'status.storedVersions: Invalid value: null: must have at least one stored version',
  ])
  assert.deepEqual(causes(validateCrd(crd([version('v1', undefined)]))), [
    'spec.versions[0].schema.openAPIV3Schema: Required value',
  ])
})

test('validateCrd() checks names, group and scope', () => {
  const versions = [version('v1', specOf({}))]
  const object = crd(versions, {
    group: 'nodots',
    scope: 'Planet',
    names: { plural: 'mugs', kind: 'Mug', listKind: 'Mug', shortNames: ['M'] },
  })
  assert.deepEqual(
    validateCrd(object).map(error => error.field),
    [
      'metadata.name',
      'spec.group',
      'spec.scope',
      'spec.names.listKind',
      'spec.names.shortNames[0]',
    ],
  )
})

test('validateCrd() asks for approval in protected groups', () => {
  const versions = [version('v1', specOf({}))]
  const of = (annotations: JsonObject) =>
    validateCrd(crd(versions, { group: 'x.k8s.io' }, { name: 'mugs.x.k8s.io', annotations }))
  const key = 'api-approved.kubernetes.io'
  assert.deepEqual(
    of({}).map(error => error.field),
    [`metadata.annotations[${key}]`],
  )
  assert.equal(of({ [key]: 'sure' })[0]?.type, 'FieldValueInvalid')
  assert.deepEqual(of({ [key]: 'unapproved, a test' }), [])
  assert.deepEqual(of({ [key]: 'https://example.com/1' }), [])
})

test('validateCrd() checks the conversion webhook', () => {
  const versions = [version('v1', specOf({}))]
  const of = (conversion: JsonObject) => causes(validateCrd(crd(versions, { conversion })))
  assert.deepEqual(of({ strategy: 'Webhook' }), [
    'spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook',
    'spec.conversion.conversionReviewVersions: Required value',
  ])
  const url = 'http://u@h/?q#f'
  const webhook = { clientConfig: { url }, conversionReviewVersions: ['v1'] }
  assert.equal(of({ strategy: 'Webhook', webhook }).length, 4)
  const service = { name: 'n', namespace: 'ns', path: '/a//b' }
  const good = { clientConfig: { service }, conversionReviewVersions: ['v1'] }
  assert.deepEqual(of({ strategy: 'Webhook', webhook: good }), [
    'spec.conversion.webhookClientConfig.service.path: Invalid value: "/a//b": segment[1] may not be empty',
  ])
})

function update(
  change: (next: JsonObject, spec: JsonObject) => void,
  established = true,
): string[] {
  const old = crd(
    [version('v1', specOf({ a: S })), version('v2', specOf({}), { storage: false })],
    {},
    { resourceVersion: '1' },
  )
  const conditions = [{ type: 'Established', status: established ? 'True' : 'False' }]
  old.status = { ...(old.status as JsonObject), conditions }
  const next = cloneJson(old)
  change(next, next.spec as JsonObject)
  prepareCrdForUpdate(next, old)
  return causes(validateCrdUpdate(next, old)).filter(text => !text.startsWith('metadata.name'))
}

test('validateCrdUpdate() holds on to what storage depends on', () => {
  assert.deepEqual(
    update(() => undefined),
    [],
  )
  assert.deepEqual(
    update((_, spec) => {
      spec.scope = 'Cluster'
    }),
    ['spec.scope: Invalid value: "Cluster": field is immutable'],
  )
  assert.deepEqual(
    update((_, spec) => {
      spec.scope = 'Cluster'
    }, false),
    [],
  )
  assert.deepEqual(
    update((_, spec) => {
      spec.group = 'else.example.com'
    }),
    ['spec.group: Invalid value: "else.example.com": field is immutable'],
  )
})

test('validateCrdUpdate() keeps versions that objects may be stored in', () => {
  const switched = update((_, spec) => {
    const [one, two] = spec.versions as [JsonObject, JsonObject]
    one.storage = false
    two.storage = true
  })
  assert.deepEqual(switched, [])
  const [error] = update((_, spec) => {
    const [, two] = spec.versions as [JsonObject, JsonObject]
    spec.versions = [{ ...two, storage: true }]
  })
  assert.match(
    error ?? '',
    /^status.storedVersions\[0\]: Invalid value: "v1": missing from spec.versions; v1 was/,
  )
})
