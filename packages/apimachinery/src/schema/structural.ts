// Turns the openAPIV3Schema of a CRD version into SchemaNodes. Equal sub-schemas become one node, which makes Istio's
// repeated matchers cost once. Called by custom-resource.ts and the CRD checks; reads the input by raw-schema.ts.
// Ref: apiextensions-apiserver/pkg/apiserver/schema/{structural,convert}.go

import { isObject, type JsonObject, type JsonValue } from '../json.ts'
import type {
  NestedValidation,
  SchemaNode,
  SchemaType,
  ValidationRule,
  ValueValidation,
} from './node.ts'
import {
  defaultOf,
  flagOf,
  isSet,
  numberOf,
  schemaMap,
  subSchema,
  subSchemas,
  textOf,
  textsOf,
} from './raw-schema.ts'

/** The node of `additionalProperties: true`: a value nothing is known about. */
export const ANY_VALUE: SchemaNode = { nullable: true }

/** The node of `additionalProperties: false`: a value that must not be there. Compared by identity. */
export const NO_VALUE: SchemaNode & NestedValidation = Object.freeze({ nullable: true })

export interface CompileSchemaOptions {
  /** Keeps descriptions, for documents made from nodes. They are most of a schema's size. */
  readonly descriptions?: boolean
}

/** Compiles a schema. It reads only what a structural schema may hold, so check the CRD first. */
export function compileSchema(schema: JsonObject, options: CompileSchemaOptions = {}): SchemaNode {
  return new SchemaCompiler(options).node(schema)
}

const NUMERIC_FACETS = [
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'multipleOf',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
] as const
const FLAG_FACETS = ['exclusiveMinimum', 'exclusiveMaximum', 'uniqueItems'] as const
const TEXT_FACETS = ['pattern', 'format'] as const
const JUNCTORS = ['allOf', 'anyOf', 'oneOf'] as const
const LIST_TYPES: ReadonlySet<string> = new Set(['atomic', 'set', 'map'])

type Draft<T> = { -readonly [K in keyof T]: T[K] }

class SchemaCompiler {
  readonly #options: CompileSchemaOptions
  readonly #interned = new Map<string, SchemaNode | NestedValidation>()
  readonly #ids = new Map<object, number>()

  constructor(options: CompileSchemaOptions) {
    this.#options = options
    this.#idOf(ANY_VALUE)
    this.#idOf(NO_VALUE)
  }

  node(schema: JsonObject): SchemaNode {
    const node: Draft<SchemaNode> = {}
    const type = textOf(schema, 'type')
    if (type !== '') node.type = type as SchemaType
    if (this.#options.descriptions && textOf(schema, 'description') !== '') {
      node.description = textOf(schema, 'description')
    }
    if (flagOf(schema, 'nullable')) node.nullable = true
    const properties = schemaMap(schema, 'properties')
    if (properties.length > 0) {
      node.properties = new Map(properties.map(([name, sub]) => [name, this.node(sub)]))
    }
    const items = subSchema(schema, 'items')
    if (items !== undefined) node.items = this.node(items)
    const additional = this.#additional(schema, sub => this.node(sub))
    if (additional !== undefined) node.additionalProperties = additional
    const fallback = defaultOf(schema)
    if (fallback !== undefined) node.default = fallback
    addExtensions(schema, node)
    const validation = this.#valueValidation(schema)
    if (Object.keys(validation).length > 0) node.validation = validation
    if (validation.format !== undefined) node.format = validation.format
    if (validation.required !== undefined) node.required = validation.required
    return this.#intern(node) as SchemaNode
  }

