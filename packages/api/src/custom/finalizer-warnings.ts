// Warns of finalizers that others might use too, on custom resources only. Pure; called by resource-from-crd.ts.
// Ref: apiextensions-apiserver/pkg/registry/customresource/{strategy,validator}.go

import type { KubeObject } from '@podless/apimachinery'

const STANDARD: ReadonlySet<string> = new Set(['orphan', 'foregroundDeletion', 'kubernetes'])
const CONFLICTS = 'to avoid accidental conflicts with other finalizer writers'

/** Texts for the Warning header: one for each finalizer that `old` did not have and whose name has no domain. */
export function finalizerWarnings(obj: KubeObject, old: KubeObject | undefined): string[] {
  const { finalizers = [] } = obj.metadata
  if (finalizers.length === 0) return []
  const before = new Set(old?.metadata.finalizers ?? [])
  const added = new Set(finalizers.filter(name => !before.has(name)))
  return [...added]
    .sort()
    .filter(name => !name.includes('/') && !STANDARD.has(name))
    .map(name => {
      const how = name.includes('.') ? ' including a path (/)' : ''
      const why = `prefer a domain-qualified finalizer name${how} ${CONFLICTS}`
      return `metadata.finalizers: ${JSON.stringify(name)}: ${why}`
    })
}
