// Fills in a schema's defaults, and before that drops nulls where the schema allows none. Called by custom-resource.ts.
// Ref: apiextensions-apiserver/pkg/apiserver/schema/defaulting/{algorithm,prunenulls}.go

import { cloneJson, isObject, type JsonValue, setOwn } from '../json.ts'
import type { SchemaNode } from './node.ts'

/** Sets the defaults of absent fields, and of nulls that are not allowed, in place. Each default is copied. */
export function applyDefaults(value: JsonValue | undefined, node: SchemaNode | undefined): void {
  if (node === undefined) return
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      if (isForbiddenNull(value[i], node.items)) value[i] = cloneJson(node.items?.default) ?? null
      applyDefaults(value[i], node.items)
    }
    return
  }
  if (!isObject(value)) return
  for (const [name, property] of node.properties ?? []) {
    if (property.default === undefined) continue
    if (!Object.hasOwn(value, name) || isForbiddenNull(value[name], property)) {
      setOwn(value, name, cloneJson(property.default))
    }
  }
  for (const key of Object.keys(value)) {
    const property = node.properties?.get(key)
    if (property === undefined && isForbiddenNull(value[key], node.additionalProperties)) {
      setOwn(value, key, cloneJson(node.additionalProperties?.default) ?? null)
    }
    applyDefaults(value[key], property ?? node.additionalProperties)
  }
}

/** Drops null fields that are neither nullable nor have a default to take their place. Nulls in lists stay. */
export function pruneForbiddenNulls(
  value: JsonValue | undefined,
  node: SchemaNode | undefined,
): void {
  if (Array.isArray(value)) {
    for (const item of value) pruneForbiddenNulls(item, node?.items)
  } else if (isObject(value)) {
    for (const key of Object.keys(value)) {
      const child = node?.properties?.get(key) ?? node?.additionalProperties
      if (isForbiddenNull(value[key], child) && child?.default === undefined) delete value[key]
      else pruneForbiddenNulls(value[key], child)
    }
  }
}

function isForbiddenNull(value: JsonValue | undefined, node: SchemaNode | undefined): boolean {
  return value === null && node !== undefined && node.nullable !== true
}
