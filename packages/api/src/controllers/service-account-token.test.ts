// Token Secrets, seen through the API: filled, usable as a credential, and revoked with what they stand on.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'

const { server, admin: client } = await serverForFile()

const core = (resource: string, name = ''): string =>
  `/api/v1/namespaces/default/${resource}${name === '' ? '' : `/${name}`}`

async function create(resource: string, body: JsonObject): Promise<JsonObject> {
  const answer = await client.send({ method: 'POST', path: core(resource), body })
  assert.equal(answer.status, 201, answer.bytes.toString())
  return answer.json()
}

const account = (name: string, more: JsonObject = {}): Promise<JsonObject> =>
  create('serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name },
    ...more,
  })

const tokenSecret = (
  name: string,
  accountName: string,
  annotations: JsonObject = {},
): Promise<JsonObject> =>
  create('secrets', {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      annotations: { 'kubernetes.io/service-account.name': accountName, ...annotations },
    },
    type: 'kubernetes.io/service-account-token',
  })

async function until(
  path: string,
  fits: (status: number, body: JsonObject) => boolean,
): Promise<JsonObject> {
  for (;;) {
    const answer = await client.send({ path })
    if (fits(answer.status, answer.json())) return answer.json()
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

interface Filled {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> }
  readonly data: { readonly token: string; readonly 'ca.crt': string; readonly namespace: string }
}

const isFilled = (_status: number, body: JsonObject): boolean =>
  typeof (body.data as JsonObject | undefined)?.token === 'string'
const filled = async (name: string): Promise<Filled> =>
  (await until(core('secrets', name), isFilled)) as unknown as Filled
const decode = (text: string): string => Buffer.from(text, 'base64').toString()

async function whoIs(token: string): Promise<number> {
  const anonymous = new ApiClient({ url: server.url, ca: server.ca, certificate: '', key: '' })
  const { status } = await anonymous.send({
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    headers: { authorization: `Bearer ${token}` },
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
  })
  anonymous.close()
  return status
}

test('a token Secret is filled and its token is a credential until the Secret is deleted', async () => {
  const { metadata } = await account('robot')
  await tokenSecret('robot-token', 'robot')
  const secret = await filled('robot-token')
  assert.equal(decode(secret.data['ca.crt']), server.ca)
  assert.equal(decode(secret.data.namespace), 'default')
  const { uid } = metadata as { uid: string }
  assert.equal(secret.metadata.annotations['kubernetes.io/service-account.uid'], uid)
  const token = decode(secret.data.token)
  assert.equal(await whoIs(token), 201)
  await client.send({ method: 'DELETE', path: core('secrets', 'robot-token') })
  assert.equal(await whoIs(token), 401)
})

test('a token Secret goes with its ServiceAccount, and other Secrets stay', async () => {
  await account('leaving')
  await tokenSecret('leaving-token', 'leaving')
  const token = decode((await filled('leaving-token')).data.token)
  await create('secrets', { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'plain' } })
  await client.send({ method: 'DELETE', path: core('serviceaccounts', 'leaving') })
  assert.equal(await whoIs(token), 401)
  await until(core('secrets', 'leaving-token'), status => status === 404)
  assert.equal((await client.send({ path: core('secrets', 'plain') })).status, 200)
})

test('a token Secret for nobody, or for an account of another uid, is deleted', async () => {
  await account('other')
  await tokenSecret('nobody-token', 'nobody')
  await tokenSecret('other-token', 'other', { 'kubernetes.io/service-account.uid': 'someone' })
  for (const name of ['nobody-token', 'other-token'])
    await until(core('secrets', name), status => status === 404)
})

test('what is removed from a token Secret comes back, and what is there stays', async () => {
  await account('keeper')
  await tokenSecret('keeper-token', 'keeper')
  const { data } = await filled('keeper-token')
  await client.send({
    method: 'PATCH',
    path: core('secrets', 'keeper-token'),
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { data: { 'ca.crt': 'eA==', namespace: null } },
  })
  const mended = await until(core('secrets', 'keeper-token'), (_status, body) => {
    const now = body.data as JsonObject
    return now['ca.crt'] === data['ca.crt'] && now.namespace === data.namespace
  })
  assert.equal((mended.data as JsonObject).token, data.token)
})

test('an account no longer lists a token Secret that was deleted', async () => {
  await account('lister', { secrets: [{ name: 'lister-token' }, { name: 'kept' }] })
  await tokenSecret('lister-token', 'lister')
  await filled('lister-token')
  await client.send({ method: 'DELETE', path: core('secrets', 'lister-token') })
  const left = await until(
    core('serviceaccounts', 'lister'),
    (_status, body) => (body.secrets as unknown[]).length === 1,
  )
  assert.deepEqual(left.secrets, [{ name: 'kept' }])
})
