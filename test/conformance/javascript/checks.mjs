// The checks of the JavaScript suite: each gets the clients and throws when the server answers otherwise. Called by main.mjs.

import assert from 'node:assert/strict'
import { makeInformer, PatchStrategy, setHeaderOptions, Watch } from '@kubernetes/client-node'
import { eventually } from './definition.mjs'

const as = type => setHeaderOptions('Content-Type', type)
const refused = (code, reason) => error => {
  assert.equal(error.code, code)
  const body = typeof error.body === 'string' ? JSON.parse(error.body) : error.body
  assert.deepEqual([body.kind, body.reason], ['Status', reason])
  return true
}

async function textAndBytes({ core, namespace }) {
  const body = {
    metadata: { name: 'plain', labels: { a: 'b' } },
    data: { key: 'välue\n' },
    binaryData: { bytes: 'AP+A' },
  }
  const created = await core.createNamespacedConfigMap({ namespace, body })
  assert.ok(created.metadata.creationTimestamp instanceof Date)
  const read = await core.readNamespacedConfigMap({ namespace, name: 'plain' })
  assert.deepEqual([read.data, read.binaryData], [body.data, body.binaryData])
  const replaced = await core.replaceNamespacedConfigMap({
    ...{ namespace, name: 'plain' },
    body: { ...read, data: { key: 'other' } },
  })
  assert.equal(replaced.metadata.uid, created.metadata.uid)
  await assert.rejects(
    core.replaceNamespacedConfigMap({ namespace, name: 'plain', body: { ...read, data: {} } }),
    refused(409, 'Conflict'),
  )
  const status = await core.deleteNamespacedConfigMap({ namespace, name: 'plain' })
  assert.equal(status.status, 'Success')
  await assert.rejects(
    core.readNamespacedConfigMap({ namespace, name: 'plain' }),
    refused(404, 'NotFound'),
  )
}

async function deploymentDefaults({ apps, namespace }) {
  const labels = { app: 'defaulted' }
  const created = await apps.createNamespacedDeployment({
    namespace,
    body: {
      metadata: { name: 'defaulted' },
      spec: {
        ...{ paused: true, selector: { matchLabels: labels } },
        template: {
          metadata: { labels },
          spec: { containers: [{ name: 'main', image: 'example.com/image:1' }] },
        },
      },
    },
  })
  assert.equal(created.spec.replicas, 1)
  assert.equal(created.spec.strategy.rollingUpdate.maxSurge, '25%')
  const scale = await apps.patchNamespacedDeploymentScale(
    { namespace, name: 'defaulted', body: { spec: { replicas: 2 } } },
    as('application/merge-patch+json'),
  )
  assert.equal(scale.spec.replicas, 2)
}

async function patches({ core, namespace }) {
  const target = { namespace, name: 'patched' }
  await core.createNamespacedConfigMap({
    namespace,
    body: { metadata: { name: 'patched' }, data: { a: '1' } },
  })
  const patch = (body, type) => core.patchNamespacedConfigMap({ ...target, body }, as(type))
  const json = await patch(
    [{ op: 'add', path: '/data/b', value: '2' }],
    'application/json-patch+json',
  )
  assert.deepEqual(json.data, { a: '1', b: '2' })
  const merge = await patch({ data: { a: null } }, 'application/merge-patch+json')
  assert.deepEqual(merge.data, { b: '2' })
  const strategic = await patch({ data: { c: '3' } }, 'application/strategic-merge-patch+json')
  assert.deepEqual(strategic.data, { b: '2', c: '3' })
  await assert.rejects(patch({}, 'text/csv'), refused(415, 'UnsupportedMediaType'))
}

async function apply({ objects, namespace }) {
  const object = size => ({
    ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied', namespace } },
    data: { size },
  })
  const applyAs = (manager, size, force) =>
    objects.patch(object(size), undefined, undefined, manager, force, PatchStrategy.ServerSideApply)
  const created = await applyAs('one', '1', false)
  assert.equal(created.metadata.managedFields[0].manager, 'one')
  await assert.rejects(applyAs('two', '2', false), refused(409, 'Conflict'))
  const forced = await applyAs('two', '2', true)
  assert.equal(forced.data.size, '2')
}

async function pages({ core, namespace }) {
  for (let i = 0; i < 7; i += 1)
    await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: `page-${i}`, labels: { page: 'yes' } } },
    })
  const names = []
  let _continue
  do {
    const list = await core.listNamespacedConfigMap({
      ...{ namespace, labelSelector: 'page=yes', limit: 3, _continue },
    })
    assert.ok(list.items.length <= 3)
    names.push(...list.items.map(({ metadata }) => metadata.name))
    _continue = list.metadata._continue
  } while (_continue)
  assert.deepEqual(names, ['page-0', 'page-1', 'page-2', 'page-3', 'page-4', 'page-5', 'page-6'])
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'page=yes' })
  const left = await core.listNamespacedConfigMap({ namespace, labelSelector: 'page=yes' })
  assert.equal(left.items.length, 0)
}

