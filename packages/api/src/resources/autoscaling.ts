// The group autoscaling: HorizontalPodAutoscalers, stored as v2 and served as v1 too. Read by resources/index.ts.
// Ref: kubernetes/pkg/apis/autoscaling/{v1,v2}/{conversion,defaults}.go, kubernetes/pkg/apis/autoscaling/validation

import {
  cloneJson,
  type FieldError,
  isObject,
  type JsonObject,
  type JsonValue,
  type KubeObject,
} from '@podless/apimachinery'
import type { Resource, Strategy } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, column, countColumn, NAME } from './columns.ts'
import {
  ensureObject,
  fillDefaults,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  valueAt,
} from './reading.ts'
import { scalerErrors } from './scaler-rules.ts'

const METRICS = 'autoscaling.alpha.kubernetes.io/metrics'
const CURRENT = 'autoscaling.alpha.kubernetes.io/current-metrics'
const CONDITIONS = 'autoscaling.alpha.kubernetes.io/conditions'
const BEHAVIOR = 'autoscaling.alpha.kubernetes.io/behavior'

const isCpuShare = (metric: JsonObject, field: string): boolean =>
  textAt(metric, 'type') === 'Resource' &&
  textAt(metric, 'resource.name') === 'cpu' &&
  numberAt(metric, `resource.${field}.averageUtilization`) !== undefined

/** v2 becomes v1: the CPU share has a field, everything else travels in annotations. */
function toV1(obj: KubeObject): void {
  const spec = ensureObject(obj, 'spec')
  const status = ensureObject(obj, 'status')
  const carried: Record<string, JsonValue> = {}
  const metrics = objectsAt(spec, 'metrics')
  const cpu = metrics.find(metric => isCpuShare(metric, 'target'))
  const others = metrics.filter(metric => metric !== cpu)
  delete spec.metrics
  if (cpu !== undefined) {
    spec.targetCPUUtilizationPercentage = numberAt(cpu, 'resource.target.averageUtilization') ?? 0
  }
  if (others.length > 0) carried[METRICS] = others
  if (isObject(spec.behavior)) carried[BEHAVIOR] = spec.behavior
  delete spec.behavior
  const current = objectsAt(status, 'currentMetrics')
  const currentCpu = current.find(metric => isCpuShare(metric, 'current'))
  if (currentCpu !== undefined) {
    status.currentCPUUtilizationPercentage =
      numberAt(currentCpu, 'resource.current.averageUtilization') ?? 0
  }
  if (current.length > 0) carried[CURRENT] = [...current]
  if (objectsAt(status, 'conditions').length > 0) {
    carried[CONDITIONS] = [...objectsAt(status, 'conditions')]
  }
  delete status.currentMetrics
  delete status.conditions
  fillDefaults(status, { currentReplicas: 0, desiredReplicas: 0 })
  const texts = Object.entries(carried).map(([key, value]) => [key, JSON.stringify(value)])
  if (texts.length > 0) {
    obj.metadata.annotations = { ...obj.metadata.annotations, ...Object.fromEntries(texts) }
  }
  obj.apiVersion = 'autoscaling/v1'
}

/** v1 becomes v2, taking back what the annotations carry. */
function toV2(obj: KubeObject): void {
  const spec = ensureObject(obj, 'spec')
  const status = ensureObject(obj, 'status')
  const take = (key: string): JsonValue | undefined => {
    const text = obj.metadata.annotations?.[key]
    if (text === undefined) return undefined
    delete obj.metadata.annotations?.[key]
    return parseCarried(text)
  }
  const metrics = take(METRICS)
  const share = numberAt(spec, 'targetCPUUtilizationPercentage')
  const list = Array.isArray(metrics) ? metrics : []
  delete spec.targetCPUUtilizationPercentage
  if (share !== undefined) list.unshift(cpuTarget(share))
  if (list.length > 0) spec.metrics = list
  const behavior = take(BEHAVIOR)
  if (behavior !== undefined) spec.behavior = behavior
  status.currentMetrics = take(CURRENT) ?? null
  const conditions = take(CONDITIONS)
  if (conditions !== undefined) status.conditions = conditions
  delete status.currentCPUUtilizationPercentage
  fillDefaults(status, { desiredReplicas: 0 })
  if (Object.keys(obj.metadata.annotations ?? { any: '' }).length === 0) {
    delete obj.metadata.annotations
  }
  obj.apiVersion = 'autoscaling/v2'
}

