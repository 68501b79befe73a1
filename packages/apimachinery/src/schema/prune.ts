// Removes the fields of a custom resource that its schema does not know, and reports their paths for warnings and
// strict errors. Called by custom-resource.ts and the checks of defaults; calls nothing.
// Ref: apiextensions-apiserver/pkg/apiserver/schema/pruning/algorithm.go

import { isObject, type JsonValue } from '../json.ts'
import type { SchemaNode } from './node.ts'

const META_FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata'])

/**
 * Prunes `value` in place and returns the paths of what was dropped, sorted: `spec.open.known.zz`, `spec.list[0].x`.
 * `resourceRoot` spares apiVersion, kind and metadata, as embedded resources do for themselves.
 */
export function pruneUnknownFields(
  value: JsonValue,
  node: SchemaNode,
  options: { resourceRoot?: boolean } = {},
): string[] {
  const dropped: string[] = []
  const root = options.resourceRoot === true ? { ...node, embeddedResource: true } : node
  prune(value, root, '', dropped)
  return dropped.sort()
}

function prune(
  value: JsonValue | undefined,
  node: SchemaNode | undefined,
  path: string,
  dropped: string[],
): void {
  const keep = node?.preserveUnknownFields === true
  if (Array.isArray(value)) {
    // A preserved list keeps preserving below itself unless its items say what they are.
    const items = keep ? { ...node?.items, preserveUnknownFields: true } : node?.items
    for (const [i, item] of value.entries()) prune(item, items, `${path}[${i}]`, dropped)
  } else if (isObject(value)) {
    for (const key of Object.keys(value)) {
      if (node?.embeddedResource === true && META_FIELDS.has(key)) continue
      const child = node?.properties?.get(key) ?? node?.additionalProperties
      const childPath = path === '' ? key : `${path}.${key}`
      if (child !== undefined) prune(value[key], child, childPath, dropped)
      else if (!keep) {
        if (!META_FIELDS.has(key) || path !== '') dropped.push(childPath)
        delete value[key]
      }
    }
  }
}
