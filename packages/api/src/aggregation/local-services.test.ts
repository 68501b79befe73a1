// The APIServices of what is served here, and where they put groups in discovery, as a client sees both.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { type ApiAnswer, ApiClient } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'

const SERVICES = '/apis/apiregistration.k8s.io/v1/apiservices'
const MANAGED = 'kube-aggregator.kubernetes.io/automanaged'

let server: TestServer
let client: ApiClient

before(async () => {
  server = await startServer()
  client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
})

after(async () => {
  client.close()
  await server.close()
})

const get = async (path: string): Promise<JsonObject> => (await client.send({ path })).json()
const send = (method: string, path: string, body: JsonObject): Promise<ApiAnswer> =>
  client.send({
    method,
    path,
    body,
    headers: {
      'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
    },
  })

/** Looks until the answer at a path is as it should be. */
async function until(path: string, isSo: (answer: ApiAnswer) => boolean): Promise<ApiAnswer> {
  for (;;) {
    const answer = await client.send({ path })
    if (isSo(answer)) return answer
    await new Promise(resolve => setImmediate(resolve))
  }
}

const groupNames = async (): Promise<string[]> => {
  const { groups } = await get('/apis')
  return (groups as JsonObject[]).map(({ name }) => String(name))
}

const definition = (plural: string, group: string, versions: readonly string[]): JsonObject => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.${group}` },
  spec: {
    group,
    scope: 'Cluster',
    names: { plural, kind: plural.toUpperCase() },
    versions: versions.map((name, i) => ({
      name,
      served: true,
      storage: i === 0,
      schema: { openAPIV3Schema: { type: 'object' } },
    })),
  },
})

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

test('each built-in group version has a local APIService from the start on, but the one that keeps them', async () => {
  const { items } = await get(SERVICES)
  const services = items as JsonObject[]
  const names = services.map(({ metadata }) => String((metadata as JsonObject).name))
  const groups = (await get('/apis')).groups as JsonObject[]
  const served = groups.flatMap(({ name, versions }) =>
    (versions as JsonObject[]).map(({ version }) => `${version}.${name}`),
  )
  assert.deepEqual(
    names.toSorted(),
    ['v1.', ...served].filter(name => name !== 'v1.apiregistration.k8s.io').toSorted(),
  )
  const core = await get(`${SERVICES}/v1.`)
  assert.deepEqual((core.metadata as JsonObject).labels, { [MANAGED]: 'onstart' })
  assert.deepEqual(core.spec, { groupPriorityMinimum: 18_000, version: 'v1', versionPriority: 1 })
  const [condition] = (core.status as JsonObject).conditions as JsonObject[]
  const { lastTransitionTime, ...rest } = condition ?? {}
  assert.equal(typeof lastTransitionTime, 'string')
  assert.deepEqual(rest, {
    type: 'Available',
    status: 'True',
    reason: 'Local',
    message: 'Local APIServices are always available',
  })
})

test('groups are listed by priority, and the one that keeps APIServices first', async () => {
  const names = await groupNames()
  assert.deepEqual(names.slice(0, 3), ['apiregistration.k8s.io', 'apps', 'events.k8s.io'])
  assert.equal(names.at(-1), 'flowcontrol.apiserver.k8s.io')
})

test("a CRD's group versions get an APIService, which comes back when deleted or changed, and goes with the CRD", async () => {
  await send('POST', CRDS, definition('cups', 'zoo.example', ['v1', 'v1beta1']))
  const path = `${SERVICES}/v1beta1.zoo.example`
  const made = (await until(path, ({ status }) => status === 200)).json()
  const spec = {
    group: 'zoo.example',
    groupPriorityMinimum: 1000,
    version: 'v1beta1',
    versionPriority: 100,
  }
  assert.deepEqual(made.spec, spec)
  assert.deepEqual((made.metadata as JsonObject).labels, { [MANAGED]: 'true' })

  await send('PATCH', path, { spec: { versionPriority: 7 } })
  const isRight = (answer: ApiAnswer): boolean =>
    answer.status === 200 && (answer.json().spec as JsonObject).versionPriority === 100
  assert.deepEqual((await until(path, isRight)).json().spec, spec)

  await client.send({ method: 'DELETE', path })
  const again = (await until(path, ({ status }) => status === 200)).json()
  assert.notEqual((again.metadata as JsonObject).uid, (made.metadata as JsonObject).uid)

  await client.send({ method: 'DELETE', path: `${CRDS}/cups.zoo.example` })
  await until(path, ({ status }) => status === 404)
  await until(`${SERVICES}/v1.zoo.example`, ({ status }) => status === 404)
})

test('an APIService that nobody manages stays as it is, and puts its group where it says', async () => {
  await send('POST', CRDS, definition('mugs', 'bar.example', ['v1']))
  const path = `${SERVICES}/v1.bar.example`
  await until(path, ({ status }) => status === 200)
  const answer = await send('PATCH', path, {
    metadata: { labels: { [MANAGED]: null } },
    spec: { groupPriorityMinimum: 17_799 },
  })
  assert.equal(answer.status, 200)
  assert.deepEqual((await groupNames()).slice(0, 3), [
    'apiregistration.k8s.io',
    'apps',
    'bar.example',
  ])
  await client.send({ method: 'DELETE', path: `${CRDS}/mugs.bar.example` })
  await until('/apis/bar.example', ({ status }) => status === 404)
  assert.equal((await client.send({ path })).status, 200)
})

test("an APIService of a built-in group is its user's between two starts", async () => {
  const path = `${SERVICES}/v1.batch`
  const answer = await send('PATCH', path, { spec: { groupPriorityMinimum: 5 } })
  assert.equal(answer.status, 200)
  // What is done to a later object has been done to this one before.
  await send('POST', CRDS, definition('jugs', 'late.example', ['v1']))
  await until(`${SERVICES}/v1.late.example`, ({ status }) => status === 200)
  assert.equal(((await get(path)).spec as JsonObject).groupPriorityMinimum, 5)
  assert.equal((await groupNames()).at(-1), 'batch')
})

test("a wrong APIService is refused in upstream's words", async () => {
  const refused = await send('POST', SERVICES, {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: 'v1.bad.example' },
    spec: {
      group: 'other.example',
      version: 'V1',
      groupPriorityMinimum: 0,
      versionPriority: 2000,
      service: {},
      insecureSkipTLSVerify: true,
      caBundle: 'aGVsbG8=',
    },
  })
  assert.equal(refused.status, 422)
  const { causes } = refused.json().details as { causes: { field: string; message: string }[] }
  const told = causes.map(({ field, message }) => `${field}: ${message}`)
  assert.match(told[1] ?? '', /^spec\.version: Invalid value: "V1": a DNS-1035 label must/)
  assert.deepEqual(told.toSpliced(1, 1), [
    'metadata.name: Invalid value: "v1.bad.example": must be `spec.version+"."+spec.group`: "V1.other.example"',
    'spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000',
    'spec.versionPriority: Invalid value: 2000: must be positive and less than 1000',
    'spec.service.namespace: Required value',
    'spec.service.name: Required value',
    'spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present',
  ])
})

test('a local APIService has no credentials, and an update of it needs its resourceVersion', async () => {
  const spec = { version: 'v2', groupPriorityMinimum: 20_001, versionPriority: -1 }
  const refused = await send('POST', SERVICES, {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: 'v2.' },
    spec: { ...spec, insecureSkipTLSVerify: true, caBundle: 'aGVsbG8=' },
  })
  const { causes } = refused.json().details as { causes: { message: string }[] }
  assert.deepEqual(
    causes.map(({ message }) => message),
    [
      'Required value: only v1 may have an empty group and it better be legacy kube',
      'Invalid value: 20001: must be positive and less than 20000',
      'Invalid value: -1: must be positive and less than 1000',
      'Invalid value: "5 bytes": local APIServices may not have a caBundle',
      'Invalid value: true: local APIServices may not have insecureSkipTLSVerify',
    ],
  )
  const live = await get(`${SERVICES}/v1.apps`)
  const { resourceVersion, ...metadata } = live.metadata as JsonObject
  assert.equal(typeof resourceVersion, 'string')
  const blind = await send('PUT', `${SERVICES}/v1.apps`, { ...live, metadata })
  assert.match(
    blind.bytes.toString(),
    /metadata.resourceVersion: Invalid value: 0: must be specified/,
  )
})

test('the door of the status changes nothing else, the table shows it, and a local one is right again soon', async () => {
  const path = `${SERVICES}/v1.policy`
  const body = {
    metadata: { labels: { new: 'label' } },
    spec: { versionPriority: 3 },
    status: { conditions: [{ type: 'Available', status: 'False', reason: 'Because' }] },
  }
  const { bytes } = await client.send({
    method: 'PATCH',
    path: `${path}/status`,
    body,
    headers: {
      'content-type': 'application/merge-patch+json',
      accept: 'application/json;as=Table;g=meta.k8s.io;v=v1',
    },
  })
  const { columnDefinitions, rows } = JSON.parse(bytes.toString())
  const titles = (columnDefinitions as JsonObject[]).map(({ name }) => name)
  assert.deepEqual(titles, ['Name', 'Service', 'Available', 'Age'])
  assert.deepEqual(rows[0].cells.slice(0, 3), ['v1.policy', 'Local', 'False (Because)'])
  const isRight = (answer: ApiAnswer): boolean => answer.bytes.includes('are always available')
  const after = (await until(path, isRight)).json()
  assert.equal((after.spec as JsonObject).versionPriority, 15)
  assert.deepEqual((after.metadata as JsonObject).labels, { [MANAGED]: 'onstart' })
})
