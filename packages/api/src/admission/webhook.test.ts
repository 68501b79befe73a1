// Webhooks as a cluster's owner configures them, against a real HTTPS server: denial texts, patches, dry runs, failure
// policy, and Services that resolve without a cluster network.

import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { openPki, openServingCertificate } from '@podless/identity'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'

type Respond = (request: JsonObject) => JsonObject

let server: TestServer
let client: ApiClient
let hook: Server
let caBundle: string
let port: number
let respond: Respond
let asked: JsonObject[]

before(async () => {
  hook = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const review = JSON.parse(Buffer.concat(chunks).toString()) as { request: JsonObject }
      asked.push(review.request)
      const answer = {
        apiVersion: 'admission.k8s.io/v1',
        kind: 'AdmissionReview',
        response: { uid: review.request.uid, ...respond(review.request) },
      }
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer))
    })
  })
  await new Promise<void>(resolve => hook.listen(0, '127.0.0.1', resolve))
  port = (hook.address() as AddressInfo).port
  server = await startServer({ serviceResolver: { 'hook.default': `127.0.0.1:${port}` } })
  client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  const now = new Date()
  const pki = await openPki(`${server.directory}/hook`, { now, tokenAlgorithm: 'ES256' })
  const serving = await openServingCertificate(pki, { names: ['hook.default.svc'], now })
  hook.setSecureContext({ key: serving.key, cert: serving.certificate })
  caBundle = Buffer.from(pki.authority.certificate).toString('base64')
})
after(async () => {
  client.close()
  hook.closeAllConnections()
  hook.close()
  await server.close()
})
beforeEach(() => {
  asked = []
  respond = () => ({ allowed: true })
})

const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1'
const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps'
const configMap = (name: string, labels: JsonObject = {}): JsonObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels },
})

async function configure(
  kind: 'Mutating' | 'Validating',
  more: JsonObject = {},
): Promise<() => Promise<void>> {
  const path = `${CONFIGURATIONS}/${kind.toLowerCase()}webhookconfigurations`
  const webhook = {
    name: 'hook.example.com',
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    clientConfig: {
      service: { namespace: 'default', name: 'hook', path: '/review', port: 443 },
      caBundle,
    },
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['*'], resources: ['configmaps'] }],
    objectSelector: { matchLabels: { hook: 'yes' } },
    ...more,
  }
  const body = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: `${kind}WebhookConfiguration`,
    metadata: { name: 'test' },
    webhooks: [webhook],
  }
  const made = await client.send({ method: 'POST', path, body })
  assert.equal(made.status, 201, made.bytes.toString())
  return async () => void (await client.send({ method: 'DELETE', path: `${path}/test` }))
}

const post = (name: string, query = '') =>
  client.send({
    method: 'POST',
    path: `${CONFIG_MAPS}${query}`,
    body: configMap(name, { hook: 'yes' }),
  })

test("a denial carries the webhook's words, code and reason, on dry runs too", async () => {
  const remove = await configure('Validating')
  respond = () => ({
    allowed: false,
    status: { message: 'not today', code: 418, reason: 'Teapot' },
  })
  for (const query of ['', '?dryRun=All']) {
    const answer = await post('denied', query)
    assert.equal(answer.status, 418)
    assert.equal(
      answer.json().message,
      'admission webhook "hook.example.com" denied the request: not today',
    )
    assert.equal(answer.json().reason, 'Teapot')
  }
  assert.deepEqual(
    asked.map(({ dryRun }) => dryRun),
    [false, true],
  )
  await remove()
})

test('a webhook sees who asks, what for and the options', async () => {
  const remove = await configure('Validating')
  await post('seen')
  const [request] = asked
  assert.ok(request)
  assert.equal(request.operation, 'CREATE')
  assert.deepEqual(request.resource, { group: '', version: 'v1', resource: 'configmaps' })
  assert.equal((request.userInfo as JsonObject).username, 'kubernetes-admin')
  assert.equal((request.options as JsonObject).kind, 'CreateOptions')
  asked = []
  await client.send({ method: 'DELETE', path: `${CONFIG_MAPS}/seen` })
  assert.equal(asked[0]?.operation, 'DELETE')
  assert.equal(asked[0]?.object, null)
  assert.notEqual(asked[0]?.oldObject, null)
  await remove()
})

test('a patch changes what is stored', async () => {
  const remove = await configure('Mutating')
  const patch = Buffer.from(
    JSON.stringify([{ op: 'add', path: '/data', value: { added: 'yes' } }]),
  ).toString('base64')
  respond = () => ({ allowed: true, patchType: 'JSONPatch', patch })
  const answer = await post('patched')
  assert.deepEqual(answer.json().data, { added: 'yes' })
  await remove()
})

test('objects that the selector leaves out are not shown', async () => {
  const remove = await configure('Validating')
  respond = () => ({ allowed: false })
  const answer = await client.send({ method: 'POST', path: CONFIG_MAPS, body: configMap('unseen') })
  assert.equal(answer.status, 201)
  assert.equal(asked.length, 0)
  await remove()
})

test('a match condition may ask what the user is allowed to do', async () => {
  respond = () => ({ allowed: false })
  const ask = (verb: string) => `!authorizer.requestResource.check("${verb}").allowed()`
  const matchConditions = [{ name: 'may-not', expression: ask('create') }]
  const remove = await configure('Validating', { matchConditions })
  const answer = await client.send({
    method: 'POST',
    path: CONFIG_MAPS,
    body: configMap('allowed-to'),
  })
  await remove()
  assert.equal(answer.status, 201)
  assert.deepEqual(asked, [])
})

test('failurePolicy decides what an unreachable webhook means', async () => {
  const clientConfig = { url: 'https://127.0.0.1:1/review' }
  const fail = await configure('Validating', { clientConfig, failurePolicy: 'Fail' })
  const refused = await post('refused')
  assert.equal(refused.status, 500)
  assert.match(
    String(refused.json().message),
    /failed calling webhook "hook\.example\.com": failed to call webhook: Post "https:\/\/127\.0\.0\.1/,
  )
  await fail()
  const ignore = await configure('Validating', { clientConfig, failurePolicy: 'Ignore' })
  assert.equal((await post('ignored')).status, 201)
  await ignore()
})

test('a Service without an address here is refused with the way out', async () => {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'nowhere' },
    spec: { ports: [{ port: 443 }] },
  }
  await client.send({ method: 'POST', path: '/api/v1/namespaces/default/services', body: service })
  const remove = await configure('Validating', {
    clientConfig: { service: { namespace: 'default', name: 'nowhere' }, caBundle },
    failurePolicy: 'Fail',
  })
  const answer = await post('unresolved')
  assert.match(
    String(answer.json().message),
    /add an EndpointSlice, make it an ExternalName, or start the server with --service-resolver nowhere\.default=HOST:PORT/,
  )
  await remove()
})
