// What a pod must say of itself where a quota limits processor or memory. Called by admission/resource-quota.ts.
// Ref: kubernetes/pkg/quota/v1/evaluator/core/pods.go Constraints

import type { JsonObject, KubeObject } from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { objectAt, objectsAt, textAt, valueAt } from '../resources/reading.ts'

/** Where a container says each of the amounts that every container has to say. */
const REQUIRED: Readonly<Record<string, string>> = {
  cpu: 'resources.requests.cpu',
  memory: 'resources.requests.memory',
  'requests.cpu': 'resources.requests.cpu',
  'requests.memory': 'resources.requests.memory',
  'limits.cpu': 'resources.limits.cpu',
  'limits.memory': 'resources.limits.memory',
}

/** `must specify cpu for: a,b; memory for: a`, or undefined when nothing the quota limits is missing. */
export function missingAmounts(
  { gvr }: Pick<Resource, 'gvr'>,
  obj: KubeObject,
  limited: readonly string[],
): string | undefined {
  if (gvr.group !== '' || gvr.resource !== 'pods') return undefined
  if (saysForAll(objectAt(obj, 'spec'))) return undefined
  const containers = [
    ...objectsAt(obj, 'spec.containers'),
    ...objectsAt(obj, 'spec.initContainers'),
  ]
  const complaints = [...limited].sort().flatMap(name => {
    const path = REQUIRED[name]
    if (path === undefined) return []
    const silent = containers
      .filter(container => valueAt(container, path) === undefined)
      .map(container => textAt(container, 'name'))
    return silent.length === 0 ? [] : [`${name} for: ${[...new Set(silent)].sort().join(',')}`]
  })
  return complaints.length === 0 ? undefined : `must specify ${complaints.join('; ')}`
}

/** Amounts of the pod as a whole stand for its containers'. */
function saysForAll(spec: JsonObject): boolean {
  return ['requests', 'limits'].some(
    field => Object.keys(objectAt(spec, `resources.${field}`)).length > 0,
  )
}
