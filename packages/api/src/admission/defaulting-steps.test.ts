// What the server fills in from other objects, and what it refuses because of them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'
import { objectsAt, textAt, valueAt } from '../resources/reading.ts'

const PODS = '/api/v1/namespaces/default/pods'
const CLASSES = '/apis/scheduling.k8s.io/v1/priorityclasses'

const { admin } = await serverForFile()

async function post(path: string, body: JsonObject): Promise<JsonObject> {
  return (await admin.send({ method: 'POST', path, body })).json()
}

const pod = (name: string, spec: JsonObject = {}) =>
  post(PODS, { metadata: { name }, spec: { containers: [{ name: 'a', image: 'b:1' }], ...spec } })

test('pods stay five minutes on a lost node, or as long as they say', async () => {
  const tolerations = [
    {
      key: 'node.kubernetes.io/unreachable',
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: 7,
    },
  ]
  const made = await pod('tolerant', { tolerations })
  assert.deepEqual(
    objectsAt(made, 'spec.tolerations').map(entry => [entry.key, entry.tolerationSeconds]),
    [
      ['node.kubernetes.io/unreachable', 7],
      ['node.kubernetes.io/not-ready', 300],
    ],
  )
})

test('a pod gets the priority of its class, of the default class, or none', async () => {
  const none = await pod('plain')
  assert.equal(valueAt(none, 'spec.priority'), 0)
  assert.equal(textAt(none, 'spec.preemptionPolicy'), 'PreemptLowerPriority')
  const critical = await pod('critical', { priorityClassName: 'system-node-critical' })
  assert.equal(valueAt(critical, 'spec.priority'), 2_000_001_000)
  const absent = await pod('absent', { priorityClassName: 'gold' })
  assert.equal(
    absent.message,
    'pods "absent" is forbidden: no PriorityClass with name gold was found',
  )
  await post(CLASSES, { metadata: { name: 'base' }, value: 12, globalDefault: true })
  const second = await post(CLASSES, { metadata: { name: 'two' }, value: 1, globalDefault: true })
  assert.match(String(second.message), /base is already marked as default/)
  const fallback = await pod('fallback')
  assert.equal(valueAt(fallback, 'spec.priority'), 12)
  assert.equal(textAt(fallback, 'spec.priorityClassName'), 'base')
  const guessed = await pod('guessed', { priority: 99 })
  assert.match(String(guessed.message), /the integer value of priority \(99\) must not/)
})

test('a RuntimeClass has to be there, and its overhead is on the pod', async () => {
  const absent = await pod('no-runtime', { runtimeClassName: 'vm' })
  assert.match(String(absent.message), /pod rejected: RuntimeClass "vm" not found/)
  await post('/apis/node.k8s.io/v1/runtimeclasses', {
    metadata: { name: 'vm' },
    handler: 'vm',
    overhead: { podFixed: { memory: '64Mi' } },
    scheduling: { nodeSelector: { kind: 'metal' } },
  })
  const made = await pod('runtime', { runtimeClassName: 'vm' })
  assert.equal(textAt(made, 'spec.overhead.memory'), '64Mi')
  assert.equal(textAt(made, 'spec.nodeSelector.kind'), 'metal')
  const elsewhere = { runtimeClassName: 'vm', nodeSelector: { kind: 'cloud' } }
  assert.match(String((await pod('conflict', elsewhere)).message), /= metal; .* = cloud/)
  const charged = await pod('charged', { overhead: { memory: '1Mi' } })
  assert.match(String(charged.message), /Overhead set without corresponding RuntimeClass/)
})

test('claims and Ingresses without a class get the default one', async () => {
  await post('/apis/storage.k8s.io/v1/storageclasses', {
    metadata: {
      name: 'fast',
      annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
    },
    provisioner: 'example.com/disk',
  })
  const claim = (name: string, more: JsonObject = {}) =>
    post('/api/v1/namespaces/default/persistentvolumeclaims', {
      metadata: { name },
      spec: {
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '3Gi' } },
        ...more,
      },
    })
  assert.equal(textAt(await claim('any'), 'spec.storageClassName'), 'fast')
  const none = await claim('none', { storageClassName: '' })
  assert.equal(valueAt(none, 'spec.storageClassName'), '')
  await post('/apis/networking.k8s.io/v1/ingressclasses', {
    metadata: {
      name: 'edge',
      annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' },
    },
    spec: { controller: 'example.com/edge' },
  })
  const ingress = await post('/apis/networking.k8s.io/v1/namespaces/default/ingresses', {
    metadata: { name: 'shop' },
    spec: { defaultBackend: { service: { name: 'shop', port: { number: 80 } } } },
  })
  assert.equal(textAt(ingress, 'spec.ingressClassName'), 'edge')
})
