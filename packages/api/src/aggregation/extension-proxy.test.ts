// A group version of an extension server, from the day it is registered until it goes, as clients and that server see it.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, before, test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import type { ApiAnswer } from '../../../../test/harness/api-client.ts'
import {
  type ExtensionServer,
  showing,
  startExtensionServer,
} from '../../../../test/harness/extension-server.ts'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'

const SERVICES = '/apis/apiregistration.k8s.io/v1/apiservices'
const GROUP = 'ext.example'
const CUPS = `/apis/${GROUP}/v1/namespaces/default/cups`
const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

const VERBS = ['get', 'list', 'watch']
const DISCOVERY = {
  kind: 'APIGroupDiscoveryList',
  apiVersion: 'apidiscovery.k8s.io/v2',
  items: [
    {
      metadata: { name: GROUP },
      versions: [{ version: 'v1', resources: [{ resource: 'cups', verbs: VERBS }] }],
    },
  ],
}
/** What a server says that knows the older form of discovery only. */
const OLD = `/apis/old.${GROUP}/v1`
const RESOURCES = {
  kind: 'APIResourceList',
  groupVersion: `old.${GROUP}/v1`,
  resources: [
    { name: 'pots', singularName: 'pot', namespaced: true, kind: 'Pot', verbs: VERBS },
    { name: 'pots/status', singularName: '', namespaced: true, kind: 'Pot', verbs: ['get'] },
  ],
}

const { server, admin } = await serverForFile()
let extension: ExtensionServer
/** Answers of paths that tests are about. */
const answers = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>()

before(async () => {
  extension = await startExtensionServer({
    name: 'ext.default',
    authority: server.pki.authority,
    answer: (request, response) => {
      const path = (request.url ?? '').split('?')[0] ?? ''
      const given = answers.get(path)
      if (given !== undefined) given(request, response)
      else answer(path, response)
    },
  })
})
after(() => extension.close())

/** What each extension server must say of itself. */
const SAID: Readonly<Record<string, JsonObject>> = {
  '/apis': DISCOVERY,
  [`/apis/${GROUP}/v1`]: { kind: 'APIResourceList' },
  '/openapi/v3': {
    paths: {
      [`apis/${GROUP}/v1`]: { serverRelativeURL: `/openapi/v3/apis/${GROUP}/v1?hash=ABC` },
    },
  },
}

function answer(path: string, response: ServerResponse): void {
  const body = SAID[path]
  response.statusCode = body === undefined ? 404 : 200
  response.setHeader('content-type', body === DISCOVERY ? AGGREGATED : 'application/json')
  response.end(JSON.stringify(body ?? { kind: 'Status', code: 404 }))
}

const get = async (path: string): Promise<JsonObject> => (await admin.send({ path })).json()
const send = async (method: string, path: string, body: JsonObject): Promise<ApiAnswer> => {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  const sent = await admin.send({ method, path, body, headers: { 'content-type': type } })
  assert.ok(sent.status < 300, sent.bytes.toString())
  return sent
}

/** Looks until the answer at a path is as it should be. */
async function until<T>(look: () => Promise<T>, isSo: (seen: T) => boolean): Promise<T> {
  for (;;) {
    const seen = await look()
    if (isSo(seen)) return seen
    await new Promise(resolve => setImmediate(resolve))
  }
}

const conditionOf = async (name: string): Promise<JsonObject> => {
  const { status } = await get(`${SERVICES}/${name}`)
  return ((status as JsonObject | undefined)?.conditions as JsonObject[] | undefined)?.[0] ?? {}
}
const withReason = (name: string, reason: string): Promise<JsonObject> =>
  until(
    () => conditionOf(name),
    condition => condition.reason === reason,
  )

