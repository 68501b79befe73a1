// Refuses what would use more than a ResourceQuota of its namespace allows, and books what passes in the quota's status
// before the object is stored. The last validating step: what comes after it can only fail by accident.
// controllers/resource-quota.ts counts again what was deleted or booked in vain.
// Ref: apiserver/pkg/admission/plugin/resourcequota/controller.go CheckRequest

import {
  compareQuantities,
  forbidden,
  type JsonObject,
  type KubeObject,
  type Quantity,
} from '@podless/apimachinery'
import type { Objects } from '../controllers/objects.ts'
import { missingAmounts } from '../quota/quota-constraints.ts'
import { isInScopes } from '../quota/quota-scopes.ts'
import {
  amountsOf,
  growthOf,
  isUncounted,
  sumOf,
  type Usage,
  usageFrom,
  usageOf,
} from '../quota/resource-usage.ts'
import type { Resource } from '../resource.ts'
import { objectAt } from '../resources/reading.ts'
import type { AdmissionAttributes, AdmissionStep } from './chain.ts'

export function resourceQuota(objects: Objects, quotas: Resource): AdmissionStep {
  return {
    name: 'ResourceQuota',
    validate: attributes => {
      const { operation, resource, subresource, namespace } = attributes
      if (operation !== 'CREATE' && operation !== 'UPDATE') return
      if (subresource !== '' || isUncounted(resource)) return
      // The cache answers for most namespaces, which have no quota.
      const found = [...objects.list(quotas, namespace)]
      return found.length === 0 ? undefined : bookAll(objects, quotas, found, attributes)
    },
  }
}

async function bookAll(
  objects: Objects,
  quotas: Resource,
  found: readonly KubeObject[],
  attributes: AdmissionAttributes,
): Promise<void> {
  for (const quota of found) await book(objects, quotas, quota, attributes)
}

async function book(
  objects: Objects,
  quotas: Resource,
  quota: KubeObject,
  attributes: AdmissionAttributes,
): Promise<void> {
  const { object, oldObject, namespace, dryRun } = attributes
  const growth = growthOf(
    countedBy(quota, attributes, object),
    countedBy(quota, attributes, oldObject),
  )
  if (growth.size === 0) return
  await objects.change(quotas, namespace, quota.metadata.name ?? '', live => {
    const used = usedAfter(live, growth, attributes)
    if (used === undefined || dryRun) return
    live.status = { ...(live.status as JsonObject), used: amountsOf(used) }
  })
}

/** What the object counts towards a quota whose scopes it is in; nothing otherwise. */
function countedBy(
  quota: KubeObject,
  { resource }: AdmissionAttributes,
  object: KubeObject | undefined,
): Usage {
  if (object === undefined || !isInScopes(quota, resource, object)) return new Map()
  return usageOf(resource, object)
}

/** What is used once the object is stored; undefined when this quota is not about it. Throws 403. */
function usedAfter(
  quota: KubeObject,
  growth: Usage,
  { operation, resource, name, object }: AdmissionAttributes,
): Usage | undefined {
  const hard = usageFrom(objectAt(quota, 'status.hard'))
  const used = usageFrom(objectAt(quota, 'status.used'))
  const quotaName = quota.metadata.name ?? ''
  const refuse = (why: string): Error =>
    forbidden(resource.gvr, name === '' ? (object?.metadata.name ?? '') : name, why)
  if (operation === 'CREATE' && object !== undefined) {
    const missing = missingAmounts(resource, object, [...hard.keys()])
    if (missing !== undefined) throw refuse(`failed quota: ${quotaName}: ${missing}`)
  }
  const unknown = [...growth.keys()].filter(item => hard.has(item) && !used.has(item)).sort()
  if (unknown.length > 0) {
    throw refuse(`status unknown for quota: ${quotaName}, resources: ${unknown.join(',')}`)
  }
  const requested = new Map([...growth].filter(([item]) => hard.has(item)))
  if (requested.size === 0) return undefined
  const total = sumOf([used, requested])
  const exceeded = [...requested.keys()].filter(
    item => compareQuantities(at(total, item), at(hard, item)) > 0,
  )
  if (exceeded.length > 0) {
    const print = (usage: Usage): string => printAmounts(usage, exceeded)
    throw refuse(
      `exceeded quota: ${quotaName}, requested: ${print(requested)}, used: ${print(used)}, limited: ${print(hard)}`,
    )
  }
  return total
}

function at(usage: Usage, name: string): Quantity {
  return usage.get(name) ?? { unscaled: 0n, scale: 0, format: 'DecimalSI' }
}

function printAmounts(usage: Usage, names: readonly string[]): string {
  const amounts = amountsOf(usage)
  return [...names]
    .sort()
    .map(name => `${name}=${String(amounts[name] ?? '0')}`)
    .join(',')
}
