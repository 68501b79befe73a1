// What a CRD's openAPIV3Schema may say, node by node: supported fields, list and map types, validation rules and their
// cost. Called by crd-validation.ts, after structural-validation.ts; calls rules.ts to compile.
// Ref: apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go ValidateCustomResourceDefinitionOpenAPISchema

import { schemaCardinality } from '../cel/index.ts'
import {
  type FieldError,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
} from '../field-error.ts'
import type { JsonObject } from '../json.ts'
import { CostTotal, costMessage, EXPRESSION_COST_LIMIT, maxChildren } from './crd-cost.ts'
import { internalRule, internalSchema } from './crd-internal-form.ts'
import { checkLists } from './crd-list-validation.ts'
import { validateDefaults } from './default-validation.ts'
import { resolveFieldPath } from './field-path.ts'
import type { SchemaNode } from './node.ts'
import { defaultOf, flagOf, isSet, schemaMap, subSchema, subSchemas, textOf } from './raw-schema.ts'
import { type CompiledRule, compileRule } from './rules.ts'
import { compileSchema, toRule } from './structural.ts'
import { unsupportedReason, validateStructural } from './structural-validation.ts'

export interface SchemaCheckOptions {
  /** The version has a /status: only some fields may stand at the root. */
  readonly statusEnabled: boolean
}

/** Everything wrong with a version's openAPIV3Schema; `path` names it. */
export function validateCrdSchema(
  schema: JsonObject,
  path: string,
  options: SchemaCheckOptions,
): FieldError[] {
  const errors = options.statusEnabled ? checkRootFields(schema, path) : []
  if (flagOf(schema, 'nullable')) {
    errors.push(forbiddenField(`${path}.nullable`, 'nullable cannot be true at the root'))
  }
  const unsupported = unsupportedReason(schema)
  const total = new CostTotal()
  let rules: RuleScope | undefined
  if (unsupported === undefined) {
    const structural = validateStructural(schema, path)
    const node = compileSchema(schema)
    const before = structural.length > 0 ? structural : validateDefaults(node, path)
    errors.push(...before)
    if (before.length === 0) rules = { node, cardinality: 1, resourceRoot: true }
  }
  const found = new SchemaCheck(total).visit(schema, path, { root: true }, rules)
  errors.push(...found.schema, ...found.rules)
  // These overlap with the errors above, so they stand in only when there is no other.
  if (errors.length === 0 && unsupported !== undefined) {
    errors.push(invalidValue(path, '', unsupported))
  }
  if (rules !== undefined) errors.push(...total.errors(path))
  return errors
}

// Fields that keep their meaning when the schema of status is taken out of the root, with the names upstream prints.
const ROOT_FIELDS: Readonly<Record<string, string>> = {
  description: 'Description',
  type: 'Type',
  format: 'Format',
  title: 'Title',
  maximum: 'Maximum',
  exclusiveMaximum: 'ExclusiveMaximum',
  minimum: 'Minimum',
  exclusiveMinimum: 'ExclusiveMinimum',
  maxLength: 'MaxLength',
  minLength: 'MinLength',
  pattern: 'Pattern',
  maxItems: 'MaxItems',
  minItems: 'MinItems',
  uniqueItems: 'UniqueItems',
  multipleOf: 'MultipleOf',
  required: 'Required',
  items: 'Items',
  properties: 'Properties',
  externalDocs: 'ExternalDocs',
  example: 'Example',
  'x-kubernetes-preserve-unknown-fields': 'XPreserveUnknownFields',
  'x-kubernetes-validations': 'XValidations',
}

function checkRootFields(schema: JsonObject, path: string): FieldError[] {
  const type = textOf(schema, 'type')
  if (type !== '' && type !== 'object') {
    const detail =
      'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
    return [invalidValue(`${path}.type`, type, detail)]
  }
  const stray = Object.keys(schema).some(
    key => isSet(schema, key) && schema[key] !== false && !Object.hasOwn(ROOT_FIELDS, key),
  )
  if (!stray) return []
  const allowed = `[${Object.values(ROOT_FIELDS).join(' ')}]`
  const detail = `only ${allowed} fields are allowed at the root of the schema if the status subresource is enabled`
  return [invalidValue(path, internalSchema(schema), detail)]
}

