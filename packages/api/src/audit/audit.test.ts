// The audit log of a real server: what is recorded at which level, and what never is.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { openMemory } from '@podless/storage/testing'
import { type ApiAnswer, ApiClient, type ApiRequest } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'
import type { AuditPolicy } from './audit-policy.ts'

interface Recorded extends JsonObject {
  readonly level: string
  readonly stage: string
  readonly verb: string
  readonly auditID: string
  readonly requestURI: string
  readonly user: JsonObject
  readonly objectRef: JsonObject
  readonly responseStatus: JsonObject
  readonly annotations: JsonObject
}

interface Audited {
  readonly server: TestServer
  readonly lines: readonly string[]
  /** Without those of the stage RequestReceived, which has tests of its own. */
  readonly events: () => Recorded[]
  send(request: ApiRequest): Promise<ApiAnswer>
}

const recorded = (lines: readonly string[]): Recorded[] =>
  lines.map(line => JSON.parse(line) as Recorded)

async function audited(
  policy: AuditPolicy,
  run: (world: Audited) => Promise<void>,
  more: Parameters<typeof startServer>[0] = {},
): Promise<void> {
  const lines: string[] = []
  const audit = { policy, write: (line: string) => void lines.push(line) }
  const server = await startServer({ audit, ...more })
  const client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  try {
    await run({
      server,
      lines,
      events: () => recorded(lines).filter(({ stage }) => stage !== 'RequestReceived'),
      send: request => client.send(request),
    })
  } finally {
    client.close()
    await server.close()
  }
}

const EVERYTHING: AuditPolicy = { rules: [{ level: 'RequestResponse' }] }
const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps'
const configMap = (name: string): JsonObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { key: 'value' },
})

