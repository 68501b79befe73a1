// Custom resources and their definitions from outside, where what a CRD says changes what requests get: versions,
// schemas, scale, deletion. A real server answers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import type { ApiAnswer } from '../../../../test/harness/api-client.ts'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

const { admin: client } = await serverForFile()

const send = (method: string, path: string, body?: JsonObject): Promise<ApiAnswer> =>
  client.send({
    method,
    path,
    ...(body === undefined ? {} : { body }),
    ...(method === 'PATCH' ? { headers: { 'content-type': 'application/merge-patch+json' } } : {}),
  })

interface Kind {
  readonly group: string
  readonly path: (version?: string) => string
  readonly crd: string
}

const objectOf = (properties: JsonObject): JsonObject => ({ type: 'object', properties })
const version = (name: string, schema: JsonObject, rest: JsonObject = {}): JsonObject => ({
  name,
  served: true,
  storage: name === 'v1',
  schema: { openAPIV3Schema: schema },
  ...rest,
})

/** Creates a cluster-scoped CRD of kind Mug and waits until it is served. */
async function define(group: string, versions: readonly JsonObject[]): Promise<Kind> {
  const crd = `${CRDS}/mugs.${group}`
  const made = await send('POST', CRDS, {
    metadata: { name: `mugs.${group}` },
    spec: {
      group,
      scope: 'Cluster',
      names: { plural: 'mugs', kind: 'Mug' },
      versions: [...versions],
    },
  })
  assert.equal(made.status, 201, made.bytes.toString())
  const kind = { group, crd, path: (of = 'v1') => `/apis/${group}/${of}/mugs` }
  await until(async () => (await send('GET', kind.path())).status === 200)
  return kind
}

