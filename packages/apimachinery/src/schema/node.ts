// A schema as every other part reads it: prune, default, validate, managed fields, strategic merge, tables and CEL
// all walk SchemaNodes. CRDs become nodes in structural.ts, built-in kinds in codec/field-table.ts.
// Nodes are immutable once made and may form a graph (JSONSchemaProps contains itself), so walk data, not schemas.

import type { JsonValue } from '../json.ts'

export type SchemaType = 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'

export interface SchemaNode {
  /** undefined means any type: preserve-unknown-fields without a type, or int-or-string. */
  readonly type?: SchemaType
  readonly description?: string
  readonly nullable?: boolean
  /** Named fields of an object. */
  readonly properties?: ReadonlyMap<string, SchemaNode>
  /** The value schema of a map (an object with free keys). Never set together with properties by a built-in. */
  readonly additionalProperties?: SchemaNode
  readonly items?: SchemaNode
  readonly default?: JsonValue
  /** x-kubernetes-preserve-unknown-fields */
  readonly preserveUnknownFields?: boolean
  /** x-kubernetes-embedded-resource */
  readonly embeddedResource?: boolean
  /** x-kubernetes-int-or-string, and the built-in IntOrString */
  readonly intOrString?: boolean
  /** x-kubernetes-list-type; an absent one means atomic. */
  readonly listType?: 'atomic' | 'set' | 'map'
  readonly listMapKeys?: readonly string[]
  /** x-kubernetes-map-type of objects and maps; an absent one means granular. */
  readonly mapType?: 'granular' | 'atomic'
  /** Value validations of structural schemas. Built-in kinds leave this out: their strategy validates. */
  readonly validation?: ValueValidation
  /** x-kubernetes-validations, uncompiled. */
  readonly rules?: readonly ValidationRule[]
  readonly format?: string
  readonly required?: readonly string[]
  /** Strategic merge patch of built-in kinds: the tags patchStrategy and patchMergeKey. */
  readonly patchStrategy?: readonly ('merge' | 'replace' | 'retainKeys')[]
  readonly patchMergeKey?: string
  /** The Go type of a built-in's node, as decode errors spell it: `v1.ObjectMeta`, `map[string]string`. */
  readonly goType?: string
  /**
   * Built-ins only: how Go's JSON encoder treats an empty value of this field. 'always' writes it
   * (no omitempty, or a struct that omitempty cannot drop), 'omitempty' drops zero values,
   * 'pointer' keeps zero values that were set.
   */
  readonly presence?: 'always' | 'omitempty' | 'pointer'
}

/** What JSON Schema calls value validation, including the parts inside allOf, anyOf, oneOf and not. */
export interface ValueValidation {
  readonly enum?: readonly JsonValue[]
  readonly pattern?: string
  readonly format?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: boolean
  readonly exclusiveMaximum?: boolean
  readonly multipleOf?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly uniqueItems?: boolean
  readonly minProperties?: number
  readonly maxProperties?: number
  readonly required?: readonly string[]
  readonly allOf?: readonly NestedValidation[]
  readonly anyOf?: readonly NestedValidation[]
  readonly oneOf?: readonly NestedValidation[]
  readonly not?: NestedValidation
}

/** A value validation inside a junctor: it may look deeper, but defines no structure. */
export interface NestedValidation extends ValueValidation {
  readonly type?: SchemaType
  readonly properties?: ReadonlyMap<string, NestedValidation>
  readonly additionalProperties?: NestedValidation
  readonly items?: NestedValidation
}

/** One x-kubernetes-validations entry. Ref: apiextensions-apiserver/pkg/apis/apiextensions/v1/types_jsonschema.go */
export interface ValidationRule {
  readonly rule: string
  readonly message?: string
  readonly messageExpression?: string
  readonly reason?:
    | 'FieldValueInvalid'
    | 'FieldValueForbidden'
    | 'FieldValueRequired'
    | 'FieldValueDuplicate'
  readonly fieldPath?: string
  readonly optionalOldSelf?: boolean
}