  #nested(schema: JsonObject): NestedValidation {
    const nested: Draft<NestedValidation> = this.#valueValidation(schema)
    const type = textOf(schema, 'type')
    if (type !== '') nested.type = type as SchemaType
    const properties = schemaMap(schema, 'properties')
    if (properties.length > 0) {
      nested.properties = new Map(properties.map(([name, sub]) => [name, this.#nested(sub)]))
    }
    const items = subSchema(schema, 'items')
    if (items !== undefined) nested.items = this.#nested(items)
    const additional = this.#additional(schema, sub => this.#nested(sub))
    if (additional !== undefined) nested.additionalProperties = additional
    return this.#intern(nested) as NestedValidation
  }

  #additional<T>(schema: JsonObject, compile: (sub: JsonObject) => T) {
    const sub = subSchema(schema, 'additionalProperties')
    if (sub !== undefined) return compile(sub)
    if (flagOf(schema, 'additionalProperties')) return ANY_VALUE
    return schema.additionalProperties === false ? NO_VALUE : undefined
  }

  #valueValidation(schema: JsonObject): Draft<ValueValidation> {
    const out: Draft<ValueValidation> = {}
    for (const key of NUMERIC_FACETS) {
      const value = numberOf(schema, key)
      if (value !== undefined) out[key] = value
    }
    for (const key of FLAG_FACETS) if (flagOf(schema, key)) out[key] = true
    for (const key of TEXT_FACETS) if (textOf(schema, key) !== '') out[key] = textOf(schema, key)
    const choices = schema.enum
    if (Array.isArray(choices) && choices.length > 0) out.enum = choices
    const required = textsOf(schema, 'required')
    if (required.length > 0) out.required = required
    for (const key of JUNCTORS) {
      const clauses = subSchemas(schema, key)
      if (clauses.length > 0) out[key] = clauses.map(clause => this.#nested(clause))
    }
    const not = subSchema(schema, 'not')
    if (not !== undefined) out.not = this.#nested(not)
    return out
  }

  /** The one node of this shape. Children are interned first, so their ids stand for them. */
  #intern(node: SchemaNode | NestedValidation): SchemaNode | NestedValidation {
    const key = JSON.stringify(node, (name, value: JsonValue | ReadonlyMap<string, object>) => {
      if (name === '') return value
      if (value instanceof Map) return [...value].map(([child, sub]) => [child, this.#idOf(sub)])
      return isObject(value) && this.#ids.has(value) ? { id: this.#idOf(value) } : value
    })
    const known = this.#interned.get(key)
    if (known !== undefined) return known
    this.#interned.set(key, node)
    this.#idOf(node)
    return node
  }

  #idOf(node: object): number {
    const known = this.#ids.get(node)
    if (known !== undefined) return known
    const id = this.#ids.size
    this.#ids.set(node, id)
    return id
  }
}

function addExtensions(schema: JsonObject, node: Draft<SchemaNode>): void {
  if (flagOf(schema, 'x-kubernetes-preserve-unknown-fields')) node.preserveUnknownFields = true
  if (flagOf(schema, 'x-kubernetes-embedded-resource')) node.embeddedResource = true
  if (flagOf(schema, 'x-kubernetes-int-or-string')) node.intOrString = true
  const listType = textOf(schema, 'x-kubernetes-list-type')
  if (LIST_TYPES.has(listType)) node.listType = listType as 'atomic' | 'set' | 'map'
  const keys = textsOf(schema, 'x-kubernetes-list-map-keys')
  if (keys.length > 0) node.listMapKeys = keys
  const mapType = textOf(schema, 'x-kubernetes-map-type')
  if (mapType === 'atomic' || mapType === 'granular') node.mapType = mapType
  const rules = subSchemas(schema, 'x-kubernetes-validations')
  if (rules.length > 0) node.rules = rules.map(toRule)
}

/** One entry of x-kubernetes-validations. */
export function toRule(raw: JsonObject): ValidationRule {
  const rule: Draft<ValidationRule> = { rule: textOf(raw, 'rule') }
  for (const key of ['message', 'messageExpression', 'fieldPath'] as const) {
    if (textOf(raw, key) !== '') rule[key] = textOf(raw, key)
  }
  if (textOf(raw, 'reason') !== '') {
    rule.reason = textOf(raw, 'reason') as NonNullable<ValidationRule['reason']>
  }
  if (isSet(raw, 'optionalOldSelf')) rule.optionalOldSelf = flagOf(raw, 'optionalOldSelf')
  return rule
}
