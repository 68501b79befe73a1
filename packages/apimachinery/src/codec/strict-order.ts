// What strict decoding of a JSON body found, in the order in which Go's decoder comes upon it.
// Called by decode-object.ts when there are both unknown and duplicate fields; reads the text once more.
// Ref: sigs.k8s.io/json internal/golang/encoding/json/kubernetes_patch.go

import type { SchemaNode } from '../schema/node.ts'
import { quoteGo } from './decode-error.ts'
import { formatPath, scanJson } from './json-scanner.ts'

/**
 * Sorts `unknown field "a"` by the first and `duplicate field "b"` by the second place of the key in the text, which
 * is valid JSON. What the text has no key for comes last, in the order given.
 */
export function inDocumentOrder(
  body: Uint8Array,
  errors: readonly string[],
  depthMax: number,
): string[] {
  const seen = new Set<string>()
  const expected = new Set(errors)
  const ordered: string[] = []
  scanJson(body, depthMax, path => {
    const name = quoteGo(formatPath(path))
    const text = `${seen.has(name) ? 'duplicate' : 'unknown'} field ${name}`
    seen.add(name)
    if (expected.delete(text)) ordered.push(text)
  })
  return [...ordered, ...expected]
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
