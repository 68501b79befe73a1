// What one object uses of the things a ResourceQuota can limit, and the arithmetic of such amounts.
// Called by admission/resource-quota.ts and controllers/resource-quota.ts.
// Ref: kubernetes/pkg/quota/v1/evaluator/core, apiserver/pkg/quota/v1

import {
  addQuantities,
  compareQuantities,
  formatQuantity,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  parseQuantity,
  type Quantity,
  subtractQuantities,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { listAt, objectAt, objectsAt, textAt } from '../resources/reading.ts'

export type Usage = ReadonlyMap<string, Quantity>

const ZERO: Quantity = { unscaled: 0n, scale: 0, format: 'DecimalSI' }
const whole = (count: number): Quantity => ({ ...ZERO, unscaled: BigInt(count) })

/** Kinds that quotas could count before count/ was there, by their bare names. */
const COUNTED_BY_NAME: ReadonlySet<string> = new Set([
  'configmaps',
  'persistentvolumeclaims',
  'pods',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'services',
])

/** `count/secrets`, `count/deployments.apps`. */
export function countNameOf({ gvr }: Pick<Resource, 'gvr'>): string {
  return gvr.group === '' ? `count/${gvr.resource}` : `count/${gvr.resource}.${gvr.group}`
}

/** True for what no quota ever counts. */
export function isUncounted({ gvr, namespaced, create }: Resource): boolean {
  return !namespaced || create !== undefined || gvr.resource === 'events'
}

/** Everything the object counts towards. */
export function usageOf(resource: Resource, obj: KubeObject): Usage {
  const { group, resource: plural } = resource.gvr
  const usage = new Map([[countNameOf(resource), whole(1)]])
  if (group !== '' || (plural === 'pods' && isFinished(obj))) return usage
  if (COUNTED_BY_NAME.has(plural)) usage.set(plural, whole(1))
  for (const [name, amount] of DETAILS[plural]?.(obj) ?? []) usage.set(name, amount)
  return usage
}

const isFinished = (pod: KubeObject): boolean =>
  ['Failed', 'Succeeded'].includes(textAt(pod, 'status.phase'))

const DETAILS: Readonly<Record<string, (obj: KubeObject) => Iterable<[string, Quantity]>>> = {
  services: serviceUsage,
  persistentvolumeclaims: claimUsage,
  pods: podUsage,
}

function serviceUsage(service: KubeObject): [string, Quantity][] {
  const type = textAt(service, 'spec.type')
  const ports = listAt(service, 'spec.ports').length
  const isBalanced = type === 'LoadBalancer'
  const allocates = objectAt(service, 'spec').allocateLoadBalancerNodePorts !== false
  const named = objectsAt(service, 'spec.ports').filter(port => Number(port.nodePort ?? 0) > 0)
  const nodePorts = type === 'NodePort' || (isBalanced && allocates) ? ports : named.length
  return [
    ['services.nodeports', whole(type === 'NodePort' || isBalanced ? nodePorts : 0)],
    ['services.loadbalancers', whole(isBalanced ? 1 : 0)],
  ]
}

const CLASS_SUFFIX = '.storageclass.storage.k8s.io/'

function claimUsage(claim: KubeObject): [string, Quantity][] {
  const asked = amountOf(objectAt(claim, 'spec.resources.requests').storage)
  const storage: [string, Quantity][] = asked === undefined ? [] : [['requests.storage', asked]]
  const storageClass = textAt(claim, 'spec.storageClassName')
  if (storageClass === '') return storage
  const own: [string, Quantity][] = [['persistentvolumeclaims', whole(1)], ...storage]
  return [
    ...storage,
    ...own.map(([name, amount]): [string, Quantity] => [
      `${storageClass}${CLASS_SUFFIX}${name}`,
      amount,
    ]),
  ]
}

/** What a pod asks for as a whole: containers run side by side, init containers one after another. */
export function podAmounts(pod: KubeObject, field: 'requests' | 'limits'): Usage {
  const amounts = (container: JsonObject): Usage =>
    usageFrom(objectAt(container, `resources.${field}`))
  const total = sumOf(objectsAt(pod, 'spec.containers').map(amounts))
  for (const init of objectsAt(pod, 'spec.initContainers').map(amounts)) {
    for (const [name, amount] of init) {
      if (compareQuantities(amount, total.get(name) ?? ZERO) > 0) total.set(name, amount)
    }
  }
  return total
}

function* podUsage(pod: KubeObject): Iterable<[string, Quantity]> {
  for (const [field, prefixes] of [
    ['requests', ['', 'requests.']],
    ['limits', ['limits.']],
  ] as const) {
    for (const [name, amount] of podAmounts(pod, field))
      for (const prefix of prefixes) yield [prefix + name, amount]
  }
}

function amountOf(value: JsonValue | undefined): Quantity | undefined {
  const parsed = parseQuantity(String(value ?? ''))
  return parsed.ok ? parsed.quantity : undefined
}

/** Amounts as they stand in an object: name -> quantity text. What is no quantity is left out. */
export function usageFrom(amounts: JsonObject): Map<string, Quantity> {
  const usage = new Map<string, Quantity>()
  for (const [name, value] of Object.entries(amounts)) {
    const amount = amountOf(value)
    if (amount !== undefined) usage.set(name, amount)
  }
  return usage
}

/** The way back: texts in canonical form. */
export function amountsOf(usage: Usage): JsonObject {
  return Object.fromEntries([...usage].map(([name, amount]) => [name, formatQuantity(amount)]))
}

export function sumOf(usages: Iterable<Usage>): Map<string, Quantity> {
  const total = new Map<string, Quantity>()
  for (const usage of usages)
    for (const [name, amount] of usage)
      total.set(name, addQuantities(total.get(name) ?? ZERO, amount))
  return total
}

/** What `after` uses more than `before`; a name that uses no more is left out. */
export function growthOf(after: Usage, before: Usage): Map<string, Quantity> {
  const growth = new Map<string, Quantity>()
  for (const [name, amount] of after) {
    const more = subtractQuantities(amount, before.get(name) ?? ZERO)
    if (compareQuantities(more, ZERO) > 0) growth.set(name, more)
  }
  return growth
}