/** What the schemas around a node say about it. */
interface Place {
  readonly root?: boolean
  /** In apiVersion, kind or metadata of a resource. */
  readonly insideMeta?: boolean
  /** Why defaults are not allowed here. */
  readonly noDefaults?: string
  /** The path of the list or map that keeps old values from being found. */
  readonly uncorrelated?: string
}

/** Set where rules may stand: not inside junctors, and only when the schema is structural. */
interface RuleScope {
  readonly node: SchemaNode
  /** How often the node can occur in an object; undefined when nothing limits it. */
  readonly cardinality: number | undefined
  readonly resourceRoot: boolean
}

interface Found {
  readonly schema: FieldError[]
  readonly rules: FieldError[]
}

const META_FIELDS: ReadonlySet<string> = new Set(['metadata', 'kind', 'apiVersion'])
const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string']

class SchemaCheck {
  readonly #total: CostTotal

  constructor(total: CostTotal) {
    this.#total = total
  }

  visit(schema: JsonObject, path: string, place: Place, scope: RuleScope | undefined): Found {
    const found: Found = { schema: checkFields(schema, path, place), rules: [] }
    this.#visitChildren(schema, path, place, scope, found)
    found.schema.push(...checkLists(schema, path), ...checkRuleTexts(schema, path))
    // Schemas with errors do not always make types, and their rules' errors would mislead.
    if (scope !== undefined && found.schema.length === 0) {
      found.rules.push(...this.#checkRules(schema, path, place, scope))
    }
    return found
  }

  #visitChildren(
    schema: JsonObject,
    path: string,
    place: Place,
    scope: RuleScope | undefined,
    found: Found,
  ): void {
    const add = (
      child: JsonObject | undefined,
      at: string,
      where: Place,
      node?: SchemaNode | undefined,
    ): void => {
      if (child === undefined) return
      const below = scope && node && childScope(schema, scope, node)
      const inner = this.visit(child, `${path}.${at}`, where, below)
      found.schema.push(...inner.schema)
      found.rules.push(...inner.rules)
    }
    const { root: _, ...inherited } = place
    const inAdditional = place.insideMeta
      ? { ...inherited, noDefaults: 'inside additionalProperties applying to object metadata' }
      : inherited
    const additional = subSchema(schema, 'additionalProperties')
    add(additional, 'additionalProperties', inAdditional, scope?.node.additionalProperties)
    const embeds = flagOf(schema, 'x-kubernetes-embedded-resource')
    // Values below are paired with old ones by the types of maps and lists that are known; the outermost other is named.
    const uncorrelated = { ...inherited, uncorrelated: place.uncorrelated ?? path }
    const correlatesFields = ['', 'granular', 'atomic'].includes(
      textOf(schema, 'x-kubernetes-map-type'),
    )
    for (const [name, property] of schemaMap(schema, 'properties')) {
      const meta = (place.root === true || embeds) && META_FIELDS.has(name)
      const where: Place = {
        ...(correlatesFields ? inherited : uncorrelated),
        ...(meta ? { insideMeta: true } : {}),
        ...(meta && place.root ? { noDefaults: `in top-level ${name}` } : {}),
      }
      add(property, `properties[${name}]`, where, scope?.node.properties?.get(name))
    }
    add(subSchema(schema, 'not'), 'not', inherited)
    for (const key of ['allOf', 'oneOf', 'anyOf']) {
      for (const [i, clause] of subSchemas(schema, key).entries()) {
        add(clause, `${key}[${i}]`, inherited)
      }
    }
    for (const key of ['definitions', 'dependencies']) {
      for (const [name, child] of schemaMap(schema, key)) add(child, `${key}[${name}]`, inherited)
    }
    const inItems = textOf(schema, 'x-kubernetes-list-type') === 'map' ? inherited : uncorrelated
    add(subSchema(schema, 'items'), 'items', inItems, scope?.node.items)
    for (const [i, item] of subSchemas(schema, 'items').entries()) add(item, `items[${i}]`, inItems)
  }