async function watches({ config, core, namespace }) {
  const { metadata } = await core.listNamespacedConfigMap({ namespace })
  const events = []
  let ended = false
  const controller = await new Watch(config).watch(
    `/api/v1/namespaces/${namespace}/configmaps`,
    { labelSelector: 'watched=yes', resourceVersion: metadata.resourceVersion },
    (phase, { metadata: { name } }) => events.push(`${phase} ${name}`),
    () => {
      ended = true
    },
  )
  const body = { metadata: { name: 'watched', labels: { watched: 'yes' } } }
  const created = await core.createNamespacedConfigMap({ namespace, body })
  await core.replaceNamespacedConfigMap({
    ...{ namespace, name: 'watched' },
    body: { ...created, data: { a: 'b' } },
  })
  await core.deleteNamespacedConfigMap({ namespace, name: 'watched' })
  await eventually('three events', () => events.length === 3)
  controller.abort()
  assert.deepEqual(events, ['ADDED watched', 'MODIFIED watched', 'DELETED watched'])
  await eventually('the end of the watch', () => ended)
}

async function informs({ config, core, namespace }) {
  const label = 'informed=yes'
  const metadata = name => ({ name, labels: { informed: 'yes' } })
  await core.createNamespacedConfigMap({ namespace, body: { metadata: metadata('before') } })
  const informer = makeInformer(
    config,
    `/api/v1/namespaces/${namespace}/configmaps`,
    () => core.listNamespacedConfigMap({ namespace, labelSelector: label }),
    label,
  )
  const events = []
  for (const verb of ['add', 'update', 'delete'])
    informer.on(verb, object => events.push(`${verb} ${object.metadata.name}`))
  await informer.start()
  await core.createNamespacedConfigMap({ namespace, body: { metadata: metadata('after') } })
  await core.patchNamespacedConfigMap(
    { namespace, name: 'after', body: { data: { a: 'b' } } },
    as('application/merge-patch+json'),
  )
  await core.deleteNamespacedConfigMap({ namespace, name: 'before' })
  await eventually('four events', () => events.length === 4)
  assert.deepEqual(events, ['add before', 'add after', 'update after', 'delete before'])
  assert.deepEqual(
    informer.list().map(object => object.metadata.name),
    ['after'],
  )
  await informer.stop()
}

async function customResources({ custom, group, namespace }) {
  const target = { group, version: 'v1', namespace, plural: 'widgets' }
  const widget = (name, spec) => ({
    ...{ apiVersion: `${group}/v1`, kind: 'Widget', metadata: { name }, spec },
  })
  const created = await custom.createNamespacedCustomObject({
    ...target,
    body: widget('w', { unknown: 1 }),
  })
  assert.deepEqual(created.spec, { size: 3 })
  await assert.rejects(
    custom.createNamespacedCustomObject({ ...target, body: widget('large', { size: 11 }) }),
    refused(422, 'Invalid'),
  )
  const merged = await custom.patchNamespacedCustomObject(
    { ...target, name: 'w', body: { spec: { size: 4 }, status: { phase: 'ignored' } } },
    as('application/merge-patch+json'),
  )
  assert.deepEqual([merged.spec, merged.status], [{ size: 4 }, undefined])
  const status = await custom.replaceNamespacedCustomObjectStatus({
    ...{ ...target, name: 'w' },
    body: { ...merged, spec: { size: 9 }, status: { phase: 'Ready' } },
  })
  assert.deepEqual([status.spec, status.status], [{ size: 4 }, { phase: 'Ready' }])
  await assert.rejects(
    custom.patchNamespacedCustomObject(
      { ...target, name: 'w', body: {} },
      as('application/strategic-merge-patch+json'),
    ),
    refused(415, 'UnsupportedMediaType'),
  )
  await custom.deleteNamespacedCustomObject({ ...target, name: 'w' })
  const list = await custom.listNamespacedCustomObject(target)
  assert.deepEqual([list.kind, list.items], ['WidgetList', []])
}

async function anyKind({ objects, group, namespace }) {
  const widget = {
    ...{ apiVersion: `${group}/v1`, kind: 'Widget', metadata: { name: 'found', namespace } },
    spec: { size: 5 },
  }
  await objects.create(widget)
  const read = await objects.read(widget)
  assert.equal(read.spec.size, 5)
  const list = await objects.list(`${group}/v1`, 'Widget', namespace)
  assert.deepEqual(
    list.items.map(({ metadata }) => metadata.name),
    ['found'],
  )
  await objects.delete(widget)
}

export const CHECKS = {
  'ConfigMap: create, read, replace, stale replace, delete': textAndBytes,
  'Deployment: defaults and the scale subresource': deploymentDefaults,
  'patch: JSON, merge and strategic; others are 415': patches,
  'apply: conflict and force': apply,
  'list: pages, and a collection deleted by label': pages,
  'watch: events in order, ended by the client': watches,
  'informer: list, then events': informs,
  'custom resource: default, prune, validate, status, list': customResources,
  'custom resource found by discovery': anyKind,
}
