// How requests are read where the obvious reading is not upstream's: names that selectors give, HEAD, creates by name.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:https'
import { after, before, test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { createClientCertificate } from '@podless/identity'
import { ApiClient, eventReader, type WatchedEvent } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'

const RBAC = 'rbac.authorization.k8s.io'
const CONFIGMAPS = '/api/v1/namespaces/default/configmaps'
const THINGS = '/apis/limits.podless.dev/v1/namespaces/default/things'

let server: TestServer
let admin: ApiClient
let anna: ApiClient

before(async () => {
  server = await startServer()
  admin = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  const own = createClientCertificate(server.pki.authority, {
    user: 'anna',
    now: new Date(),
    ttlSeconds: 3600,
  })
  anna = new ApiClient({ url: server.url, ca: server.ca, ...own })
  const verbs = ['list', 'watch', 'deletecollection']
  const rule = { apiGroups: [''], resources: ['configmaps'], resourceNames: ['hers'], verbs }
  const roles = `/apis/${RBAC}/v1/namespaces/default`
  await post(`${roles}/roles`, { metadata: { name: 'hers' }, rules: [rule] })
  await post(`${roles}/rolebindings`, {
    metadata: { name: 'hers' },
    roleRef: { apiGroup: RBAC, kind: 'Role', name: 'hers' },
    subjects: [{ apiGroup: RBAC, kind: 'User', name: 'anna' }],
  })
  for (const name of ['hers', 'other']) await post(CONFIGMAPS, { metadata: { name } })
  await post('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    metadata: { name: 'things.limits.podless.dev' },
    spec: {
      group: 'limits.podless.dev',
      scope: 'Namespaced',
      names: { plural: 'things', kind: 'Thing' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object' } },
        },
      ],
    },
  })
  while ((await admin.send({ path: THINGS })).status !== 200);
})
after(async () => {
  admin.close()
  anna.close()
  await server.close()
})

async function post(path: string, body: object): Promise<void> {
  const { status, bytes } = await admin.send({ method: 'POST', path, body: { ...body } })
  assert.equal(status, 201, bytes.toString())
}

test('RBAC takes the one name that a list or watch selects for its name; a deletecollection has none', async () => {
  const hers = 'fieldSelector=metadata.name%3Dhers'
  const list = await anna.send({ path: `${CONFIGMAPS}?${hers}` })
  assert.equal(list.status, 200)
  assert.equal((list.json().items as unknown[]).length, 1)
  const watch = await anna.watch({ path: `${CONFIGMAPS}?watch=true&${hers}` }, () => undefined)
  assert.equal(watch.status, 200)
  watch.close()
  const refused: readonly [method: string, query: string][] = [
    ['GET', ''],
    ['GET', 'fieldSelector=metadata.name%3Dother'],
    ['GET', 'fieldSelector=metadata.name%21%3Dhers'],
    ['GET', `limit=x&${hers}`],
    ['DELETE', hers],
  ]
  for (const [method, query] of refused) {
    const { status } = await anna.send({ method, path: `${CONFIGMAPS}?${query}` })
    assert.equal(status, 403, `${method} ${query}`)
  }
  const { status } = await admin.send({ path: `/api/v1/configmaps?${hers}` })
  assert.equal(status, 200)
})

/** The code of a HEAD. */
async function head(path: string): Promise<number | undefined> {
  const { certificate: cert, key } = server.admin
  const options = { method: 'HEAD', ca: server.ca, cert, key, agent: false }
  const sent = request(new URL(path, server.url), options).end()
  const [response] = await once(sent, 'response')
  response.resume()
  return response.statusCode
}

test('HEAD is 405 for built-in resources, which route GET only, and served for custom ones and pages', async () => {
  for (const path of [CONFIGMAPS, `${CONFIGMAPS}/hers`, `${CONFIGMAPS}?watch=true`])
    assert.equal(await head(path), 405, path)
  assert.equal(await head(THINGS), 200)
  assert.equal(await head(`${THINGS}/none`), 404)
  assert.equal(await head('/readyz'), 200)
})

