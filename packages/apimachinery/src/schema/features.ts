// What a schema makes use of, so that a walk over each object which looks for something else is left out. Found once for
// each schema, by custom-resource.ts.

import type { SchemaNode } from './node.ts'

export interface SchemaFeatures {
  /** x-kubernetes-embedded-resource */
  readonly embedded: boolean
  readonly defaults: boolean
  /** Lists that are sets or maps. */
  readonly uniqueLists: boolean
}

/** `node` is a CRD's schema, which is a tree: it does not contain itself. */
export function featuresOf(node: SchemaNode): SchemaFeatures {
  const found = { embedded: false, defaults: false, uniqueLists: false }
  visit(node, found)
  return found
}

function visit(
  node: SchemaNode | undefined,
  found: { -readonly [Feature in keyof SchemaFeatures]: boolean },
): void {
  if (node === undefined) return
  found.embedded ||= node.embeddedResource === true
  found.defaults ||= node.default !== undefined
  found.uniqueLists ||= node.listType === 'set' || node.listType === 'map'
  for (const property of node.properties?.values() ?? []) visit(property, found)
  visit(node.additionalProperties, found)
  visit(node.items, found)
}
