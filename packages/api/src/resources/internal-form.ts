// A value as Go prints the struct that upstream decodes it into, which is what its messages show of a field that may not
// change. Called by the rules of kinds whose whole spec is frozen. Ref: apimachinery/pkg/util/validation/field/errors.go

import { isObject, type JsonObject, type JsonValue, type SchemaNode } from '@podless/apimachinery'

/** Fields whose Go name is no more than their JSON name in upper case at its start; others stand here. */
const GO_NAMES: Readonly<Record<string, string>> = { cel: 'CEL' }
/** Fields of the table that Kubernetes 1.36 does not have. */
const NEWER: ReadonlySet<string> = new Set(['derivedAttributes'])

/** The value with Go's names, and with null or zero where nothing was said. Without a schema it stays as it is. */
export function internalForm(
  value: JsonValue | undefined,
  node: SchemaNode | undefined,
): JsonValue {
  if (node?.properties !== undefined) {
    if (node.presence === 'pointer' && !isObject(value)) return null
    return internalStruct(isObject(value) ? value : {}, node.properties)
  }
  if (value === undefined || value === null) return zeroOf(node)
  if (Array.isArray(value)) return value.map(item => internalForm(item, node?.items))
  if (!isObject(value) || node?.additionalProperties === undefined) return value
  const entries = Object.entries(value)
  return Object.fromEntries(
    entries.map(([key, item]) => [key, internalForm(item, node.additionalProperties)]),
  )
}

function internalStruct(
  value: JsonObject,
  properties: NonNullable<SchemaNode['properties']>,
): JsonObject {
  const shown: JsonObject = {}
  for (const [name, field] of properties) {
    if (NEWER.has(name)) continue
    // Metadata is embedded, and the one part that keeps its JSON names.
    if (name === 'metadata') {
      Object.assign(shown, value.metadata)
      continue
    }
    const goName = GO_NAMES[name] ?? `${name.charAt(0).toUpperCase()}${name.slice(1)}`
    shown[goName] = internalForm(value[name], field)
  }
  return shown
}

function zeroOf(node: SchemaNode | undefined): JsonValue {
  if (node === undefined || node.presence === 'pointer' || node.nullable === true) return null
  if (node.type === 'string') return ''
  if (node.type === 'boolean') return false
  return node.type === 'integer' || node.type === 'number' ? 0 : null
}