const apiService = (group: string, service: string, trust: JsonObject): JsonObject => ({
  apiVersion: 'apiregistration.k8s.io/v1',
  kind: 'APIService',
  metadata: { name: `v1.${group}` },
  spec: {
    group,
    version: 'v1',
    groupPriorityMinimum: 2000,
    versionPriority: 10,
    service: { name: service, namespace: 'default', port: extension.port },
    ...trust,
  },
})
const trusting = (): JsonObject => ({
  caBundle: Buffer.from(server.ca).toString('base64'),
})

const externalName = (name: string): JsonObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { type: 'ExternalName', externalName: 'localhost' },
})
const createService = (body: JsonObject): Promise<ApiAnswer> =>
  send('POST', '/api/v1/namespaces/default/services', body)

const versionsOf = async (group: string): Promise<JsonObject[]> => {
  const { items } = (await admin.send({ path: '/apis', headers: { accept: AGGREGATED } })).json()
  const found = (items as JsonObject[]).find(
    ({ metadata }) => (metadata as JsonObject).name === group,
  )
  return (found?.versions ?? []) as JsonObject[]
}

test('without its Service a group version is listed as stale, and answers 503', async () => {
  await send('POST', SERVICES, apiService(GROUP, 'ext', trusting()))
  const condition = await withReason(`v1.${GROUP}`, 'ServiceNotFound')
  assert.equal(condition.status, 'False')
  assert.equal(condition.message, 'service/ext in "default" is not present')
  assert.deepEqual(await versionsOf(GROUP), [{ version: 'v1', freshness: 'Stale' }])
  const { status, bytes } = await admin.send({ path: CUPS })
  assert.deepEqual([status, bytes.toString()], [503, 'service unavailable\n'])
})

test('once its server answers, discovery shows what that one says, and where its OpenAPI document is', async () => {
  await createService(externalName('ext'))
  const condition = await withReason(`v1.${GROUP}`, 'Passed')
  assert.deepEqual([condition.status, condition.message], ['True', 'all checks passed'])
  const shown = await until(
    () => versionsOf(GROUP),
    ([version]) => version?.freshness === 'Current',
  )
  const resources = [{ resource: 'cups', verbs: VERBS }]
  assert.deepEqual(shown, [{ version: 'v1', resources, freshness: 'Current' }])
  const { versions } = await get(`/apis/${GROUP}`)
  assert.deepEqual(versions, [{ groupVersion: `${GROUP}/v1`, version: 'v1' }])
  const { paths } = await get('/openapi/v3')
  assert.deepEqual((paths as JsonObject)[`apis/${GROUP}/v1`], {
    serverRelativeURL: `/openapi/v3/apis/${GROUP}/v1?hash=ABC`,
  })
})

/** A PUT as another user, with headers that only this server may send on. */
const putBlue = (): Promise<ApiAnswer> =>
  admin.send({
    method: 'PUT',
    path: `${CUPS}/blue?dryRun=All&x=%2F`,
    body: '{"a":1}',
    headers: {
      'content-type': 'application/json',
      'x-kept': '1',
      'x-remote-user': 'somebody-else',
      'x-remote-extra-scopes': 'all',
      'impersonate-user': 'zoe',
      'impersonate-group': 'pots',
      'impersonate-extra-a%2fb': 'c',
    },
  })

test('what a user may not do never comes to the server', async () => {
  const { status, bytes } = await putBlue()
  assert.equal(status, 403)
  assert.match(bytes.toString(), /User \\"zoe\\" cannot update resource \\"cups\\"/)
  assert.equal(extension.passed.length, 0)
})

