// Refuses integers that JavaScript would round, instead of storing another number than the client sent.
// Called by decode-object.ts with what the scanner found.

import type { SchemaNode } from '../schema/node.ts'
import { DecodeError } from './decode-error.ts'
import { jsonSchemaPropsSchema } from './field-table.ts'
import { formatPath, type InexactInteger } from './json-scanner.ts'

/**
 * Throws DecodeError for the first integer beyond 2^53 that would be kept and changed. Upstream keeps int64 exactly;
 * here it is refused. In a floating point field both round alike, and unknown fields of a built-in are dropped anyway.
 * Without a schema (custom resources) every such integer counts.
 */
export function checkExactIntegers(
  integers: readonly InexactInteger[],
  schema: SchemaNode | undefined,
): void {
  for (const { path, text } of integers) {
    if (schema !== undefined && !isKept(path, schema)) continue
    throw new DecodeError(
      `json: number ${text} at ${formatPath(path)} is an integer beyond 2^53 that this server cannot keep exactly`,
    )
  }
}

function isKept(path: readonly (string | number)[], root: SchemaNode): boolean {
  let node: SchemaNode = root
  for (const step of path) {
    if (node.goType?.startsWith('v1.JSONSchemaPropsOr')) {
      node = jsonSchemaPropsSchema()
      if (typeof step === 'number') continue
    }
    const next =
      typeof step === 'number'
        ? node.items
        : (node.properties?.get(step) ?? node.additionalProperties)
    if (next === undefined) return node.preserveUnknownFields === true
    node = next
  }
  return node.type !== 'number'
}

/** True when strict decoding looks at this path: not below an unknown field or a type that decodes itself. */
export function isStrictPath(path: readonly (string | number)[], root: SchemaNode): boolean {
  let node: SchemaNode = root
  for (const step of path) {
    const next =
      typeof step === 'number'
        ? node.items
        : (node.properties?.get(step) ?? node.additionalProperties)
    if (next === undefined) return false
    node = next
  }
  return true
}
