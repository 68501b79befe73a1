// ResourceQuotas and LimitRanges. Part of core.ts. Counting and enforcing quotas is admission's and a controller's business.
// Ref: kubernetes/pkg/apis/core/validation ValidateResourceQuota, ValidateLimitRange

import { randomUUID } from 'node:crypto'
import {
  equalJson,
  type FieldError,
  invalidValue,
  isQualifiedName,
  type JsonValue,
  type KubeObject,
  parseQuantity,
  type Quantity,
  scaledQuantity,
} from '@podless/apimachinery'
import type { Resource, Strategy } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, column, NAME } from './columns.ts'
import { limitRangeErrors } from './limit-range-rules.ts'
import { scopeErrors } from './quota-scope-rules.ts'
import { objectAt, objectsAt, textAt, textsAt } from './reading.ts'

const COUNTED = [
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
]
const MEASURED = ['cpu', 'memory', 'ephemeral-storage', 'requests.storage']
const COMPUTE = ['cpu', 'memory', 'ephemeral-storage'].flatMap(name => [
  `requests.${name}`,
  `limits.${name}`,
])
const STANDARD: ReadonlySet<string> = new Set([...COUNTED, ...MEASURED, ...COMPUTE, 'storage'])
const INTEGERS: ReadonlySet<string> = new Set(COUNTED)
const QUOTA: ReadonlySet<string> = new Set([...COUNTED, ...MEASURED, ...COMPUTE])

const isStandardQuota = (name: string): boolean =>
  QUOTA.has(name) || name.startsWith('hugepages-') || name.startsWith('requests.hugepages-')

function resourceNameErrors(name: string, path: string): FieldError[] {
  const errors = isQualifiedName(name).map(text => invalidValue(path, name, text))
  if (name.includes('/')) return errors
  if (errors.length === 0 && !STANDARD.has(name) && !isStandardQuota(name)) {
    errors.push(invalidValue(path, name, 'must be a standard resource type or fully qualified'))
  }
  if (!isStandardQuota(name)) {
    errors.push(invalidValue(path, name, 'must be a standard resource for quota'))
  }
  return errors
}

function amountErrors(name: string, value: JsonValue | undefined, path: string): FieldError[] {
  const text = String(value)
  const parsed = parseQuantity(text)
  if (!parsed.ok) return [invalidValue(path, text, parsed.error)]
  const { quantity } = parsed
  if (quantity.unscaled < 0n) {
    return [invalidValue(path, text, 'must be greater than or equal to 0')]
  }
  const whole = INTEGERS.has(name) || name.startsWith('count/')
  return whole && !isInteger(quantity) ? [invalidValue(path, text, 'must be an integer')] : []
}

const isInteger = (quantity: Quantity): boolean =>
  scaledQuantity(quantity, -3) === scaledQuantity(quantity, 0) * 1000n

function amountsErrors(obj: KubeObject, field: string): FieldError[] {
  return Object.entries(objectAt(obj, field)).flatMap(([name, value]) => {
    const path = `${field}[${name}]`
    return [...resourceNameErrors(name, path), ...amountErrors(name, value, path)]
  })
}

const quotaErrors = (obj: KubeObject): FieldError[] => [
  ...amountsErrors(obj, 'spec.hard'),
  ...scopeErrors(obj, isStandardQuota),
]
const statusErrors = (obj: KubeObject): FieldError[] => [
  ...amountsErrors(obj, 'status.hard'),
  ...amountsErrors(obj, 'status.used'),
]

const quotaStrategy: Strategy = {
  validate: quotaErrors,
  validateUpdate: (obj, old) => {
    const scopes = (from: KubeObject) => [...textsAt(from, 'spec.scopes')].sort()
    const changed = !equalJson(scopes(obj), scopes(old))
    const frozen = invalidValue('spec.scopes', scopes(obj), 'field is immutable')
    return [...quotaErrors(obj), ...(changed ? [frozen] : [])]
  },
}

/** `pods: 1/10, requests.cpu: 100m/1`: used over allowed, of those resources that `shown` picks. */
function formatUse(obj: KubeObject, shown: (name: string) => boolean): string {
  const hard = objectAt(obj, 'status.hard')
  const used = objectAt(obj, 'status.used')
  return Object.keys(hard)
    .sort()
    .filter(shown)
    .map(name => `${name}: ${String(used[name] ?? '0')}/${String(hard[name])}`)
    .join(', ')
}

const isLimit = (name: string): boolean => name.startsWith('limits.')

const resourceQuotas = builtin({
  group: '',
  kind: 'ResourceQuota',
  plural: 'resourcequotas',
  shortNames: ['quota'],
  strategy: quotaStrategy,
  status: { validateUpdate: statusErrors },
  columns: [
    NAME,
    column('Request', 'What is used of each request and count, and how much may be.', obj =>
      formatUse(obj, name => !isLimit(name)),
    ),
    column('Limit', 'What is used of each limit, and how much may be.', obj =>
      formatUse(obj, isLimit),
    ),
    AGE,
  ],
  more: { returnsDeleted: true },
})

const limitRanges = builtin({
  group: '',
  kind: 'LimitRange',
  plural: 'limitranges',
  shortNames: ['limits'],
  strategy: {
    allowCreateOnUpdate: true,
    prepareForCreate: ({ metadata }) => {
      if ((metadata.name ?? '') === '') metadata.name = randomUUID()
    },
    default: obj => {
      for (const limit of objectsAt(obj, 'spec.limits')) {
        if (textAt(limit, 'type') !== 'Container') continue
        const fallback = { ...objectAt(limit, 'max'), ...objectAt(limit, 'default') }
        if (Object.keys(fallback).length > 0) limit.default = fallback
        const request = {
          ...objectAt(limit, 'min'),
          ...fallback,
          ...objectAt(limit, 'defaultRequest'),
        }
        if (Object.keys(request).length > 0) limit.defaultRequest = request
      }
    },
    validate: limitRangeErrors,
    validateUpdate: limitRangeErrors,
  },
  columns: [
    NAME,
    column(
      'Created At',
      'When the server stored it.',
      obj => obj.metadata.creationTimestamp ?? null,
      {
        type: 'date',
      },
    ),
  ],
})

export const quotaResources: readonly Resource[] = [limitRanges, resourceQuotas]