function parseCarried(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue
  } catch (error) {
    // A hand-written annotation that is no JSON is dropped, as upstream drops it.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

const cpuTarget = (averageUtilization: number): JsonObject => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } },
})

const DEFAULT_CPU_SHARE = 80
const PERIOD = { periodSeconds: 15 }
const SCALE_UP: JsonObject = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, ...PERIOD },
    { type: 'Percent', value: 100, ...PERIOD },
  ],
}
const SCALE_DOWN: JsonObject = {
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, ...PERIOD }],
}

/** Ref: kubernetes/pkg/apis/autoscaling/v2/defaults.go SetDefaults_HorizontalPodAutoscalerBehavior */
function defaultBehavior(spec: JsonObject): void {
  if (!isObject(spec.behavior)) return
  fillDefaults(ensureObject(spec.behavior, 'scaleUp'), cloneJson(SCALE_UP))
  fillDefaults(ensureObject(spec.behavior, 'scaleDown'), cloneJson(SCALE_DOWN))
}

const errors = (obj: KubeObject): FieldError[] => scalerErrors(objectAt(obj, 'spec'))

const strategy: Strategy = { hasGeneration: false, validate: errors, validateUpdate: errors }

const v2Strategy: Strategy = {
  ...strategy,
  default: obj => {
    const spec = ensureObject(obj, 'spec')
    fillDefaults(spec, { minReplicas: 1 })
    if (objectsAt(spec, 'metrics').length === 0) spec.metrics = [cpuTarget(DEFAULT_CPU_SHARE)]
    defaultBehavior(spec)
  },
}
const v1Strategy: Strategy = {
  ...strategy,
  default: obj => fillDefaults(ensureObject(obj, 'spec'), { minReplicas: 1 }),
}

function formatShare(current: number | undefined, target: number): string {
  return `cpu: ${current === undefined ? '<unknown>' : `${current}%`}/${target}%`
}

function formatTargets(obj: KubeObject): string {
  const share = numberAt(obj, 'spec.targetCPUUtilizationPercentage')
  if (share !== undefined) {
    return formatShare(numberAt(obj, 'status.currentCPUUtilizationPercentage'), share)
  }
  const texts = objectsAt(obj, 'spec.metrics').map(metric => {
    const resource = objectAt(metric, 'resource')
    const name = textAt(resource, 'name') || textAt(metric, 'type').toLowerCase()
    const target = numberAt(resource, 'target.averageUtilization')
    const wanted = target === undefined ? textAt(resource, 'target.averageValue') : `${target}%`
    return `${name}: <unknown>/${wanted}`
  })
  return texts.length === 0 ? '<none>' : texts.join(', ')
}

const columns = [
  NAME,
  column('Reference', 'What it scales.', obj => {
    const target = objectAt(obj, 'spec.scaleTargetRef')
    return `${textAt(target, 'kind')}/${textAt(target, 'name')}`
  }),
  column('Targets', 'What it measures, and the value it aims at.', formatTargets),
  column('MinPods', 'The least replicas.', obj =>
    String(valueAt(obj, 'spec.minReplicas') ?? '<unset>'),
  ),
  countColumn('MaxPods', 'spec.maxReplicas', 'The most replicas.', 'string'),
  countColumn('Replicas', 'status.currentReplicas', 'The replicas there are.', 'string'),
  AGE,
]

const common = {
  group: 'autoscaling',
  kind: 'HorizontalPodAutoscaler',
  plural: 'horizontalpodautoscalers',
  shortNames: ['hpa'],
  categories: ['all'],
  storageVersion: 'v2',
  status: true,
  columns,
}

const v1 = builtin({
  ...common,
  version: 'v1',
  strategy: v1Strategy,
  more: { onRead: toV1, onStore: toV2 },
})
const v2 = builtin({ ...common, version: 'v2', strategy: v2Strategy })

export const autoscalingResources: readonly Resource[] = [v2, v1]
