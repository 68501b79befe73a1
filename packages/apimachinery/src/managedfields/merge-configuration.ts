// Merges what a mutating policy wants into an object, by the object's types and without owners. Called by
// api/src/admission/mutation.ts; calls typed.ts and merge.ts.
// Ref: apiserver/pkg/admission/plugin/policy/mutating/patch/smd.go

import type { JsonObject, JsonValue } from '../json.ts'
import type { SchemaNode } from '../schema/node.ts'
import { mergeTyped } from './merge.ts'
import { LIST, MAP, rootTypeOf, type TypeDef } from './type-def.ts'
import { deduceKinds, handledKind, TypedError, validateTyped } from './typed.ts'

/** A configuration cannot be merged; the message is upstream's. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
}

/**
 * The object with the configuration merged in; neither is touched. `schema` is undefined where nothing is known of the
 * kind. Throws ConfigurationError when one does not fit it, or when the configuration sets anything that is owned as a
 * whole: a part of it would take the rest away.
 */
export function mergeConfiguration(
  live: JsonObject,
  configuration: JsonObject,
  schema: SchemaNode | undefined,
): JsonObject {
  const type = rootTypeOf(schema)
  check(configuration, type, 'failed to convert patch object to typed object', false)
  const atomics = atomicsIn(configuration, type, '')
  if (atomics.length > 0) {
    const paths = atomics.join(', ')
    throw new ConfigurationError(
      `invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${paths}`,
    )
  }
  check(live, type, 'failed to convert original object to typed object', true)
  return mergeTyped(live, configuration, type) as JsonObject
}

function check(value: JsonObject, type: TypeDef, intro: string, allowDuplicates: boolean): void {
  try {
    validateTyped(value, type, { allowDuplicates })
  } catch (error) {
    if (!(error instanceof TypedError)) throw error
    throw new ConfigurationError(`${intro}: ${error.message}`, { cause: error })
  }
}

function atomicsIn(value: JsonValue | undefined, type: TypeDef, path: string): string[] {
  if (typeof value !== 'object' || value === null) return []
  const kind = handledKind(deduceKinds(type, value))
  if (kind === MAP && !Array.isArray(value)) {
    const { atomic, fields } = type.map
    const below = Object.entries(value).flatMap(([key, child]) => {
      const field = fields.get(key)
      return field === undefined ? [] : atomicsIn(child, field.type, `${path}.${key}`)
    })
    return atomic ? [path, ...below] : below
  }
  if (kind !== LIST || !Array.isArray(value)) return []
  const { atomic, element } = type.list
  const below = value.flatMap((item, index) => atomicsIn(item, element, `${path}[${index}]`))
  return atomic ? [path, ...below] : below
}