/** The test runner's own limit ends a wait in vain. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setTimeout(resolve, 10))
}

const mug = ({ group }: Kind, name: string, rest: JsonObject = {}, of = 'v1'): JsonObject => ({
  apiVersion: `${group}/${of}`,
  kind: 'Mug',
  metadata: { name },
  ...rest,
})

test('an object is defaulted by the version it is stored in, and pruned by the one it is read in', async () => {
  const text = { type: 'string' }
  const kind = await define('read.example.com', [
    version('v1', objectOf({ spec: objectOf({ a: text, d: { type: 'string', default: 'x' } }) })),
    version('v2', objectOf({ spec: objectOf({ a: text, e: { type: 'string', default: 'y' } }) })),
  ])
  await send('POST', kind.path(), mug(kind, 'm', { spec: { a: '1' } }))
  assert.deepEqual((await send('GET', `${kind.path()}/m`)).json().spec, { a: '1', d: 'x' })
  assert.deepEqual((await send('GET', `${kind.path('v2')}/m`)).json().spec, { a: '1' })
})

test('a default added to the schema shows on objects that were read before', async () => {
  const kind = await define('later.example.com', [version('v1', objectOf({ spec: objectOf({}) }))])
  await send('POST', kind.path(), mug(kind, 'm', { spec: {} }))
  assert.deepEqual((await send('GET', `${kind.path()}/m`)).json().spec, {})
  const grown = objectOf({ spec: objectOf({ d: { type: 'string', default: 'x' } }) })
  await send('PATCH', kind.crd, { spec: { versions: [version('v1', grown)] } })
  await until(async () => {
    const { spec } = (await send('GET', `${kind.path()}/m`)).json() as { spec: JsonObject }
    return spec.d === 'x'
  })
})

test('scale is held to the paths the CRD names', async () => {
  const schema = objectOf({
    spec: objectOf({ replicas: { type: 'integer' } }),
    status: objectOf({ replicas: { type: 'integer' } }),
  })
  const scale = { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' }
  const kind = await define('scale.example.com', [
    version('v1', schema, { subresources: { scale } }),
  ])
  const refused = await send('POST', kind.path(), mug(kind, 'm', { spec: { replicas: -1 } }))
  assert.equal(refused.status, 422)
  assert.match(
    String(refused.json().message),
    /\.spec\.replicas: Invalid value: -1: should be a non-negative integer/,
  )
  const large = await send('POST', kind.path(), mug(kind, 'm', { spec: { replicas: 2 ** 31 } }))
  assert.match(String(large.json().message), /should be less than or equal to 2147483647/)

  await send('POST', kind.path(), mug(kind, 'm', { spec: { replicas: 1 } }))
  const scaled = await send('PATCH', `${kind.path()}/m/scale`, { spec: { replicas: 4 } })
  assert.deepEqual(scaled.json().spec, { replicas: 4 })
  const parent = (await send('GET', `${kind.path()}/m`)).json() as JsonObject & {
    metadata: JsonObject
  }
  assert.deepEqual(parent.spec, { replicas: 4 })
  assert.equal(
    (scaled.json().metadata as JsonObject).resourceVersion,
    parent.metadata.resourceVersion,
  )
  assert.equal(
    (await send('PATCH', `${kind.path()}/m/scale`, { spec: { replicas: -4 } })).status,
    422,
  )
})

test('what a CRD does not serve is a page that is not found; what it does not offer has its name', async () => {
  const kind = await define('paths.example.com', [version('v1', objectOf({}))])
  const absent = await send('GET', kind.path('v9'))
  assert.equal(absent.status, 404)
  assert.equal(absent.bytes.toString(), '404 page not found\n')
  const door = await send('GET', `${kind.path()}/m/status`)
  assert.deepEqual(door.json().details, { name: 'm', group: kind.group, kind: 'mugs' })
  const wrong = await send('POST', kind.path(), { ...mug(kind, 'm'), kind: 'Cup' })
  assert.equal(wrong.status, 422)
  assert.match(
    String(wrong.json().message),
    /^Cup\.paths\.example\.com "m" is invalid: kind: .* must be Mug$/,
  )
})

test('a CRD with held instances is terminating, refuses new ones, and goes with the last', async () => {
  const kind = await define('going.example.com', [version('v1', objectOf({}))])
  const held = mug(kind, 'held')
  await send('POST', kind.path(), {
    ...held,
    metadata: { name: 'held', finalizers: ['example.com/hold'] },
  })
  const deleted = await send('DELETE', kind.crd)
  assert.equal(deleted.json().kind, 'CustomResourceDefinition')
  await until(async () => (await send('POST', kind.path(), mug(kind, 'new'))).status === 403)
  const refused = await send('POST', kind.path(), mug(kind, 'new'))
  assert.match(
    String(refused.json().message),
    /create not allowed while custom resource definition is terminating$/,
  )
  await send('PATCH', `${kind.path()}/held`, { metadata: { finalizers: null } })
  await until(async () => (await send('GET', kind.crd)).status === 404)
  assert.equal((await send('GET', kind.path())).status, 404)
})

test('a CRD that borrows a built-in name neither replaces the resource nor takes its objects along', async () => {
  const other = await define('bystander.example.com', [version('v1', objectOf({}))])
  const name = 'customresourcedefinitions.apiextensions.k8s.io'
  const made = await send('POST', CRDS, {
    metadata: { name, annotations: { 'api-approved.kubernetes.io': 'unapproved, a test' } },
    spec: {
      group: 'apiextensions.k8s.io',
      scope: 'Cluster',
      names: { plural: 'customresourcedefinitions', kind: 'Impostor' },
      versions: [version('v1', objectOf({}))],
    },
  })
  assert.equal(made.status, 201, made.bytes.toString())
  const conditions = async (): Promise<readonly JsonObject[]> => {
    const { status } = (await send('GET', `${CRDS}/${name}`)).json() as {
      status: { conditions: JsonObject[] | null }
    }
    return status.conditions ?? []
  }
  await until(async () => (await conditions()).some(({ type }) => type === 'Established'))
  const approval = (await conditions()).find(
    ({ type }) => type === 'KubernetesAPIApprovalPolicyConformant',
  )
  assert.equal(approval?.reason, 'UnapprovedAnnotation')
  assert.equal(approval?.message, 'not approved: "unapproved, a test"')
  await send('DELETE', `${CRDS}/${name}`)
  await until(async () => (await send('GET', `${CRDS}/${name}`)).status === 404)
  const { metadata } = (await send('GET', other.crd)).json() as { metadata: JsonObject }
  assert.equal(metadata.deletionTimestamp, undefined)
})

test('a watch ends when the schema changes, and goes on when anything else of the CRD does', async () => {
  const kind = await define('watch.example.com', [version('v1', objectOf({ spec: objectOf({}) }))])
  let seen = ''
  const stream = await client.watch({ path: `${kind.path()}?watch=true` }, bytes => {
    seen += bytes.toString()
  })
  await send('PATCH', kind.crd, { metadata: { labels: { a: 'b' } } })
  await send('POST', kind.path(), mug(kind, 'm', { spec: {} }))
  await until(async () => seen.includes('"name":"m"'))
  const grown = objectOf({ spec: objectOf({ d: { type: 'string', default: 'x' } }) })
  await send('PATCH', kind.crd, { spec: { versions: [version('v1', grown)] } })
  await stream.ended
  assert.equal(seen.split('"type":').length, 2)
})

test('discovery shows the names a CRD has got, which are not all that it asks for', async () => {
  const kind = await define('names.example.com', [version('v1', objectOf({}))])
  const names = { plural: 'jugs', kind: 'Jug', shortNames: ['j'] }
  await send('PATCH', kind.crd, { spec: { names: { shortNames: ['m', 'mg'] } } })
  const made = await send('POST', CRDS, {
    metadata: { name: 'jugs.names.example.com' },
    spec: { group: kind.group, scope: 'Cluster', names, versions: [version('v1', objectOf({}))] },
  })
  assert.equal(made.status, 201)
  const jugs = `/apis/${kind.group}/v1/jugs`
  await until(async () => (await send('GET', jugs)).status === 200)
  await send('PATCH', `${CRDS}/jugs.${kind.group}`, {
    spec: { names: { shortNames: ['m', 'mg', 'k'] } },
  })
  await until(async () => {
    const { status } = (await send('GET', `${CRDS}/jugs.${kind.group}`)).json()
    const { conditions } = status as { conditions: { message: string }[] }
    return conditions.some(
      ({ message }) => message === '["m" is already in use, "mg" is already in use]',
    )
  })
  const { resources } = (await send('GET', `/apis/${kind.group}/v1`)).json() as {
    resources: { name: string; shortNames?: string[] }[]
  }
  assert.deepEqual(resources.find(({ name }) => name === 'jugs')?.shortNames, ['j'])
})

test('nothing but lists and watches reaches over all namespaces', async () => {
  const group = 'spaces.example.com'
  const made = await send('POST', CRDS, {
    metadata: { name: `mugs.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: 'mugs', kind: 'Mug' },
      versions: [version('v1', objectOf({}))],
    },
  })
  assert.equal(made.status, 201)
  const mugs = `/apis/${group}/v1/mugs`
  await until(async () => (await send('GET', mugs)).status === 200)
  const mugless = { apiVersion: `${group}/v1`, kind: 'Mug', metadata: { name: 'm' } }
  assert.equal((await send('POST', mugs, mugless)).status, 404)
  assert.equal((await send('DELETE', mugs)).status, 404)
  const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm' } }
  assert.equal((await send('POST', '/api/v1/configmaps', map)).status, 405)
  assert.equal((await send('DELETE', '/api/v1/configmaps')).status, 405)
})

test('scale is an error while no replicas are set, and a patch of it must set them', async () => {
  const replicas = objectOf({ replicas: { type: 'integer' } })
  const scale = { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' }
  const kind = await define('unset.example.com', [
    version('v1', objectOf({ spec: replicas, status: replicas }), { subresources: { scale } }),
  ])
  await send('POST', kind.path(), mug(kind, 'm', { spec: {} }))
  const path = `${kind.path()}/m/scale`
  const shown = await send('GET', path)
  assert.equal(shown.status, 500)
  assert.match(
    String(shown.json().message),
    /the spec replicas field ".spec.replicas" does not exist/,
  )
  const labelled = await send('PATCH', path, { metadata: { labels: { a: 'b' } } })
  assert.equal(labelled.status, 400)
  assert.match(
    String(labelled.json().message),
    /the spec replicas field ".spec.replicas" cannot be empty/,
  )
  assert.equal((await send('PATCH', path, { spec: { replicas: 3 } })).status, 200)
  assert.deepEqual((await send('GET', path)).json().spec, { replicas: 3 })
})