  #checkRules(schema: JsonObject, path: string, place: Place, scope: RuleScope): FieldError[] {
    const at = `${path}.x-kubernetes-validations`
    const raw = subSchemas(schema, 'x-kubernetes-validations')
    if (raw.length === 0) return []
    const unlimited = schemaCardinality(scope.node, scope.resourceRoot)
    if (unlimited === undefined) {
      const why = 'unable to convert structural schema to CEL declarations'
      const detail = `internal error: failed to construct type information for x-kubernetes-validations rules: ${why}`
      return [{ type: 'InternalError', field: at, detail }]
    }
    const times = scope.cardinality ?? unlimited
    return raw.flatMap((rule, i) => {
      const compiled = compileRule(toRule(rule), scope.node, scope.resourceRoot)
      return [
        ...this.#checkCost(compiled, `${at}[${i}]`, times),
        ...checkCompiled(compiled, rule, `${at}[${i}]`, place),
      ]
    })
  }

  #checkCost(compiled: CompiledRule, path: string, times: number): FieldError[] {
    const errors: FieldError[] = []
    const observe = (key: string, what: string, cost: number): void => {
      if (cost > EXPRESSION_COST_LIMIT) {
        const detail = costMessage(what, cost, EXPRESSION_COST_LIMIT)
        errors.push(forbiddenField(`${path}.${key}`, detail))
      }
      this.#total.add(`${path}.${key}`, cost)
    }
    const { program, message } = compiled
    if (program !== undefined) {
      observe('rule', 'estimated rule cost', program.estimateCost().max * times)
    }
    if (message !== undefined) {
      const what = 'estimated messageExpression cost'
      observe('messageExpression', what, message.estimateCost().max)
    }
    return errors
  }
}

function childScope(parent: JsonObject, scope: RuleScope, node: SchemaNode): RuleScope {
  const each = maxChildren(parent)
  const bounded = scope.cardinality !== undefined && each !== undefined
  return {
    node,
    cardinality: bounded ? scope.cardinality * each : undefined,
    resourceRoot: node.embeddedResource === true,
  }
}

function checkFields(schema: JsonObject, path: string, place: Place): FieldError[] {
  const errors: FieldError[] = []
  const forbid = (key: string, detail: string): void => {
    errors.push(forbiddenField(`${path}.${key}`, detail))
  }
  const type = textOf(schema, 'type')
  if (type !== '' && !TYPES.includes(type)) errors.push(notSupported(`${path}.type`, type, TYPES))
  if (defaultOf(schema) !== undefined && place.noDefaults !== undefined) {
    forbid('default', `must not be set ${place.noDefaults}`)
  }
  if (textOf(schema, 'id') !== '') forbid('id', 'id is not supported')
  if (isSet(schema, 'additionalItems'))
    forbid('additionalItems', 'additionalItems is not supported')
  for (const key of ['patternProperties', 'definitions']) {
    if (schemaMap(schema, key).length > 0) forbid(key, `${key} is not supported`)
  }
  for (const key of ['dependencies', '$ref']) {
    if (isSet(schema, key)) forbid(key, `${key} is not supported`)
  }
  if (type === 'null') forbid('type', 'type cannot be set to null, use nullable as an alternative')
  if (subSchemas(schema, 'items').length > 0) {
    forbid('items', 'items must be a schema object and not an array')
  }
  if (place.insideMeta && flagOf(schema, 'x-kubernetes-embedded-resource')) {
    forbid('x-kubernetes-embedded-resource', 'must not be used inside of resource meta')
  }
  if (flagOf(schema, 'uniqueItems')) {
    const detail =
      'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'
    forbid('uniqueItems', detail)
  }
  const closed = isSet(schema, 'additionalProperties') && !flagOf(schema, 'additionalProperties')
  if (closed && schemaMap(schema, 'properties').length > 0) {
    forbid('additionalProperties', 'additionalProperties and properties are mutual exclusive')
  }
  if (schema['x-kubernetes-preserve-unknown-fields'] === false) {
    const at = `${path}.x-kubernetes-preserve-unknown-fields`
    errors.push(invalidValue(at, false, 'must be true or undefined'))
  }
  return errors
}

