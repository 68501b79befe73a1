// What LimitRanges object to in the amounts that a container, a pod or a claim asks for. Pure; called by limit-ranger.ts.
// Ref: kubernetes/plugin/pkg/admission/limitranger/admission.go PodValidateLimitFunc

import {
  compareQuantities,
  formatQuantity,
  type JsonObject,
  type KubeObject,
  type Quantity,
  scaledQuantity,
} from '@podless/apimachinery'
import { podAmounts, type Usage, usageFrom } from '../quota/resource-usage.ts'
import { objectAt, objectsAt, textAt } from '../resources/reading.ts'

interface Asked {
  readonly requests: Usage
  readonly limits: Usage
}

interface Bound {
  readonly type: string
  readonly resource: string
  readonly allowed: Quantity
}

type Check = (bound: Bound, asked: Asked) => string | undefined

/** All that the range has against a new pod, in the order of its limits. */
export function podComplaints(range: KubeObject, pod: KubeObject): string[] {
  const containers = [
    ...objectsAt(pod, 'spec.containers'),
    ...objectsAt(pod, 'spec.initContainers'),
  ].map(askedBy)
  const whole = { requests: podAmounts(pod, 'requests'), limits: podAmounts(pod, 'limits') }
  return complaints(range, { Container: containers, Pod: [whole] }, [
    ['min', belowMinimum],
    ['max', aboveMaximum],
    ['maxLimitRequestRatio', aboveRatio],
  ])
}

/** All that the range has against a claim: claims have requests only. */
export function claimComplaints(range: KubeObject, claim: KubeObject): string[] {
  const { requests } = askedBy(objectAt(claim, 'spec'))
  return complaints(range, { PersistentVolumeClaim: [{ requests, limits: new Map() }] }, [
    ['min', belowMinimum],
    ['max', requestAboveMaximum],
  ])
}

const askedBy = (owner: JsonObject): Asked => ({
  requests: usageFrom(objectAt(owner, 'resources.requests')),
  limits: usageFrom(objectAt(owner, 'resources.limits')),
})

function complaints(
  range: KubeObject,
  subjects: Readonly<Record<string, readonly Asked[]>>,
  checks: readonly (readonly [field: string, check: Check])[],
): string[] {
  return objectsAt(range, 'spec.limits').flatMap(limit => {
    const type = textAt(limit, 'type')
    return (subjects[type] ?? []).flatMap(asked =>
      checks.flatMap(([field, check]) =>
        [...usageFrom(objectAt(limit, field))].flatMap(([resource, allowed]) => {
          const complaint = check({ type, resource, allowed }, asked)
          return complaint === undefined ? [] : [complaint]
        }),
      ),
    )
  })
}

function belowMinimum(bound: Bound, { requests, limits }: Asked): string | undefined {
  const rule = `minimum ${ruleOf(bound)}`
  const [request, limit] = [requests.get(bound.resource), limits.get(bound.resource)]
  if (request === undefined) return `${rule}.  No request is specified`
  if (isLess(request, bound.allowed)) return `${rule}, but request is ${formatQuantity(request)}`
  if (limit !== undefined && isLess(limit, bound.allowed))
    return `${rule}, but limit is ${formatQuantity(limit)}`
  return undefined
}

function aboveMaximum(bound: Bound, { requests, limits }: Asked): string | undefined {
  const rule = `maximum ${ruleOf(bound)}`
  const [request, limit] = [requests.get(bound.resource), limits.get(bound.resource)]
  if (limit === undefined) return `${rule}.  No limit is specified`
  if (isLess(bound.allowed, limit)) return `${rule}, but limit is ${formatQuantity(limit)}`
  if (request !== undefined && isLess(bound.allowed, request))
    return `${rule}, but request is ${formatQuantity(request)}`
  return undefined
}

function requestAboveMaximum(bound: Bound, { requests }: Asked): string | undefined {
  const rule = `maximum ${ruleOf(bound)}`
  const request = requests.get(bound.resource)
  if (request === undefined) return `${rule}.  No request is specified`
  return isLess(bound.allowed, request)
    ? `${rule}, but request is ${formatQuantity(request)}`
    : undefined
}

function aboveRatio({ type, resource, allowed }: Bound, asked: Asked): string | undefined {
  const rule = `${resource} max limit to request ratio per ${type} is ${formatQuantity(allowed)}`
  const request = thousandths(asked.requests.get(resource))
  const limit = thousandths(asked.limits.get(resource))
  if (request === 0) return `${rule}, but no request is specified or request is 0`
  if (limit === 0) return `${rule}, but no limit is specified or limit is 0`
  const ratio = limit / request
  return ratio * 1000 > thousandths(allowed)
    ? `${rule}, but provided ratio is ${ratio.toFixed(6)}`
    : undefined
}

const ruleOf = ({ type, resource, allowed }: Bound): string =>
  `${resource} usage per ${type} is ${formatQuantity(allowed)}`
const isLess = (a: Quantity, b: Quantity): boolean => compareQuantities(a, b) < 0
const thousandths = (amount: Quantity | undefined): number =>
  amount === undefined ? 0 : Number(scaledQuantity(amount, -3))