test('a POST to the name of a custom resource creates what its body says, to that of a built-in is 405', async () => {
  const body = { apiVersion: 'limits.podless.dev/v1', kind: 'Thing', metadata: { name: 'said' } }
  const made = await admin.send({ method: 'POST', path: `${THINGS}/asked`, body })
  assert.equal(made.status, 201)
  assert.equal((made.json().metadata as { name: string }).name, 'said')
  assert.equal((await admin.send({ path: `${THINGS}/asked` })).status, 404)
  const { status } = await admin.send({ method: 'POST', path: `${CONFIGMAPS}/asked`, body: {} })
  assert.equal(status, 405)
})

test('a finalizer without a domain is 422 but for the old words, and free for kinds that upstream leaves free', async () => {
  const make = async (path: string, name: string, finalizer: string): Promise<unknown> => {
    const body = { metadata: { name, finalizers: [finalizer] } }
    const { json } = await admin.send({ method: 'POST', path: `${path}?dryRun=All`, body })
    const { code, message } = json()
    return code === undefined ? 'made' : message
  }
  const why = 'name is neither a standard finalizer name nor is it fully qualified'
  assert.equal(
    await make(CONFIGMAPS, 'free', 'hold'),
    `ConfigMap "free" is invalid: metadata.finalizers[0]: Invalid value: "hold": ${why}`,
  )
  for (const finalizer of ['a.b/hold', 'orphan', 'foregroundDeletion', 'kubernetes'])
    assert.equal(await make(CONFIGMAPS, 'free', finalizer), 'made')
  assert.equal(
    await make('/apis/coordination.k8s.io/v1/namespaces/default/leases', 'free', 'hold'),
    'made',
  )
  const patch = await admin.send({
    method: 'PATCH',
    path: `${CONFIGMAPS}/other`,
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { metadata: { finalizers: ['hold'] } },
  })
  assert.equal(patch.status, 422)
  assert.match(String(patch.json().message), new RegExp(why))
})

/** All events of a watch, once it has ended by itself. */
async function eventsOf(query: string): Promise<WatchedEvent[]> {
  const events: WatchedEvent[] = []
  const path = `${CONFIGMAPS}?watch=true&resourceVersion=0&${query}`
  const watch = await admin.watch(
    { path },
    eventReader(event => events.push(event)),
  )
  assert.equal(watch.status, 200)
  await watch.ended
  return events
}

test('a watch that asked for bookmarks gets a last one shortly before its timeout', async () => {
  const query = 'timeoutSeconds=3'
  const asked = eventsOf(`${query}&allowWatchBookmarks=true`)
  const [events, others] = await Promise.all([asked, eventsOf(query)])
  const last = events.at(-1)
  assert.equal(last?.type, 'BOOKMARK')
  assert.equal(last?.object.metadata.resourceVersion, String(server.server.storage.cacher.revision))
  assert.ok(others.every(({ type }) => type !== 'BOOKMARK'))
})

test('a watch whose timeout is below zero, or too large for a Go duration, ends at once; 20 years last', async () => {
  for (const seconds of ['-1', '10000000000', '9223372036854775807'])
    await eventsOf(`timeoutSeconds=${seconds}`)
  const path = `${CONFIGMAPS}?watch=true&timeoutSeconds=630720000`
  const arrived = Promise.withResolvers<void>()
  const watch = await admin.watch(
    { path },
    eventReader(({ object }) => {
      if (object.metadata.name === 'later') arrived.resolve()
    }),
  )
  void watch.ended.then(() => arrived.reject(new Error('it ended')))
  // A timer that was set in the same tick as the wrong one would have been.
  await new Promise(resolve => setTimeout(resolve, 1))
  await post(CONFIGMAPS, { metadata: { name: 'later' } })
  await arrived.promise
  watch.close()
})

test('a resourceVersion that the store has not reached is 504 with what it is and what it should be', async () => {
  const current = server.server.storage.cacher.revision
  const wanted = current + 1_000_000
  const { status, headers, json } = await admin.send({
    path: `${CONFIGMAPS}/hers?resourceVersion=${wanted}`,
  })
  assert.equal(status, 504)
  assert.equal(headers['retry-after'], '1')
  const { reason, message, details } = json()
  const why = 'Too large resource version'
  assert.equal(reason, 'Timeout')
  assert.equal(message, `Timeout: ${why}: ${wanted}, current: ${current}`)
  const causes = [{ reason: 'ResourceVersionTooLarge', message: why }]
  assert.deepEqual(details, { causes, retryAfterSeconds: 1 })
})