const REASONS = [
  'FieldValueDuplicate',
  'FieldValueForbidden',
  'FieldValueInvalid',
  'FieldValueRequired',
]
const LINE_BREAK = /[\n\r]/

function checkRuleTexts(schema: JsonObject, path: string): FieldError[] {
  return subSchemas(schema, 'x-kubernetes-validations').flatMap((rule, i) =>
    checkRuleText(rule, schema, `${path}.x-kubernetes-validations[${i}]`),
  )
}

function checkRuleText(rule: JsonObject, schema: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  const [text, message, expression, reason, fieldPath] = [
    'rule',
    'message',
    'messageExpression',
    'reason',
    'fieldPath',
  ].map(key => textOf(rule, key)) as [string, string, string, string, string]
  if (text.trim() === '') errors.push(required(`${path}.rule`, 'rule is not specified'))
  else if (message !== '' && message.trim() === '') {
    errors.push(invalidValue(`${path}.message`, message, 'must be non-empty if specified'))
  } else if (LINE_BREAK.test(message.trim())) {
    errors.push(invalidValue(`${path}.message`, message, 'must not contain line breaks'))
  } else if (LINE_BREAK.test(text.trim()) && message.trim() === '') {
    const detail = 'message must be specified if rule contains line breaks'
    errors.push(required(`${path}.message`, detail))
  }
  if (expression !== '' && expression.trim() === '') {
    const detail = 'messageExpression must be non-empty if specified'
    errors.push(required(`${path}.messageExpression`, detail))
  }
  if (isSet(rule, 'reason') && !REASONS.includes(reason)) {
    errors.push(notSupported(`${path}.reason`, reason, REASONS))
  }
  if (fieldPath === '') return errors
  const at = `${path}.fieldPath`
  if (fieldPath.trim() === '') {
    errors.push(invalidValue(at, fieldPath, 'must be non-empty if specified'))
  }
  if (LINE_BREAK.test(fieldPath)) {
    errors.push(invalidValue(at, fieldPath, 'must not contain line breaks'))
  }
  const known = unsupportedReason(schema) === undefined
  if (known && !resolveFieldPath(fieldPath, compileSchema(schema)).ok) {
    errors.push(invalidValue(at, fieldPath, 'must be a valid path'))
  }
  return errors
}

function checkCompiled(
  compiled: CompiledRule,
  rule: JsonObject,
  path: string,
  place: Place,
): FieldError[] {
  const errors: FieldError[] = []
  if (compiled.error !== undefined) {
    errors.push(invalidValue(`${path}.rule`, internalRule(rule), compiled.error.detail))
  }
  if (compiled.messageError !== undefined) {
    const detail = compiled.messageError.detail
    errors.push(invalidValue(`${path}.messageExpression`, internalRule(rule), detail))
  }
  if (compiled.usesOldSelf && place.uncorrelated !== undefined) {
    const detail = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${place.uncorrelated}`
    errors.push(invalidValue(`${path}.rule`, textOf(rule, 'rule'), detail))
  }
  if (!compiled.usesOldSelf && isSet(rule, 'optionalOldSelf')) {
    const at = `${path}.optionalOldSelf`
    const detail = 'may not be set if oldSelf is not used in rule'
    errors.push(invalidValue(at, flagOf(rule, 'optionalOldSelf'), detail))
  }
  return errors
}
