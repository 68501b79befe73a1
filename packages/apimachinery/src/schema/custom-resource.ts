// What a custom resource's schema does to its objects, in the order a write needs it: prune, default, validate.
// Called by the registry for each CRD version; equal schemas share one instance. Calls the other files of this folder.
// Ref: apiextensions-apiserver/pkg/registry/customresource/{strategy,status_strategy,validator}.go

import { createHash } from 'node:crypto'
import type { FieldError } from '../field-error.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import { Correlation } from './correlate.ts'
import { applyDefaults, pruneForbiddenNulls } from './default.ts'
import { featuresOf, type SchemaFeatures } from './features.ts'
import { validateListTypes } from './list-type.ts'
import {
  coerceEmbeddedMetadata,
  coerceRootMetadata,
  validateEmbeddedResources,
} from './metadata.ts'
import type { SchemaNode } from './node.ts'
import { pruneUnknownFields } from './prune.ts'
import { type RuleFindings, SchemaRules } from './rules.ts'
import { compileSchema } from './structural.ts'
import { validateValue } from './validate.ts'

export interface PrunedObject {
  /** What was dropped, in the order of upstream's `unknown field "spec.x"` texts. */
  readonly unknown: readonly string[]
  /** The metadata, the object's or an embedded one, can not be read: answer 400 with this text. */
  readonly error?: string
}

export interface ValidateObjectOptions {
  /** The stored object, for transition rules and to forgive what did not change. */
  readonly old?: JsonObject | undefined
  /** 'status': only the status is new. */
  readonly part?: 'object' | 'status'
  /** Errors found before, of metadata say: some of them keep rules from running. */
  readonly earlier?: readonly FieldError[]
}

/** A version's schema at work. Objects are changed in place. */
export interface CustomResourceSchema {
  readonly node: SchemaNode
  /** Drops unknown fields and nulls that are not allowed, and brings metadata into its stored form. */
  prune(object: JsonObject): PrunedObject
  default(object: JsonObject): void
  /** Everything wrong with the object but its metadata: types, embedded resources, lists, then CEL rules. */
  validate(object: JsonObject, options?: ValidateObjectOptions): RuleFindings
  /** Frees compiled CEL programs; the next validation compiles them again. */
  dropPrograms(): void
}

export interface CustomResourceSchemaOptions {
  /** spec.preserveUnknownFields of old CRDs: nothing is pruned. */
  readonly preserveUnknownFields?: boolean
}

const shared = new Map<string, WeakRef<CustomResourceSchema>>()

/**
 * The schema of a CRD version, from its openAPIV3Schema (absent: anything goes). Versions and CRDs with equal schemas
 * get the same instance as long as someone holds it.
 */
export function customResourceSchema(
  schema: JsonObject | undefined,
  options: CustomResourceSchemaOptions = {},
): CustomResourceSchema {
  const preserve = options.preserveUnknownFields === true
  const key = createHash('sha256')
    .update(`${preserve}${JSON.stringify(schema ?? null)}`)
    .digest('base64')
  const known = shared.get(key)?.deref()
  if (known !== undefined) return known
  const made = new VersionSchema(schema === undefined ? {} : compileSchema(schema), preserve)
  for (const [other, ref] of shared) if (ref.deref() === undefined) shared.delete(other)
  shared.set(key, new WeakRef(made))
  return made
}

// Failures after which an object is too far from its schema for rules to make sense.
const BLOCKS_RULES: ReadonlySet<FieldError['type']> = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
])
const RULES_SKIPPED: FieldError = {
  type: 'FieldValueInvalid',
  field: '<nil>',
  badValue: null,
  detail:
    'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
}

class VersionSchema implements CustomResourceSchema {
  readonly node: SchemaNode
  readonly #preserve: boolean
  readonly #features: SchemaFeatures
  readonly #rules: SchemaRules

  constructor(node: SchemaNode, preserve: boolean) {
    this.node = node
    this.#preserve = preserve
    this.#features = featuresOf(node)
    this.#rules = new SchemaRules(node, { resourceRoot: true })
  }

  prune(object: JsonObject): PrunedObject {
    const root = coerceRootMetadata(object)
    if (root.error !== undefined) return root
    const unknown = [...root.unknown]
    if (!this.#preserve) {
      unknown.push(...pruneUnknownFields(object, this.node, { resourceRoot: true }))
      pruneForbiddenNulls(object, this.node)
    }
    if (!this.#features.embedded) return { unknown }
    const embedded = coerceEmbeddedMetadata(object, this.node)
    if (embedded.error !== undefined) return { unknown, error: embedded.error }
    return { unknown: [...unknown, ...embedded.unknown] }
  }

  default(object: JsonObject): void {
    if (this.#features.defaults) applyDefaults(object, this.node)
  }

  validate(object: JsonObject, options: ValidateObjectOptions = {}): RuleFindings {
    const { old, part = 'object', earlier = [] } = options
    const correlation = old && new Correlation(object, old, this.node)
    const errors =
      part === 'status'
        ? this.#validateStatus(object, correlation)
        : [
            ...validateValue(this.node, object, { correlation }),
            ...(this.#features.embedded ? validateEmbeddedResources(object, this.node) : []),
          ]
    const repeats = this.#features.uniqueLists ? validateListTypes(this.node, object) : []
    // A list that was stored with repetitions may keep them.
    const tolerated = old !== undefined && repeats.length > 0 && this.#repeats(old)
    if (!tolerated) errors.push(...repeats)

    if (!this.#rules.any) return { errors, warnings: [] }
    if ([...earlier, ...errors].some(error => BLOCKS_RULES.has(error.type))) {
      return { errors: [...errors, RULES_SKIPPED], warnings: [] }
    }
    const found = this.#rules.validate(object, old, { correlation })
    return { errors: [...errors, ...found.errors], warnings: found.warnings }
  }

  dropPrograms(): void {
    this.#rules.drop()
  }

  #validateStatus(object: JsonObject, correlation: Correlation | undefined): FieldError[] {
    const node = this.node.properties?.get('status')
    const status: JsonValue | undefined = object.status
    if (node === undefined || status === undefined) return []
    const paired = correlation?.field('status')
    return validateValue(node, status, { fieldPath: 'status', correlation: paired })
  }

  #repeats(old: JsonObject): boolean {
    return validateListTypes(this.node, old).length > 0
  }
}