test('a limit does not count for who takes a list of any age', async () => {
  const limited = await admin.send({ path: `${CONFIGMAPS}?limit=1` })
  assert.notEqual((limited.json().metadata as { continue?: string }).continue, undefined)
  const any = await admin.send({ path: `${CONFIGMAPS}?limit=1&resourceVersion=0` })
  assert.equal((any.json().metadata as { continue?: string }).continue, undefined)
  assert((any.json().items as unknown[]).length > 1)
})

test('a revision that is no number is an error of the server for a get and a write, and of the client for a list', async () => {
  const get = await admin.send({ path: `${CONFIGMAPS}/hers?resourceVersion=x` })
  assert.equal(get.status, 500)
  const list = await admin.send({ path: `${CONFIGMAPS}?resourceVersion=x` })
  assert.equal(list.status, 400)
  const body = { metadata: { name: 'hers', resourceVersion: 'x' } }
  const put = await admin.send({ method: 'PUT', path: `${CONFIGMAPS}/hers`, body })
  assert.equal(put.status, 500)
})

test('reviews and tokens have no Table, a scale has one of its own, and a second choice is taken', async () => {
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'
  const ask = (path: string, accept: string, body?: object) =>
    admin.send({
      path,
      headers: { accept },
      ...(body === undefined ? {} : { method: 'POST', body: body as JsonObject }),
    })
  const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  const token = '/api/v1/namespaces/default/serviceaccounts/default/token'
  for (const path of [review, token]) assert.equal((await ask(path, table, {})).status, 406, path)
  const second = await ask(review, `${table},application/json`, {})
  assert.equal(second.json().kind, 'SelfSubjectReview')

  const deployments = '/apis/apps/v1/namespaces/default/deployments'
  const labels = { app: 'mill' }
  await post(deployments, {
    metadata: { name: 'mill' },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'b' }] } },
    },
  })
  const scale = (await ask(`${deployments}/mill/scale`, table)).json() as unknown as {
    columnDefinitions: readonly { name: string }[]
    rows: readonly { cells: readonly unknown[] }[]
  }
  const names = scale.columnDefinitions.map(({ name }) => name)
  assert.deepEqual(names, ['Name', 'Desired', 'Available', 'Age'])
  assert.deepEqual(scale.rows[0]?.cells.slice(0, 3), ['mill', 3, 0])
})

const PATCHED_KINDS: readonly (readonly [patch: JsonObject, why: string])[] = [
  [
    { kind: 'Robot' },
    'no kind "Robot" is registered for version "v1" in scheme "pkg/runtime/scheme.go:111"',
  ],
  [
    { apiVersion: 'apps/v1' },
    'no kind "ConfigMap" is registered for version "apps/v1" in scheme "pkg/runtime/scheme.go:111"',
  ],
  [{ kind: 'Pod' }, 'converting (v1.Pod) to (core.ConfigMap): unknown conversion'],
]

for (const [patch, why] of PATCHED_KINDS) {
  test(`a merge patch makes no other kind of an object: ${why}`, async () => {
    const answer = await admin.send({
      method: 'PATCH',
      path: `${CONFIGMAPS}/other`,
      headers: { 'content-type': 'application/merge-patch+json' },
      body: patch,
    })
    assert.equal(answer.status, 422)
    const { causes } = answer.json().details as { causes: { field: string; message: string }[] }
    assert.equal(causes[0]?.field, 'patch')
    assert.ok(causes[0]?.message.endsWith(`: ${why}`), causes[0]?.message)
  })
}

test('the body of a deletion is of no other kind than DeleteOptions', async () => {
  const body = { apiVersion: 'v1', kind: 'ConfigMap' }
  const answer = await admin.send({ method: 'DELETE', path: `${CONFIGMAPS}/other`, body })
  assert.equal(answer.status, 400)
  const why = 'no kind "ConfigMap" is registered for version "v1"'
  assert.equal(answer.json().message, `${why} in scheme "pkg/runtime/scheme.go:111"`)
})
