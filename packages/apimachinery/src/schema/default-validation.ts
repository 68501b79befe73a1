// Checks the defaults a CRD's schema declares: known fields only, valid values, passing rules. Called by the CRD checks.
// Ref: apiextensions-apiserver/pkg/apiserver/schema/defaulting/{validation,surroundingobject}.go

import { type FieldError, fieldErrorBody, formatFieldError, invalidValue } from '../field-error.ts'
import { cloneJson, equalJson, type JsonObject, type JsonValue } from '../json.ts'
import { coerceEmbeddedMetadata, validateEmbeddedResources } from './metadata.ts'
import type { SchemaNode } from './node.ts'
import { pruneUnknownFields } from './prune.ts'
import { newBudget, SchemaRules } from './rules.ts'
import { sortKeys } from './sorted-json.ts'
import { validateValue } from './validate.ts'

/** Everything wrong with the defaults of a resource's schema; `path` names the schema. */
export function validateDefaults(root: SchemaNode, path: string): FieldError[] {
  const check = new DefaultCheck()
  check.visit({ ...root, embeddedResource: true }, path, NOWHERE)
  return check.errors
}

/** Where a schema stands in the nearest resource around it: how to build one that holds a given value there. */
interface Surroundings {
  readonly resource: SchemaNode | undefined
  /** Inside apiVersion, kind or metadata of that resource. */
  readonly insideMeta: boolean
  readonly build: (value: JsonValue) => JsonValue
}

const NOWHERE: Surroundings = { resource: undefined, insideMeta: false, build: value => value }
const META_FIELDS: ReadonlySet<string> = new Set(['metadata', 'apiVersion', 'kind'])

class DefaultCheck {
  readonly errors: FieldError[] = []
  readonly #budget = newBudget()

  visit(node: SchemaNode, path: string, around: Surroundings): void {
    const here = node.embeddedResource
      ? { resource: node, insideMeta: false, build: (value: JsonValue) => value }
      : around
    if (node.default !== undefined) this.#check(node, node.default, `${path}.default`, here)
    if (this.#budget.remaining < 0) return
    if (node.items !== undefined) {
      const build = (value: JsonValue): JsonValue => here.build([value])
      this.visit(node.items, `${path}.items`, { ...here, build })
    }
    for (const [name, property] of node.properties ?? []) {
      const build = (value: JsonValue): JsonValue => here.build({ [name]: value })
      const insideMeta =
        here.insideMeta || (node.embeddedResource === true && META_FIELDS.has(name))
      this.visit(property, `${path}.properties[${name}]`, { ...here, insideMeta, build })
    }
  }

  #check(node: SchemaNode, value: JsonValue, path: string, around: Surroundings): void {
    const found = around.insideMeta
      ? checkMetaDefault(value, path, around)
      : checkPlainDefault(node, value, path)
    const before = this.errors.length
    this.errors.push(...found.errors)
    if (found.stop) return
    this.errors.push(...validateValue(node, value, { fieldPath: path, looseIntOrString: true }))
    if (this.errors.length > before + found.errors.length) return
    this.#checkRules(node, value, path, node === around.resource)
  }

  /** A default may come by create and by update, so rules must hold with and without an old value. */
  #checkRules(node: SchemaNode, value: JsonValue, path: string, resourceRoot: boolean): void {
    const rules = new SchemaRules(node, { resourceRoot })
    const update = { ...this.#budget }
    const create = { ...this.#budget }
    const errors = rules.validate(value, value, { fieldPath: path, budget: update }).errors
    if (errors.length === 0) {
      errors.push(...rules.validate(value, undefined, { fieldPath: path, budget: create }).errors)
    }
    this.errors.push(...errors)
    this.#budget.remaining = Math.min(update.remaining, create.remaining)
  }
}

interface Found {
  readonly errors: readonly FieldError[]
  /** Nothing further can be said about the value. */
  readonly stop: boolean
}

function checkPlainDefault(node: SchemaNode, value: JsonValue, path: string): Found {
  const errors: FieldError[] = []
  const pruned = cloneJson(value)
  pruneUnknownFields(pruned, node, { resourceRoot: node.embeddedResource === true })
  // The message shows the value as it would be used.
  const used = cloneJson(value)
  const coerced = coerceEmbeddedMetadata(used, node, { path })
  if (!equalJson(pruned, value)) {
    errors.push(invalidValue(path, sortKeys(used), 'must not have unknown fields'))
  }
  if (coerced.failure !== undefined) return { errors: [...errors, coerced.failure], stop: true }
  const invalid = validateEmbeddedResources(value, node, path)
  return { errors: [...errors, ...invalid], stop: invalid.length > 0 }
}

function checkMetaDefault(value: JsonValue, path: string, around: Surroundings): Found {
  const object = around.build(cloneJson(value)) as JsonObject
  object.kind ??= 'Validation'
  object.apiVersion ??= 'validation/v1'
  const resource = around.resource ?? {}
  const failed = (why: string): Found => ({
    errors: [invalidValue(path, sortKeys(value), `must result in valid metadata: ${why}`)],
    stop: true,
  })
  const coerced = coerceEmbeddedMetadata(object, resource)
  if (coerced.failure !== undefined) {
    return failed(`${coerced.failure.field}: ${fieldErrorBody(coerced.failure)}`)
  }
  const texts = validateEmbeddedResources(object, resource).map(formatFieldError)
  if (texts.length === 0) return { errors: [], stop: false }
  return failed(texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`)
}
