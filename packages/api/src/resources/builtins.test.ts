// What is true of the built-ins as a whole: they exist once, have schemas, and lie and look as kube-apiserver has them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { objectMetaSchema } from '@podless/apimachinery'
import { ALL_VERBS } from './builtin.ts'
import { humanDuration } from './columns.ts'
import { builtinResources } from './index.ts'
import { create, find, make, row, update } from './rehearsal.ts'

test('each built-in is served once and has a schema of its kind', () => {
  const seen = new Set<string>()
  for (const { gvr, schema, names } of builtinResources()) {
    const key = `${gvr.group}/${gvr.version}/${gvr.resource}`
    assert.ok(!seen.has(key), key)
    seen.add(key)
    assert.ok(schema.properties?.has('metadata'), key)
    assert.equal(names.listKind, `${names.kind}List`)
  }
  assert.ok(objectMetaSchema().properties?.has('name'))
})

test('objects lie where kube-apiserver stores them', () => {
  const places: Record<string, string> = {
    configmaps: '/registry/configmaps',
    services: '/registry/services/specs',
    endpoints: '/registry/services/endpoints',
    nodes: '/registry/minions',
    replicationcontrollers: '/registry/controllers',
  }
  for (const [resource, prefix] of Object.entries(places)) {
    assert.equal(find(resource).keyPrefix, prefix)
  }
  assert.equal(find('ingresses', 'networking.k8s.io').keyPrefix, '/registry/ingress')
  assert.equal(find('events', 'events.k8s.io').keyPrefix, find('events').keyPrefix)
  assert.equal(
    find('customresourcedefinitions', 'apiextensions.k8s.io').keyPrefix,
    '/registry/apiextensions.k8s.io/customresourcedefinitions',
  )
})

test('names, verbs and doors are those of upstream discovery', () => {
  const namespaces = find('namespaces')
  assert.deepEqual(namespaces.names.shortNames, ['ns'])
  assert.equal(namespaces.verbs.includes('deletecollection'), false)
  assert.deepEqual([...namespaces.subresources.keys()].sort(), ['finalize', 'status'])
  assert.deepEqual(namespaces.subresources.get('finalize')?.verbs, ['update'])
  assert.deepEqual(find('configmaps').verbs, ALL_VERBS)
  assert.deepEqual(find('deployments', 'apps').names.categories, ['all'])
  const crds = find('customresourcedefinitions', 'apiextensions.k8s.io')
  assert.deepEqual(crds.names.shortNames, ['crd', 'crds'])
  assert.deepEqual(crds.names.categories, ['api-extensions'])
  assert.deepEqual([...find('pods').subresources.keys()].sort(), [
    'attach',
    'binding',
    'ephemeralcontainers',
    'eviction',
    'exec',
    'log',
    'portforward',
    'proxy',
    'resize',
    'status',
  ])
  const token = find('serviceaccounts').subresources.get('token')
  assert.deepEqual(token?.verbs, ['create'])
})

test('the descriptions of Name and Age are long enough not to be compared', () => {
  const [name, , age] = find('configmaps').columns
  assert.ok((name?.description.length ?? 0) > 90)
  assert.ok((age?.description.length ?? 0) > 90)
  assert.equal(name?.format, 'name')
})

test('humanDuration() writes the units that upstream writes', () => {
  const cases: Record<string, number> = {
    '0s': 0,
    '119s': 119,
    '2m': 120,
    '9m59s': 599,
    '10m': 600,
    '179m': 10_799,
    '3h': 10_800,
    '7h59m': 28_740,
    '47h': 170_000,
    '2d': 172_800,
    '7d23h': 687_600,
    '729d': 63_000_000,
    '2y': 63_072_000,
    '7y364d': 252_201_600,
    '8y': 252_300_000,
  }
  for (const [text, seconds] of Object.entries(cases)) {
    assert.equal(humanDuration(seconds * 1000), text)
  }
})

test('the main door and /status keep what the other one owns', async () => {
  const quotas = find('resourcequotas')
  const { obj: live } = await create(quotas, {
    spec: { hard: { pods: '1' } },
    status: { used: { pods: '9' } },
  })
  assert.deepEqual(live.status, {})
  const main = await update(quotas, live, { spec: { hard: { pods: '2' } }, status: { used: {} } })
  assert.deepEqual([main.obj.spec, main.obj.status], [{ hard: { pods: '2' } }, {}])
  const status = { hard: { pods: '1' }, used: { pods: '0' } }
  const door = await update(quotas, live, { spec: {}, status }, { door: 'status' })
  assert.deepEqual([door.obj.spec, door.obj.status], [live.spec, status])
})

test('every column of every built-in can show an object that has nothing but a name', () => {
  for (const resource of builtinResources()) {
    if (resource.create !== undefined) continue
    const cells = row(resource, make(resource))
    assert.equal(cells.length, resource.columns.length, resource.gvr.resource)
    assert.ok(
      cells.every(cell => cell !== undefined),
      resource.gvr.resource,
    )
  }
})

test('defaulting twice changes nothing more', async () => {
  for (const resource of builtinResources()) {
    const once = make(resource, { spec: {} })
    resource.strategy.default?.(once)
    const twice = structuredClone(once)
    resource.strategy.default?.(twice)
    assert.deepEqual(twice, once, resource.gvr.resource)
  }
})
