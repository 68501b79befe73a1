// What the server fills in and counts for workloads and volumes, whatever a client says of it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { objectAt, textAt, valueAt } from './reading.ts'
import { circumstances, create, find, update } from './rehearsal.ts'

const workload = (image = 'shop:1'): JsonObject => ({
  selector: { matchLabels: { app: 'shop' } },
  template: {
    metadata: { labels: { app: 'shop' } },
    spec: { containers: [{ name: 'web', image }] },
  },
})

const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation'

test('a DaemonSet counts its templates, and no client counts for it', async () => {
  const daemonSets = find('daemonsets', 'apps')
  const { obj } = await create(daemonSets, { spec: workload() })
  const count = (of: typeof obj) => of.metadata.annotations?.[TEMPLATE_GENERATION]
  assert.equal(count(obj), '1')
  const annotations = { [TEMPLATE_GENERATION]: '7' }
  const same = await update(daemonSets, obj, { metadata: { annotations }, spec: workload() })
  assert.equal(count(same.obj), '1')
  const next = await update(daemonSets, obj, { spec: workload('shop:2') })
  assert.equal(count(next.obj), '2')
})

test('annotations count as changes of a Deployment, labels do not', async () => {
  const { strategy } = find('deployments', 'apps')
  const { obj } = await create(find('deployments', 'apps'), { spec: workload() })
  const counts = (metadata: JsonObject) =>
    strategy.countsAsChange?.({ ...obj, metadata: { ...obj.metadata, ...metadata } }, obj)
  assert.equal(counts({ annotations: { note: 'x' } }), true)
  assert.equal(counts({ labels: { note: 'x' } }), false)
})

test('a ControllerRevision holds an object', async () => {
  const revisions = find('controllerrevisions', 'apps')
  const errors = async (fields: JsonObject) => (await create(revisions, fields)).errors
  assert.deepEqual(await errors({ revision: 1 }), ['data: Required value: data is mandatory'])
  assert.deepEqual(await errors({ data: [1] }), [
    'data: Required value: data must be a valid JSON object',
  ])
  assert.deepEqual(await errors({ data: { any: 'thing' }, revision: 1 }), [])
})

test('behavior of a HorizontalPodAutoscaler is filled in where it is given in part', async () => {
  const scalers = find('horizontalpodautoscalers', 'autoscaling', 'v2')
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop' }
  const spec = { maxReplicas: 4, scaleTargetRef }
  const bare = await create(scalers, { spec })
  assert.equal(valueAt(bare.obj, 'spec.behavior'), undefined)
  const behavior = { scaleDown: { selectPolicy: 'Min' } }
  const { obj } = await create(scalers, { spec: { ...spec, behavior } })
  assert.equal(textAt(obj, 'spec.behavior.scaleDown.selectPolicy'), 'Min')
  assert.equal(valueAt(obj, 'spec.behavior.scaleUp.stabilizationWindowSeconds'), 0)
})

test('a volume says since when it is in its phase', async () => {
  const volumes = find('persistentvolumes')
  const spec = {
    capacity: { storage: '2Gi' },
    accessModes: ['ReadWriteMany'],
    iscsi: { targetPortal: '10.1.1.1', iqn: 'iqn.2001-04.com.example:disk', lun: 0 },
  }
  const { obj } = await create(volumes, { spec })
  const since = (of: typeof obj) => textAt(of, 'status.lastPhaseTransitionTime')
  assert.equal(since(obj), '2024-05-01T12:00:00Z')
  assert.equal(textAt(obj, 'spec.iscsi.iscsiInterface'), 'default')
  const later = { ...circumstances(), now: () => new Date('2024-05-02T12:00:00Z') }
  const said = (status: JsonObject) =>
    update(volumes, obj, { spec, status }, { door: 'status', ctx: later })
  assert.equal(since((await said({})).obj), since(obj))
  assert.equal(since((await said({ phase: 'Bound' })).obj), '2024-05-02T12:00:00Z')
})

test("a node's first pod range is its podCIDR, a pod keeps its class", async () => {
  const { obj: node } = await create(find('nodes'), { spec: { podCIDRs: ['10.9.0.0/24'] } })
  assert.equal(textAt(node, 'spec.podCIDR'), '10.9.0.0/24')
  const pods = find('pods')
  const spec = { containers: [{ name: 'web', image: 'shop:1' }] }
  const { obj: pod } = await create(pods, { spec })
  const after = await update(pods, pod, { spec, status: { phase: 'Running' } }, { door: 'status' })
  assert.deepEqual(objectAt(after.obj, 'status'), { phase: 'Running', qosClass: 'BestEffort' })
})
