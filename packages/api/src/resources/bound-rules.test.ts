// Bounds and amounts in kinds that people write by hand: autoscalers, limits, volumes, claims, nodes, changes of pods.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { create, find, update } from './rehearsal.ts'

const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop' }
const scalers = () => find('horizontalpodautoscalers', 'autoscaling', 'v2')

test('a metric has the source of its type, and a target', async () => {
  const metrics = [
    { type: 'Pods', resource: { name: 'cpu', target: { type: 'Value', averageValue: '-2' } } },
    { type: 'External', external: { metric: { name: 'queue' }, target: { type: 'Value' } } },
  ]
  const { errors } = await create(scalers(), { spec: { maxReplicas: 2, scaleTargetRef, metrics } })
  assert.deepEqual(errors, [
    'spec.metrics[0].resource.target.averageValue: Invalid value: "-2": must be positive',
    'spec.metrics[0].pods: Required value: must populate information for the given metric source',
    'spec.metrics[1].external.target.averageValue: Required value: must set either a target value for metric or a per-pod target',
  ])
})

test('an autoscaler has bounds, a target with a group, and rules in theirs', async () => {
  const behavior = { scaleUp: { stabilizationWindowSeconds: 4000, policies: [{ type: 'Nodes' }] } }
  const { errors } = await create(scalers(), {
    spec: { scaleTargetRef: { kind: 'Deployment', name: 'a/b' }, behavior },
  })
  assert.deepEqual(errors, [
    'spec.maxReplicas: Required value: must be set and greater than 0',
    'spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`',
    'spec.scaleTargetRef.name: Invalid value: "a/b": may not contain \'/\'',
    'spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group',
    'spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600',
    'spec.behavior.scaleUp.policies[0].type: Unsupported value: "Nodes": supported values: "Percent", "Pods"',
    'spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero',
    'spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 0: must be greater than zero',
  ])
})

test('limits of a LimitRange are in their order', async () => {
  const limits = [
    {
      type: 'Container',
      min: { memory: '1Gi' },
      max: { memory: '3Gi' },
      default: { memory: '4Gi' },
      defaultRequest: { memory: '2Gi' },
      maxLimitRequestRatio: { memory: '5' },
    },
    { type: 'Pod', default: { cpu: '1' }, max: { rockets: '1' } },
    { type: 'PersistentVolumeClaim' },
  ]
  const { errors } = await create(find('limitranges'), { spec: { limits } })
  assert.deepEqual(errors, [
    'spec.limits[0].default[memory]: Invalid value: "3Gi": default value 4Gi is greater than max value 3Gi',
    'spec.limits[0].maxLimitRequestRatio[memory]: Invalid value: "5": ratio 5 is greater than max/min = 3.000000',
    'spec.limits[1].max[rockets]: Invalid value: "rockets": must be a standard resource type or fully qualified',
    'spec.limits[1].max[rockets]: Invalid value: "rockets": must be a standard resource for containers',
    "spec.limits[1].default: Forbidden: may not be specified when `type` is 'Pod'",
    'spec.limits[2].limits: Required value: either minimum or maximum storage value is required, but neither was provided',
  ])
})

const accessModes = ['ReadWriteOnce']

test('a volume is in one place, which it describes', async () => {
  const errorsOf = async (spec: JsonObject) =>
    (await create(find('persistentvolumes'), { spec: { accessModes, ...spec } })).errors
  assert.deepEqual(
    await errorsOf({ capacity: { storage: '0' }, csi: { driver: 'd.example.com' } }),
    [
      'spec.capacity[storage]: Invalid value: "0": must be greater than zero',
      'spec.csi.volumeHandle: Required value',
    ],
  )
  assert.deepEqual(await errorsOf({ capacity: { storage: '1Gi' }, local: { path: '/mnt/a' } }), [
    'spec.nodeAffinity: Required value: Local volume requires node affinity',
  ])
})