test('a request comes to the server with who asks, from the front proxy, and its answer as it was given', async () => {
  const [apiGroup, rbac] = ['rbac.authorization.k8s.io', '/apis/rbac.authorization.k8s.io/v1']
  await send('POST', `${rbac}/clusterroles`, {
    metadata: { name: 'cups' },
    rules: [{ apiGroups: [GROUP], resources: ['cups'], verbs: ['update'] }],
  })
  await send('POST', `${rbac}/clusterrolebindings`, {
    metadata: { name: 'cups' },
    roleRef: { apiGroup, kind: 'ClusterRole', name: 'cups' },
    subjects: [{ apiGroup, kind: 'Group', name: 'pots' }],
  })
  answers.set(`${CUPS}/blue`, (request, response) => {
    request.setEncoding('utf8').once('data', (text: string) => {
      response.writeHead(201, { 'content-type': 'application/x-cup', 'x-cup': 'blue' })
      response.end(`got ${text}`)
    })
  })
  const { status, headers, bytes } = await putBlue()
  assert.deepEqual([status, bytes.toString()], [201, 'got {"a":1}'])
  assert.deepEqual([headers['content-type'], headers['x-cup']], ['application/x-cup', 'blue'])
  const [came] = extension.passed
  assert.ok(came !== undefined)
  assert.equal(showing(came), 'front-proxy-client')
  assert.equal(came.url, `${CUPS}/blue?dryRun=All&x=%2F`)
  const shown = Object.entries(came.headers).filter(
    ([name]) => /^(x-|impersonate-|authorization)/.test(name) && name !== 'x-forwarded-for',
  )
  assert.deepEqual(Object.fromEntries(shown), {
    'x-kept': '1',
    'x-remote-user': 'zoe',
    'x-remote-group': 'pots, system:authenticated',
    'x-remote-extra-a%2fb': 'c',
  })
  assert.equal(came.headers['audit-id'], headers['audit-id'])
})

test('a watch brings events as they come, and its server sees the client leave', async () => {
  let watch: ServerResponse | undefined
  answers.set(CUPS, (_request, response) => {
    watch = response
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
  })
  let text = ''
  const stream = await admin.watch({ path: `${CUPS}?watch=1` }, bytes => {
    text += bytes.toString()
  })
  assert.equal(stream.status, 200)
  assert.ok(watch !== undefined)
  for (const event of ['{"type":"ADDED"}\n', '{"type":"DELETED"}\n']) {
    text = ''
    watch.write(event)
    while (text !== event) await new Promise(resolve => setImmediate(resolve))
  }
  const left = once(watch, 'close')
  stream.close()
  await left
})

test('an answer that breaks off does not look complete', async () => {
  answers.set(CUPS, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.write('half', () => response.destroy())
  })
  await assert.rejects(admin.send({ path: CUPS }))
})

test('a redirect is not followed, nor given to the client', async () => {
  answers.set(CUPS, (_request, response) => {
    response.writeHead(302, { location: 'https://elsewhere.example/' }).end()
  })
  const { status, headers, bytes } = await admin.send({ path: CUPS })
  assert.equal(status, 502)
  assert.equal(headers.location, undefined)
  assert.match(bytes.toString(), /attempted to redirect/)
})

test('a server that is not whom the bundle vouches for is unavailable, and says why', async () => {
  const group = `strange.${GROUP}`
  // It vouches for another name than the server's.
  await createService(externalName('strange'))
  await send('POST', SERVICES, apiService(group, 'strange', trusting()))
  const { message } = await withReason(`v1.${group}`, 'FailedDiscoveryCheck')
  const url = `https://localhost:${extension.port}/apis/${group}/v1`
  const start = `failing or missing response from ${url}: Get "${url}": `
  assert.equal(String(message).slice(0, start.length), start)
  assert.equal((await admin.send({ path: `/apis/${group}/v1/pots` })).status, 503)
})

test('one that answers something else than 200 is unavailable', async () => {
  const group = `odd.${GROUP}`
  await send('POST', SERVICES, apiService(group, 'strange', { insecureSkipTLSVerify: true }))
  const { message } = await withReason(`v1.${group}`, 'FailedDiscoveryCheck')
  const url = `https://localhost:${extension.port}/apis/${group}/v1`
  assert.equal(message, `failing or missing response from ${url}: bad status from ${url}: 404`)
})

