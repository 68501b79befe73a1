// Versions and rules of a CRD printed as upstream's internal Go structs: that is how they stand in messages about them.
// Called by crd-validation.ts and crd-schema-validation.ts. Ref: apiextensions-apiserver/pkg/apis/apiextensions/types.go

import { isObject, type JsonObject, type JsonValue } from '../json.ts'
import type { CrdVersion } from './crd-view.ts'

type Convert = (value: JsonValue) => JsonValue
/** JSON name, Go name, what Go prints when it is not set, and how to print it when it is. */
type Field = readonly [string, string, JsonValue, Convert?]

function print(fields: readonly Field[], value: JsonObject): JsonObject {
  const printed: JsonObject = {}
  for (const [from, to, zero, convert] of fields) {
    const member = Object.hasOwn(value, from) ? value[from] : undefined
    const isSet = member !== undefined && member !== null
    printed[to] = isSet ? (convert?.(member) ?? member) : zero
  }
  return printed
}

const eachOf =
  (convert: Convert): Convert =>
  value =>
    Array.isArray(value) ? value.map(convert) : null
const membersOf =
  (convert: Convert): Convert =>
  value =>
    isObject(value)
      ? Object.fromEntries(
          Object.keys(value)
            .sort()
            .map(key => [key, convert(value[key] ?? {})]),
        )
      : null
const structOf =
  (fields: readonly Field[]): Convert =>
  value =>
    print(fields, isObject(value) ? value : {})

const RULE: readonly Field[] = [
  ['rule', 'Rule', ''],
  ['message', 'Message', ''],
  ['messageExpression', 'MessageExpression', ''],
  ['reason', 'Reason', null],
  ['fieldPath', 'FieldPath', ''],
  ['optionalOldSelf', 'OptionalOldSelf', null],
]

const schemaOf: Convert = value => print(SCHEMA, isObject(value) ? value : {})
const schemaOrBool: Convert = value =>
  typeof value === 'boolean'
    ? { Allows: value, Schema: null }
    : { Allows: true, Schema: schemaOf(value) }
const schemaOrList: Convert = value =>
  Array.isArray(value)
    ? { Schema: null, JSONSchemas: value.map(schemaOf) }
    : { Schema: schemaOf(value), JSONSchemas: null }
const schemaOrTexts: Convert = value =>
  Array.isArray(value)
    ? { Schema: null, Property: value }
    : { Schema: schemaOf(value), Property: null }

const SCHEMA: readonly Field[] = [
  ['id', 'ID', ''],
  ['$schema', 'Schema', ''],
  ['$ref', 'Ref', null],
  ['description', 'Description', ''],
  ['type', 'Type', ''],
  ['nullable', 'Nullable', false],
  ['format', 'Format', ''],
  ['title', 'Title', ''],
  ['default', 'Default', null],
  ['maximum', 'Maximum', null],
  ['exclusiveMaximum', 'ExclusiveMaximum', false],
  ['minimum', 'Minimum', null],
  ['exclusiveMinimum', 'ExclusiveMinimum', false],
  ['maxLength', 'MaxLength', null],
  ['minLength', 'MinLength', null],
  ['pattern', 'Pattern', ''],
  ['maxItems', 'MaxItems', null],
  ['minItems', 'MinItems', null],
  ['uniqueItems', 'UniqueItems', false],
  ['multipleOf', 'MultipleOf', null],
  ['enum', 'Enum', null],
  ['maxProperties', 'MaxProperties', null],
  ['minProperties', 'MinProperties', null],
  ['required', 'Required', null],
  ['items', 'Items', null, schemaOrList],
  ['allOf', 'AllOf', null, eachOf(schemaOf)],
  ['oneOf', 'OneOf', null, eachOf(schemaOf)],
  ['anyOf', 'AnyOf', null, eachOf(schemaOf)],
  ['not', 'Not', null, schemaOf],
  ['properties', 'Properties', null, membersOf(schemaOf)],
  ['additionalProperties', 'AdditionalProperties', null, schemaOrBool],
  ['patternProperties', 'PatternProperties', null, membersOf(schemaOf)],
  ['dependencies', 'Dependencies', null, membersOf(schemaOrTexts)],
  ['additionalItems', 'AdditionalItems', null, schemaOrBool],
  ['definitions', 'Definitions', null, membersOf(schemaOf)],
  [
    'externalDocs',
    'ExternalDocs',
    null,
    structOf([
      ['description', 'Description', ''],
      ['url', 'URL', ''],
    ]),
  ],
  ['example', 'Example', null],
  ['x-kubernetes-preserve-unknown-fields', 'XPreserveUnknownFields', null],
  ['x-kubernetes-embedded-resource', 'XEmbeddedResource', false],
  ['x-kubernetes-int-or-string', 'XIntOrString', false],
  ['x-kubernetes-list-map-keys', 'XListMapKeys', null],
  ['x-kubernetes-list-type', 'XListType', null],
  ['x-kubernetes-map-type', 'XMapType', null],
  ['x-kubernetes-validations', 'XValidations', null, eachOf(structOf(RULE))],
]

const SUBRESOURCES: readonly Field[] = [
  ['status', 'Status', null, () => ({})],
  [
    'scale',
    'Scale',
    null,
    structOf([
      ['specReplicasPath', 'SpecReplicasPath', ''],
      ['statusReplicasPath', 'StatusReplicasPath', ''],
      ['labelSelectorPath', 'LabelSelectorPath', null],
    ]),
  ],
]

const COLUMN: readonly Field[] = [
  ['name', 'Name', ''],
  ['type', 'Type', ''],
  ['format', 'Format', ''],
  ['description', 'Description', ''],
  ['priority', 'Priority', 0],
  ['jsonPath', 'JSONPath', ''],
]

/** A CEL rule. */
export function internalRule(rule: JsonObject): JsonObject {
  return print(RULE, rule)
}

/** A schema. */
export function internalSchema(schema: JsonObject): JsonValue {
  return schemaOf(schema)
}

/** `items`: one schema or a list of them. */
export function internalItems(items: JsonValue): JsonValue {
  return schemaOrList(items)
}

/** spec.versions, without what all versions share. */
export function internalVersions(versions: readonly CrdVersion[]): JsonValue {
  return versions.map(version => ({
    Name: version.name,
    Served: version.served,
    Storage: version.storage,
    Deprecated: version.deprecated,
    DeprecationWarning: version.deprecationWarning ?? null,
    Schema:
      version.schema === undefined
        ? null
        : print([['openAPIV3Schema', 'OpenAPIV3Schema', null, schemaOf]], version.schema),
    Subresources:
      version.subresources === undefined ? null : print(SUBRESOURCES, version.subresources),
    AdditionalPrinterColumns:
      version.columns.length === 0 ? null : version.columns.map(structOf(COLUMN)),
    SelectableFields:
      version.selectableFields.length === 0
        ? null
        : version.selectableFields.map(structOf([['jsonPath', 'JSONPath', '']])),
  }))
}
