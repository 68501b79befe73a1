// Which objects a ResourceQuota with scopes is about. Called by admission/resource-quota.ts and
// controllers/resource-quota.ts. Ref: kubernetes/pkg/quota/v1/evaluator/core/{pods,persistent_volume_claims}.go

import {
  compareQuantities,
  type JsonObject,
  type KubeObject,
  parseQuantity,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import {
  listAt,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from '../resources/reading.ts'

interface ScopeSelector {
  readonly scopeName: string
  readonly operator: string
  readonly values: readonly string[]
}

type ScopeTest = (obj: KubeObject, selector: ScopeSelector) => boolean

/** True when all scopes of the quota hold for the object: of a kind that knows no scopes, only a quota without any. */
export function isInScopes(
  quota: KubeObject,
  { gvr }: Pick<Resource, 'gvr'>,
  obj: KubeObject,
): boolean {
  const tests = gvr.group === '' ? TESTS[gvr.resource] : undefined
  return selectorsOf(quota).every(selector => tests?.[selector.scopeName]?.(obj, selector) ?? false)
}

function selectorsOf(quota: KubeObject): ScopeSelector[] {
  const plain = textsAt(quota, 'spec.scopes').map(scopeName => ({
    scopeName,
    operator: 'Exists',
    values: [],
  }))
  const selecting = objectsAt(quota, 'spec.scopeSelector.matchExpressions').map(term => ({
    scopeName: textAt(term, 'scopeName'),
    operator: textAt(term, 'operator'),
    values: textsAt(term, 'values'),
  }))
  return [...plain, ...selecting]
}

const isTerminating = (pod: KubeObject): boolean =>
  (numberAt(pod, 'spec.activeDeadlineSeconds') ?? -1) >= 0

const TESTS: Readonly<Record<string, Readonly<Record<string, ScopeTest>>>> = {
  pods: {
    Terminating: isTerminating,
    NotTerminating: pod => !isTerminating(pod),
    BestEffort: isBestEffort,
    NotBestEffort: pod => !isBestEffort(pod),
    PriorityClass: (pod, selector) => selects(selector, textAt(pod, 'spec.priorityClassName')),
    CrossNamespacePodAffinity: looksAcrossNamespaces,
  },
  persistentvolumeclaims: {
    VolumeAttributesClass: (claim, selector) => {
      const names = attributesClassesOf(claim)
      return (names.length === 0 ? [''] : names).some(name => selects(selector, name))
    },
  },
}

/** As a label selector sees a label that is absent when the name is empty. */
function selects({ operator, values }: ScopeSelector, name: string): boolean {
  if (operator === 'Exists') return name !== ''
  if (operator === 'DoesNotExist') return name === ''
  if (operator === 'In') return name !== '' && values.includes(name)
  return operator === 'NotIn' && !values.includes(name)
}

const ZERO = { unscaled: 0n, scale: 0, format: 'DecimalSI' } as const

/** No container, and not the pod, asks for processor or memory. Ref: kubernetes/pkg/apis/core/v1/helper/qos */
function isBestEffort(pod: KubeObject): boolean {
  const owners = [
    objectAt(pod, 'spec'),
    ...objectsAt(pod, 'spec.containers'),
    ...objectsAt(pod, 'spec.initContainers'),
  ]
  return !owners.some(owner => asksForCompute(objectAt(owner, 'resources')))
}

function asksForCompute(resources: JsonObject): boolean {
  return ['requests', 'limits'].some(field =>
    ['cpu', 'memory'].some(name => {
      const parsed = parseQuantity(String(objectAt(resources, field)[name] ?? '0'))
      return parsed.ok && compareQuantities(parsed.quantity, ZERO) > 0
    }),
  )
}

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution'
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution'

function looksAcrossNamespaces(pod: KubeObject): boolean {
  return ['podAffinity', 'podAntiAffinity'].some(kind => {
    const affinity = objectAt(pod, `spec.affinity.${kind}`)
    const terms = [
      ...objectsAt(affinity, REQUIRED),
      ...objectsAt(affinity, PREFERRED).map(term => objectAt(term, 'podAffinityTerm')),
    ]
    return terms.some(
      term => listAt(term, 'namespaces').length > 0 || valueAt(term, 'namespaceSelector') != null,
    )
  })
}

/** Those a claim has, is getting, or wants. */
function attributesClassesOf(claim: KubeObject): string[] {
  const paths = [
    'spec.volumeAttributesClassName',
    'status.currentVolumeAttributesClassName',
    'status.modifyVolumeStatus.targetVolumeAttributesClassName',
  ]
  return paths.map(path => textAt(claim, path)).filter(name => name !== '')
}