test('a server that knows only the older discovery is shown in the new form', async () => {
  const group = `old.${GROUP}`
  answers.set(OLD, (_request, response) => response.end(JSON.stringify(RESOURCES)))
  answers.set('/apis', (_request, response) => response.writeHead(406).end())
  await send('POST', SERVICES, apiService(group, 'strange', { insecureSkipTLSVerify: true }))
  const [shown] = await until(
    () => versionsOf(group),
    ([version]) => version?.freshness === 'Current',
  )
  answers.delete('/apis')
  const responseKind = { group: '', version: '', kind: 'Pot' }
  const subresources = [{ subresource: 'status', responseKind, verbs: ['get'] }]
  const resource = { resource: 'pots', responseKind, scope: 'Namespaced', verbs: VERBS }
  const resources = [{ ...resource, singularResource: 'pot', subresources }]
  assert.deepEqual(shown, { version: 'v1', resources, freshness: 'Current' })
})

test('a Service is looked at as upstream does: its port, its slices, their addresses', async () => {
  const group = `near.${GROUP}`
  const ports = [{ name: 'https', port: 443 }]
  await createService({ ...externalName('near'), spec: { ports } })
  await send('POST', SERVICES, apiService(group, 'near', trusting()))
  const name = `v1.${group}`
  const at = 'service/near in "default"'
  const wrong = await withReason(name, 'ServicePortError')
  assert.equal(wrong.message, `${at} is not listening on port ${extension.port}`)
  await send('PATCH', '/api/v1/namespaces/default/services/near', {
    spec: { ports: [{ name: 'https', port: extension.port }] },
  })
  const none = await withReason(name, 'EndpointsNotFound')
  assert.equal(none.message, `cannot find endpointslices for ${at}`)
  await send('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    metadata: { name: 'near', labels: { 'kubernetes.io/service-name': 'near' } },
    addressType: 'IPv4',
    endpoints: [],
    ports: [{ name: 'https', port: extension.port }],
  })
  const missing = await withReason(name, 'MissingEndpoints')
  assert.equal(missing.message, `endpointslices for ${at} have no addresses with port name "https"`)
})

test('an APIService that loses its Service is local, and one that goes takes its group along', async () => {
  const name = `v1.${GROUP}`
  await send('PATCH', `${SERVICES}/${name}`, { spec: { service: null, caBundle: null } })
  const local = await withReason(name, 'Local')
  assert.equal(local.status, 'True')
  assert.equal((await admin.send({ path: CUPS })).status, 404)
  await send('PATCH', `${SERVICES}/${name}`, apiService(GROUP, 'ext', trusting()))
  await withReason(name, 'Passed')
  await admin.send({ method: 'DELETE', path: `${SERVICES}/${name}` })
  assert.equal(
    (
      await until(
        () => admin.send({ path: CUPS }),
        ({ status }) => status !== 503,
      )
    ).status,
    404,
  )
  assert.deepEqual(await versionsOf(GROUP), [])
})

test('extension servers find out whom to trust, whatever is done to the ConfigMap that says so', async () => {
  const path = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication'
  const { data } = await get(path)
  assert.deepEqual(data, {
    'client-ca-file': server.ca,
    'requestheader-allowed-names': '["front-proxy-client"]',
    'requestheader-client-ca-file': server.ca,
    'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
    'requestheader-group-headers': '["X-Remote-Group"]',
    'requestheader-uid-headers': '["X-Remote-Uid"]',
    'requestheader-username-headers': '["X-Remote-User"]',
  })
  await send('PATCH', path, { data: { 'requestheader-allowed-names': '["anybody"]' } })
  const isRight = (answered: ApiAnswer): boolean => {
    const seen = (answered.json().data ?? {}) as JsonObject
    return seen['requestheader-allowed-names'] === '["front-proxy-client"]'
  }
  await until(() => admin.send({ path }), isRight)
  await admin.send({ method: 'DELETE', path })
  await until(() => admin.send({ path }), isRight)
})