test('a claim says what it is a copy of by both names, and grows once it is bound', async () => {
  const claims = find('persistentvolumeclaims')
  const spec = { accessModes, resources: { requests: { storage: '1Gi' } } }
  const dataSource = { kind: 'PersistentVolumeClaim', name: 'old' }
  const { obj } = await create(claims, { spec: { ...spec, dataSource } })
  assert.deepEqual((obj.spec as JsonObject).dataSourceRef, dataSource)
  const larger = { ...spec, dataSource, resources: { requests: { storage: '2Gi' } } }
  const refused = await update(claims, obj, { spec: larger })
  assert.match(refused.errors[0] ?? '', /spec is immutable after creation except/)
  const bound = { ...obj, status: { phase: 'Bound' } }
  assert.deepEqual((await update(claims, bound, { spec: larger })).errors, [])
  const named = { ...spec, dataSource, storageClassName: 'fast' }
  assert.deepEqual((await update(claims, obj, { spec: named })).errors, [])
})

test("a node's taints are told apart, its ranges have bits to spare", async () => {
  const taints = [
    { key: 'gpu', effect: 'NoExecute' },
    { key: 'gpu', effect: 'NoExecute' },
    { key: 'gpu', effect: 'Never' },
  ]
  const { errors } = await create(find('nodes'), { spec: { taints, podCIDR: '10.1.2.3/8' } })
  assert.deepEqual(errors, [
    'metadata.taints[1]: Duplicate value: {"Key":"gpu","Value":"","Effect":"NoExecute","TimeAdded":null}: taints must be unique by key and effect pair',
    'metadata.taints[2].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    'spec.podCIDRs[0]: Invalid value: "10.1.2.3/8": must not have bits set beyond the prefix length',
  ])
})

test('of a pod that is there little may change', async () => {
  const pods = find('pods')
  const containers = [{ name: 'web', image: 'shop:1' }]
  const { obj } = await create(pods, { spec: { containers, activeDeadlineSeconds: 60 } })
  const errorsOf = async (spec: JsonObject) => (await update(pods, obj, { spec })).errors
  assert.deepEqual(await errorsOf({ containers, activeDeadlineSeconds: 50 }), [])
  assert.deepEqual(await errorsOf({ containers, activeDeadlineSeconds: 70 }), [
    'spec.activeDeadlineSeconds: Invalid value: 70: must be less than or equal to previous value',
  ])
  const more = [...containers, { name: 'side', image: 'shop:2' }]
  assert.deepEqual(await errorsOf({ containers: more, activeDeadlineSeconds: 60 }), [
    'spec.containers: Forbidden: pod updates may not add or remove containers',
  ])
  const schedulingGates = [{ name: 'later' }]
  assert.deepEqual(await errorsOf({ containers, activeDeadlineSeconds: 60, schedulingGates }), [
    "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'later'",
  ])
})

test('scopes of a quota are known, fit each other and what is counted', async () => {
  const errorsOf = async (spec: JsonObject) =>
    (await create(find('resourcequotas'), { spec: { hard: { pods: '4', secrets: '2' }, ...spec } }))
      .errors
  assert.deepEqual(await errorsOf({ scopes: ['Best'] }), [
    'spec.scopes: Invalid value: ["Best"]: unsupported scope',
  ])
  assert.deepEqual(
    await errorsOf({ hard: { pods: '1' }, scopes: ['BestEffort', 'NotBestEffort'] }),
    ['spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes'],
  )
  assert.deepEqual(await errorsOf({ scopes: ['Terminating'] }), [
    'spec.scopes: Invalid value: ["Terminating"]: unsupported scope applied to resource',
  ])
  const matchExpressions = [
    { scopeName: 'PriorityClass', operator: 'NotIn' },
    { scopeName: 'PriorityClass', operator: 'Exists' },
    { scopeName: 'Terminating', operator: 'In', values: ['x'] },
  ]
  const found = await errorsOf({ scopeSelector: { matchExpressions } })
  assert.equal(found.length, 2)
  assert.match(found[0] ?? '', /values: Required value: must be at least one value when/)
  assert.match(found[1] ?? '', /operator: Invalid value: "In": must be 'Exists' when scope is any/)
})
