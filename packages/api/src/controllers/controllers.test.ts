// The loops an API server cannot do without, seen through the API alone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { equalJson, type JsonObject } from '@podless/apimachinery'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'

const { server, admin: client } = await serverForFile()

const core = (namespace: string, resource: string, name = ''): string =>
  `/api/v1/namespaces/${namespace}/${resource}${name === '' ? '' : `/${name}`}`

async function create(
  path: string,
  body: JsonObject,
): Promise<JsonObject & { metadata: { uid: string; name: string } }> {
  const answer = await client.send({ method: 'POST', path, body })
  assert.equal(answer.status, 201, answer.bytes.toString())
  return answer.json() as JsonObject & { metadata: { uid: string; name: string } }
}

const namespace = (name: string): Promise<unknown> =>
  create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })

const configMap = (name: string, metadata: JsonObject = {}): JsonObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
})

const status = async (path: string): Promise<number> => (await client.send({ path })).status

/** Asks again until the answer fits; the test runner's own limit ends a wait in vain. */
async function until(
  path: string,
  fits: (status: number, body: JsonObject) => boolean,
): Promise<JsonObject> {
  for (;;) {
    const answer = await client.send({ path })
    const body = answer.json()
    if (fits(answer.status, body)) return body
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

const owner = (
  of: { metadata: { uid: string; name: string } },
  more: JsonObject = {},
): JsonObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  name: of.metadata.name,
  uid: of.metadata.uid,
  ...more,
})

test('a namespace gets its default ServiceAccount and the CA bundle, again when they are removed or changed', async () => {
  await namespace('provided')
  await until(core('provided', 'serviceaccounts', 'default'), code => code === 200)
  const bundle = await until(
    core('provided', 'configmaps', 'kube-root-ca.crt'),
    code => code === 200,
  )
  assert.equal((bundle.data as JsonObject)['ca.crt'], server.ca)
  await client.send({ method: 'DELETE', path: core('provided', 'serviceaccounts', 'default') })
  await until(core('provided', 'serviceaccounts', 'default'), code => code === 200)
  await client.send({
    method: 'PUT',
    path: core('provided', 'configmaps', 'kube-root-ca.crt'),
    body: { ...configMap('kube-root-ca.crt'), data: { 'ca.crt': 'wrong' } },
  })
  await until(
    core('provided', 'configmaps', 'kube-root-ca.crt'),
    (_code, body) => (body.data as JsonObject)['ca.crt'] === server.ca,
  )
})

test('a deleted namespace is emptied first, refuses new content and says what it waits for', async () => {
  await namespace('emptied')
  await create(
    core('emptied', 'configmaps'),
    configMap('held', { finalizers: ['example.com/wait'] }),
  )
  await create(core('emptied', 'configmaps'), configMap('free'))
  const deleted = await client.send({ method: 'DELETE', path: '/api/v1/namespaces/emptied' })
  assert.equal((deleted.json().status as JsonObject).phase, 'Terminating')
  await until(core('emptied', 'configmaps', 'free'), code => code === 404)
  const refused = await client.send({
    method: 'POST',
    path: core('emptied', 'configmaps'),
    body: configMap('late'),
  })
  assert.equal(refused.status, 403)
  assert.match(refused.bytes.toString(), /NamespaceTerminating/)
  const waiting = await until('/api/v1/namespaces/emptied', (_code, body) =>
    JSON.stringify(body).includes('example.com/wait in 1 resource instances'),
  )
  assert.match(JSON.stringify(waiting), /NamespaceFinalizersRemaining/)
  await client.send({
    method: 'PATCH',
    path: core('emptied', 'configmaps', 'held'),
    body: { metadata: { finalizers: null } },
    headers: { 'content-type': 'application/merge-patch+json' },
  })
  await until('/api/v1/namespaces/emptied', code => code === 404)
})

