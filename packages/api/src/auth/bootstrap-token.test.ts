// Bootstrap tokens, shown to a real server: who they stand for, what makes them worthless, and that one use is one use.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import type { Backend } from '@podless/storage'
import { openMemory } from '@podless/storage/testing'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'

const SECRETS = '/api/v1/namespaces/kube-system/secrets'
const SECRET = 'secret0123456789'
const WHO = '/apis/authentication.k8s.io/v1/selfsubjectreviews'

let server: TestServer
let admin: ApiClient
let nobody: ApiClient
let count = 0

/** While set, changes of bootstrap tokens wait until so many are under way: each has then read the token as unused. */
let gate: { waiting: number; readonly open: PromiseWithResolvers<void> } | undefined
const TOGETHER = 5

function gated(): Backend {
  const backend = openMemory()
  const put = backend.put.bind(backend)
  backend.put = async (key, ...rest) => {
    if (gate !== undefined && key.includes('/bootstrap-token-')) {
      gate.waiting += 1
      if (gate.waiting === TOGETHER) gate.open.resolve()
      await gate.open.promise
    }
    return await put(key, ...rest)
  }
  return backend
}

before(async () => {
  server = await startServer({ backend: gated() })
  admin = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  nobody = new ApiClient({ url: server.url, ca: server.ca, certificate: '', key: '' })
})
after(async () => {
  for (const client of [admin, nobody]) client.close()
  await server.close()
})

interface Wish {
  readonly data?: Record<string, string | undefined>
  readonly type?: string
  readonly annotations?: JsonObject
  readonly finalizers?: string[]
}

/** Makes the Secret of a new token; the id is the answer. */
async function make({ data, type, annotations = {}, finalizers = [] }: Wish = {}): Promise<string> {
  count += 1
  const id = `token${count.toString(36)}`.slice(-6).padStart(6, '0')
  const stringData = {
    'token-id': id,
    'token-secret': SECRET,
    'usage-bootstrap-authentication': 'true',
    ...data,
  }
  const body = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `bootstrap-token-${id}`, annotations, finalizers },
    type: type ?? 'bootstrap.kubernetes.io/token',
    stringData: Object.fromEntries(
      Object.entries(stringData).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    ),
  }
  const answer = await admin.send({ method: 'POST', path: SECRETS, body })
  assert.equal(answer.status, 201, answer.bytes.toString())
  return id
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

async function ask(token: string): Promise<{ status: number; user: JsonObject }> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
  const answer = await nobody.send({ method: 'POST', path: WHO, headers: bearer(token), body })
  const { status = {} } = answer.json() as { status?: JsonObject | string }
  const user = typeof status === 'string' ? {} : (status.userInfo as JsonObject)
  return { status: answer.status, user }
}

const tokenOf = (id: string): string => `${id}.${SECRET}`
const inAnHour = (): string => new Date(Date.now() + 3_600_000).toISOString()

test('a bootstrap token stands for a user of its own, in groups below system:bootstrappers', async () => {
  const groups = 'system:bootstrappers:vms,system:bootstrappers:shop:blue'
  const id = await make({ data: { 'auth-extra-groups': groups, expiration: inAnHour() } })
  assert.deepEqual((await ask(tokenOf(id))).user, {
    username: `system:bootstrap:${id}`,
    groups: ['system:bootstrappers', ...groups.split(','), 'system:authenticated'],
  })
})

const worthless: readonly (readonly [string, Wish])[] = [
  ['another secret', { data: { 'token-secret': 'secret0123456780' } }],
  ['a longer secret', { data: { 'token-secret': `${SECRET}0` } }],
  ['no secret', { data: { 'token-secret': undefined } }],
  ['another id', { data: { 'token-id': 'zzzzzz' } }],
  ['no leave to authenticate', { data: { 'usage-bootstrap-authentication': undefined } }],
  ['leave in other letters', { data: { 'usage-bootstrap-authentication': 'True' } }],
  ['a group that is somebody else', { data: { 'auth-extra-groups': 'system:masters' } }],
  ['a group that ends in a colon', { data: { 'auth-extra-groups': 'system:bootstrappers:x:' } }],
  ['another type', { type: 'Opaque' }],
]
for (const [name, wish] of worthless) {
  test(`a Secret with ${name} lets nobody in`, async () => {
    assert.equal((await ask(tokenOf(await make(wish)))).status, 401)
  })
}

test('tokens of no form, no Secret or another namespace let nobody in', async () => {
  const id = await make()
  for (const token of [`${id}.short`, `${id}.${SECRET.toUpperCase()}`, `zzzzzz.${SECRET}`, id])
    assert.equal((await ask(token)).status, 401)
  assert.equal((await ask(tokenOf(id))).status, 201)
})

test('a Secret that waits for a finalizer lets nobody in', async () => {
  const id = await make({ finalizers: ['example.org/wait'] })
  assert.equal((await ask(tokenOf(id))).status, 201)
  await admin.send({ method: 'DELETE', path: `${SECRETS}/bootstrap-token-${id}` })
  assert.equal((await ask(tokenOf(id))).status, 401)
})

test('an expired token lets nobody in, and its Secret goes', async () => {
  for (const expiration of ['2020-01-01T00:00:00Z', '2099-01-01T00:00:00', 'tomorrow']) {
    const id = await make({ data: { expiration } })
    assert.equal((await ask(tokenOf(id))).status, 401)
    const path = `${SECRETS}/bootstrap-token-${id}`
    while ((await admin.send({ path })).status !== 404) await new Promise(r => setTimeout(r, 5))
  }
})

test('a token for one use makes one change, however many come at once, and then reads for a while', async () => {
  const id = await make({ annotations: { 'podless.dev/single-use': 'true' } })
  const read = async (): Promise<number> =>
    (await nobody.send({ path: '/apis', headers: bearer(tokenOf(id)) })).status
  assert.equal(await read(), 200)
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview' }
  const path = '/apis/authentication.k8s.io/v1/tokenreviews'
  const reviewing = { method: 'POST', path, body: { ...review, spec: { token: tokenOf(id) } } }
  const { authenticated } = (await admin.send(reviewing)).json().status as JsonObject
  assert.equal(authenticated, true, 'to ask about a token is not to use it')
  gate = { waiting: 0, open: Promise.withResolvers<void>() }
  const answers = await Promise.all(Array.from({ length: TOGETHER }, () => ask(tokenOf(id))))
  gate = undefined
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 401, 401, 401, 401])
  assert.equal((await ask(tokenOf(id))).status, 401)
  assert.equal(await read(), 200)
  const stored = (await admin.send({ path: `${SECRETS}/bootstrap-token-${id}` })).json()
  const { expiration = '' } = stored.data as Record<string, string>
  const end = Date.parse(Buffer.from(expiration, 'base64').toString())
  assert.ok(end <= Date.now() + 600_000 && end > Date.now())
})