test('an event says who did what with which answer, by the id that the answer carries', async () => {
  await audited({ rules: [{ level: 'Metadata' }] }, async ({ send, events }) => {
    const answer = await send({
      method: 'POST',
      path: CONFIG_MAPS,
      body: configMap('a'),
      headers: { 'user-agent': 'tester', 'audit-id': 'my-id', 'x-forwarded-for': '10.1.2.3, spam' },
    })
    assert.equal(answer.headers['audit-id'], 'my-id')
    const [event] = events()
    assert.ok(event !== undefined)
    assert.deepEqual(
      { ...event, requestReceivedTimestamp: '', stageTimestamp: '', user: {} },
      {
        kind: 'Event',
        apiVersion: 'audit.k8s.io/v1',
        level: 'Metadata',
        auditID: 'my-id',
        stage: 'ResponseComplete',
        requestURI: CONFIG_MAPS,
        verb: 'create',
        user: {},
        sourceIPs: ['10.1.2.3', '127.0.0.1'],
        userAgent: 'tester',
        objectRef: {
          resource: 'configmaps',
          namespace: 'default',
          name: 'a',
          apiVersion: 'v1',
        },
        responseStatus: { metadata: {}, code: 201 },
        requestReceivedTimestamp: '',
        stageTimestamp: '',
        annotations: {
          'authorization.k8s.io/decision': 'allow',
          'authorization.k8s.io/reason': '',
        },
      },
    )
    assert.equal(event.user.username, 'kubernetes-admin')
    assert.match(String(event.stageTimestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  })
})

test('levels Request and RequestResponse add the bodies, in JSON whatever they were sent as', async () => {
  const policy: AuditPolicy = {
    rules: [
      { level: 'Request', verbs: ['create'] },
      { level: 'RequestResponse', verbs: ['get', 'list'], omitManagedFields: true },
    ],
  }
  await audited(policy, async ({ send, events }) => {
    const headers = { 'content-type': 'application/yaml', accept: 'application/yaml' }
    const body = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  key: value\n'
    await send({ method: 'POST', path: CONFIG_MAPS, body, headers })
    await send({
      path: `${CONFIG_MAPS}/a`,
      headers: { accept: 'application/vnd.kubernetes.protobuf' },
    })
    await send({ path: CONFIG_MAPS })
    await send({ method: 'DELETE', path: `${CONFIG_MAPS}/a` })
    const [created, read, listed, none] = events()
    assert.deepEqual(created?.requestObject, configMap('a'))
    assert.equal(created?.responseObject, undefined)
    const object = (read?.responseObject ?? {}) as JsonObject
    assert.deepEqual(object.data, { key: 'value' })
    assert.ok(!JSON.stringify(object).includes('managedFields'))
    const list = (listed?.responseObject ?? {}) as { items?: unknown[] }
    assert.equal(list.items?.length, 2)
    assert.equal(none, undefined)
  })
})

test('a watch is recorded when it starts and when it ends', async () => {
  await audited({ rules: [{ level: 'Metadata' }] }, async ({ server, events }) => {
    const client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
    const watch = await client.watch({ path: `${CONFIG_MAPS}?watch=1` }, () => undefined)
    assert.deepEqual(
      events().map(({ stage }) => stage),
      ['ResponseStarted'],
    )
    watch.close()
    while (events().length < 2) await new Promise(resolve => setTimeout(resolve, 5))
    const [started, complete] = events()
    assert.equal(complete?.stage, 'ResponseComplete')
    assert.equal(complete?.auditID, started?.auditID)
    client.close()
  })
})

test('a request is recorded when it is received, before anything is decided, unless that is left out', async () => {
  const policy: AuditPolicy = {
    rules: [
      { level: 'Metadata', verbs: ['get'], omitStages: ['RequestReceived'] },
      { level: 'RequestResponse' },
    ],
  }
  await audited(policy, async ({ send, lines, server }) => {
    await send({ method: 'POST', path: CONFIG_MAPS, body: configMap('a') })
    await send({ path: `${CONFIG_MAPS}/a` })
    const nobody = new ApiClient({ url: server.url, ca: server.ca, certificate: '', key: '' })
    await nobody.send({ path: CONFIG_MAPS, headers: { authorization: 'Bearer SESAME' } })
    nobody.close()
    const [received, complete, read, refused] = recorded(lines)
    const stages = recorded(lines).map(({ stage }) => stage)
    const end = 'ResponseComplete'
    assert.deepEqual(stages, ['RequestReceived', end, end, end])
    assert.equal(received?.auditID, complete?.auditID)
    assert.equal(received?.level, 'RequestResponse')
    assert.equal(received?.user.username, 'kubernetes-admin')
    for (const field of ['responseStatus', 'requestObject', 'responseObject', 'annotations'])
      assert.ok(received !== undefined && !(field in received), field)
    assert.equal(received?.requestReceivedTimestamp, complete?.requestReceivedTimestamp)
    assert.deepEqual([read?.verb, refused?.responseStatus.code], ['get', 401])
  })
})

test('a failure of the server itself is the stage Panic, without what failed', async () => {
  const backend = openMemory()
  const put = backend.put.bind(backend)
  backend.put = async (key, ...rest) => {
    if (key.endsWith('/fatal')) throw new Error('SESAME')
    return await put(key, ...rest)
  }
  const run = async ({ send, events, lines }: Audited): Promise<void> => {
    const answer = await send({ method: 'POST', path: CONFIG_MAPS, body: configMap('fatal') })
    assert.equal(answer.status, 500)
    const [event, none] = events()
    assert.equal(event?.stage, 'Panic')
    assert.equal(none, undefined)
    assert.deepEqual(event?.responseStatus, {
      metadata: {},
      status: 'Failure',
      message: "APIServer panic'd",
      reason: 'InternalError',
      code: 500,
    })
    assert.ok(!lines.join('').includes('SESAME'))
  }
  await audited(EVERYTHING, run, { backend, log: () => undefined })
})

test('a refusal says why, and an impersonated user is told beside the real one', async () => {
  await audited({ rules: [{ level: 'Metadata' }] }, async ({ send, events, server }) => {
    await send({ path: CONFIG_MAPS, headers: { 'impersonate-user': 'eve' } })
    const [event] = events()
    assert.equal(event?.user.username, 'kubernetes-admin')
    assert.equal((event?.impersonatedUser as JsonObject | undefined)?.username, 'eve')
    assert.equal(event?.annotations['authorization.k8s.io/decision'], 'forbid')
    assert.equal(event?.responseStatus.reason, 'Forbidden')
    assert.match(String(event?.responseStatus.message), /User "eve" cannot list/)
    const nobody = new ApiClient({ url: server.url, ca: server.ca, certificate: '', key: '' })
    await nobody.send({ path: CONFIG_MAPS, headers: { authorization: 'Bearer SESAME' } })
    nobody.close()
    const [, refused] = events()
    assert.deepEqual([refused?.user, refused?.responseStatus.code], [{}, 401])
  })
})

test('no secret and no token is ever recorded, at any level', async () => {
  await audited(EVERYTHING, async ({ send, lines }) => {
    const marker = 'HUSH0123456789'
    const base64 = Buffer.from(marker).toString('base64')
    const secrets = '/api/v1/namespaces/default/secrets'
    const secret = (name: string): JsonObject => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name },
      data: { key: base64 },
      stringData: { other: marker },
    })
    await send({ method: 'POST', path: secrets, body: secret('s') })
    await send({ method: 'POST', path: secrets, body: `{"kind":"Secret","data":{"k":"${marker}"` })
    await send({
      method: 'POST',
      path: `${secrets}?fieldValidation=Strict`,
      body: { ...secret('t'), [marker]: 1 },
    })
    await send({ method: 'PUT', path: `${secrets}/s`, body: secret('s') })
    const merge = { 'content-type': 'application/merge-patch+json' }
    const patch = { data: { more: base64 } }
    await send({ method: 'PATCH', path: `${secrets}/s`, body: patch, headers: merge })
    await send({ path: `${secrets}/s` })
    await send({ path: secrets })
    await send({ path: '/api/v1/secrets', headers: { accept: 'application/yaml' } })
    await send({ method: 'DELETE', path: secrets })
    const made = await send({
      method: 'POST',
      path: '/api/v1/namespaces/default/serviceaccounts/default/token',
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    })
    const { token } = made.json().status as { token: string }
    assert.match(token, /^eyJ/)
    await send({
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/tokenreviews',
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } },
    })
    const authorization = `Bearer ${token}`
    await send({ path: CONFIG_MAPS, headers: { authorization, 'user-agent': token } })
    await send({ path: `/api/v1/nodes?token=${marker}&x=${token}` })
    const log = lines.join('')
    assert.ok(lines.length >= 13)
    for (const hidden of [marker, base64, token, token.split('.')[2] ?? token])
      assert.ok(!log.includes(hidden), `the audit log holds ${hidden}`)
  })
})

test('the first rule that matches decides, and stages can be left out', async () => {
  const policy: AuditPolicy = {
    omitStages: ['ResponseStarted'],
    rules: [
      { level: 'None', users: ['kubernetes-admin'], nonResourceURLs: ['/version', '/api*'] },
      { level: 'None', resources: [{ resources: ['configmaps'], resourceNames: ['quiet'] }] },
      { level: 'Metadata', resources: [{ group: 'apps' }] },
      { level: 'Request', namespaces: ['default'], userGroups: ['system:masters'] },
    ],
  }
  await audited(policy, async ({ send, events }) => {
    for (const path of [
      '/version',
      '/apis',
      `${CONFIG_MAPS}/quiet`,
      `${CONFIG_MAPS}/loud`,
      '/apis/apps/v1/deployments',
      '/api/v1/nodes',
    ])
      await send({ path })
    assert.deepEqual(
      events().map(({ level, requestURI }) => [level, requestURI]),
      [
        ['Request', `${CONFIG_MAPS}/loud`],
        ['Metadata', '/apis/apps/v1/deployments'],
      ],
    )
  })
})