test('a dependent goes when its last owner is gone', async () => {
  const [one, two] = [
    await create(core('default', 'configmaps'), configMap('one')),
    await create(core('default', 'configmaps'), configMap('two')),
  ]
  await create(
    core('default', 'configmaps'),
    configMap('child', { ownerReferences: [owner(one), owner(two)] }),
  )
  await client.send({ method: 'DELETE', path: core('default', 'configmaps', 'one') })
  await until(
    core('default', 'configmaps', 'child'),
    (_code, body) => ((body.metadata as JsonObject).ownerReferences as JsonObject[]).length === 1,
  )
  await client.send({ method: 'DELETE', path: core('default', 'configmaps', 'two') })
  await until(core('default', 'configmaps', 'child'), code => code === 404)
})

test('an object whose owner never was, or is another by now, is collected', async () => {
  const absent = { metadata: { name: 'never', uid: '11111111-2222-3333-4444-555555555555' } }
  await create(
    core('default', 'configmaps'),
    configMap('orphaned', { ownerReferences: [owner(absent)] }),
  )
  await until(core('default', 'configmaps', 'orphaned'), code => code === 404)
})

test('foreground deletion keeps the owner until its blocking dependents are gone', async () => {
  const parent = await create(core('default', 'configmaps'), configMap('parent'))
  const held = {
    ownerReferences: [owner(parent, { blockOwnerDeletion: true })],
    finalizers: ['example.com/wait'],
  }
  await create(core('default', 'configmaps'), configMap('blocking', held))
  await client.send({
    method: 'DELETE',
    path: `${core('default', 'configmaps', 'parent')}?propagationPolicy=Foreground`,
  })
  await until(
    core('default', 'configmaps', 'blocking'),
    (_code, body) => (body.metadata as JsonObject).deletionTimestamp !== undefined,
  )
  assert.equal(await status(core('default', 'configmaps', 'parent')), 200)
  await client.send({
    method: 'PATCH',
    path: core('default', 'configmaps', 'blocking'),
    body: { metadata: { finalizers: null } },
    headers: { 'content-type': 'application/merge-patch+json' },
  })
  await until(core('default', 'configmaps', 'parent'), code => code === 404)
})

test('orphan deletion sets dependents free', async () => {
  const parent = await create(core('default', 'configmaps'), configMap('leaving'))
  await create(
    core('default', 'configmaps'),
    configMap('staying', { ownerReferences: [owner(parent)] }),
  )
  await client.send({
    method: 'DELETE',
    path: `${core('default', 'configmaps', 'leaving')}?propagationPolicy=Orphan`,
  })
  await until(core('default', 'configmaps', 'leaving'), code => code === 404)
  const staying = await until(core('default', 'configmaps', 'staying'), code => code === 200)
  assert.equal((staying.metadata as JsonObject).ownerReferences, undefined)
})

test('an aggregated ClusterRole holds the rules its selectors match', async () => {
  const roles = '/apis/rbac.authorization.k8s.io/v1/clusterroles'
  const rule = { apiGroups: ['x.io'], resources: ['things'], verbs: ['get'] }
  await create(roles, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'part', labels: { to: 'whole' } },
    rules: [rule],
  })
  await create(roles, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'whole' },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { to: 'whole' } }] },
  })
  await until(`${roles}/whole`, (_code, body) => equalJson(body.rules, [rule]))
})

test('a CRD is served from the event on, and its instances go before it does', async () => {
  const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  const version = {
    name: 'v1',
    served: true,
    storage: true,
    schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
  }
  await create(crds, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'cups.x.io' },
    spec: {
      group: 'x.io',
      scope: 'Namespaced',
      names: { plural: 'cups', kind: 'Cup' },
      versions: [version],
    },
  })
  const cups = '/apis/x.io/v1/namespaces/default/cups'
  await until(cups, code => code === 200)
  await create(cups, {
    apiVersion: 'x.io/v1',
    kind: 'Cup',
    metadata: { name: 'held', finalizers: ['example.com/wait'] },
  })
  await client.send({ method: 'DELETE', path: `${crds}/cups.x.io` })
  await until(`${crds}/cups.x.io`, (_code, body) =>
    JSON.stringify(body).includes('InstanceDeletionInProgress'),
  )
  await client.send({
    method: 'PATCH',
    path: `${cups}/held`,
    body: { metadata: { finalizers: null } },
    headers: { 'content-type': 'application/merge-patch+json' },
  })
  await until(`${crds}/cups.x.io`, code => code === 404)
  assert.equal(await status(cups), 404)
})
