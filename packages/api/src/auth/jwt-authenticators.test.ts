// Issuers of tokens besides the server: real tokens of a real provider, shown to a real server.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { formatFieldError, type JsonObject } from '@podless/apimachinery'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { startServer } from '../../../../test/harness/server.ts'
import { startTokenIssuer } from '../../../../test/harness/token-issuer.ts'
import { createLog } from '../log.ts'
import type { AuthenticationConfiguration, JwtAuthenticator } from './authentication-config.ts'
import { JwtAuthenticators } from './jwt-authenticators.ts'

const now = (): Date => new Date()
const lines: string[] = []
const log = createLog({ write: line => lines.push(line), level: 'debug', now })
const issuer = await startTokenIssuer()
const DEFAULT_ISSUER = 'https://kubernetes.default.svc'
const issuers = new JwtAuthenticators({ disallowedIssuers: [DEFAULT_ISSUER], log, now })
const server = await startServer({ issuers, log: line => lines.push(line) })
const nobody = new ApiClient({ url: server.url, ca: server.ca, certificate: '', key: '' })
const admin = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
after(async () => {
  for (const client of [nobody, admin]) client.close()
  await server.close()
  await issuer.close()
})

const ISSUER = { url: issuer.url, certificateAuthority: issuer.ca, audiences: ['podless'] }
const jwt = (more: Partial<JwtAuthenticator>): JwtAuthenticator => ({
  issuer: ISSUER,
  claimMappings: { username: { claim: 'sub', prefix: 'oidc:' } },
  ...more,
})

function configure(config: AuthenticationConfiguration): void {
  assert.deepEqual(issuers.replace(config), [])
}

const REVIEWS = '/apis/authentication.k8s.io/v1'

/** The user of a token as the server sees it, or the status of its refusal. */
async function who(token: string): Promise<JsonObject | number> {
  const answer = await nobody.send({
    method: 'POST',
    path: `${REVIEWS}/selfsubjectreviews`,
    headers: { authorization: `Bearer ${token}` },
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
  })
  if (answer.status !== 201) return answer.status
  return (answer.json().status as { userInfo: JsonObject }).userInfo
}

async function review(token: string, audiences: string[] = []): Promise<JsonObject> {
  const spec = { token, audiences }
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec }
  const answer = await admin.send({ method: 'POST', path: `${REVIEWS}/tokenreviews`, body })
  return answer.json().status as JsonObject
}

test('claims name the user, its groups, its uid and more', async () => {
  configure({
    jwt: [
      jwt({
        claimMappings: {
          username: { claim: 'sub', prefix: 'oidc:' },
          groups: { claim: 'roles', prefix: 'oidc:' },
          uid: { claim: 'oid' },
        },
      }),
    ],
  })
  const user = await who(issuer.token({ sub: 'ann', roles: ['dev', 'ops'], oid: '7', jti: 'j1' }))
  assert.deepEqual(user, {
    username: 'oidc:ann',
    uid: '7',
    groups: ['oidc:dev', 'oidc:ops', 'system:authenticated'],
    extra: { 'authentication.kubernetes.io/credential-id': ['JTI=j1'] },
  })
  const one = await who(issuer.token({ sub: 'ann', roles: 'dev', oid: '7' }))
  assert.deepEqual((one as JsonObject).groups, ['oidc:dev', 'system:authenticated'])
  for (const claims of [{ oid: '7' }, { sub: 'ann' }, { sub: 7, oid: '7' }, { sub: 'a', oid: 7 }])
    assert.equal(await who(issuer.token(claims)), 401)
  assert.equal(await who(issuer.token({ sub: 'a', oid: '7', roles: [7] })), 401)
})

test('expressions name the user, and rules refuse claims and users', async () => {
  configure({
    jwt: [
      jwt({
        claimValidationRules: [
          { claim: 'tenant', requiredValue: 'blue' },
          { expression: 'claims.exp - claims.iat <= 7200', message: 'two hours at most' },
        ],
        claimMappings: {
          username: { expression: 'claims.name + "@" + claims.tenant' },
          groups: { expression: 'claims.roles.filter(r, r.startsWith("k8s-"))' },
          uid: { expression: 'string(claims.id)' },
          extra: [
            { key: 'example.org/office', valueExpression: 'claims.?office.orValue("")' },
            { key: 'example.org/roles', valueExpression: 'claims.roles' },
          ],
        },
        userValidationRules: [
          { expression: '!user.username.startsWith("system:")', message: 'reserved' },
          { expression: 'user.groups.all(g, !g.startsWith("system:"))' },
        ],
      }),
    ],
  })
  const claims = { name: 'ann', tenant: 'blue', roles: ['k8s-dev', 'x', ''], id: 7 }
  assert.deepEqual(await who(issuer.token(claims)), {
    username: 'ann@blue',
    uid: '7',
    groups: ['k8s-dev', 'system:authenticated'],
    extra: { 'example.org/roles': ['k8s-dev', 'x'] },
  })
  const office = (await who(issuer.token({ ...claims, office: 'A1' }))) as { extra: JsonObject }
  assert.deepEqual(office.extra['example.org/office'], ['A1'])
  const refused: readonly (readonly [JsonObject, RegExp])[] = [
    [{ tenant: 'red' }, /required claim tenant value does not match/],
    [{ iat: 0 }, /'claims.exp - claims.iat <= 7200' failed: two hours at most/],
    [{ name: 'system:admin' }, /failed: reserved/],
    [{ roles: [1] }, /error evaluating group claim expression/],
    [{ roles: undefined as unknown as null }, /no such key: roles/],
  ]
  for (const [change, reason] of refused) {
    const token = issuer.token({ ...claims, ...change })
    assert.equal(await who(token), 401)
    assert.match(String((await review(token)).error), reason)
  }
})

test('an address names somebody only if the provider has verified it', async () => {
  const username = { claim: 'email', prefix: '' }
  configure({ jwt: [jwt({ claimMappings: { username } })] })
  const email = 'ann@example.org'
  assert.equal(((await who(issuer.token({ email }))) as JsonObject).username, email)
  assert.equal(await who(issuer.token({ email, email_verified: false })), 401)
  assert.equal(await who(issuer.token({ email, email_verified: 'true' })), 401)
  const user = (await who(issuer.token({ email, email_verified: true }))) as JsonObject
  assert.equal(user.username, email)
})

test('TokenReview knows those tokens too, for the audiences of the server', async () => {
  configure({ jwt: [jwt({})] })
  const token = issuer.token({ sub: 'ann' })
  const status = await review(token)
  assert.deepEqual(
    [status.authenticated, (status.user as JsonObject).username, status.audiences],
    [true, 'oidc:ann', [DEFAULT_ISSUER]],
  )
  assert.deepEqual(await review(token, ['istio-ca']), { user: {}, error: 'invalid bearer token' })
  const expired = await review(issuer.token({ sub: 'ann', exp: 1 }))
  const error = '[invalid bearer token, oidc: verify token: oidc: token is expired]'
  assert.deepEqual(expired, { user: {}, error })
})

test('tokens of an issuer that is believed no more, or never was, are refused', async () => {
  configure({ jwt: [jwt({})] })
  const token = issuer.token({ sub: 'ann' })
  assert.notEqual(await who(token), 401)
  const before = issuer.requests.length
  configure({ jwt: [jwt({ claimMappings: { username: { claim: 'sub', prefix: 'two:' } } })] })
  assert.equal(((await who(token)) as JsonObject).username, 'two:ann')
  assert.equal(issuer.requests.length, before, 'the keys of the same issuer are kept')
  configure({ jwt: [] })
  assert.equal(await who(token), 401)
  const log = lines.join('')
  assert.ok(log.includes('authentication failed'))
  assert.ok(!log.includes(token))
})

test('a configuration with something wrong changes nothing', async () => {
  configure({ jwt: [jwt({})] })
  const errors = issuers.replace({ jwt: [jwt({ issuer: { ...ISSUER, url: 'http://x' } })] })
  assert.deepEqual(errors.map(formatFieldError), [
    'jwt[0].issuer.url: Invalid value: "http://x": URL scheme must be https',
  ])
  assert.notEqual(await who(issuer.token({ sub: 'ann' })), 401)
})

test('a provider that is down refuses its own users only', async () => {
  const gone = await startTokenIssuer()
  await gone.close()
  const audiences = ['podless']
  const away = { url: gone.url, certificateAuthority: gone.ca, audiences }
  configure({ jwt: [jwt({ issuer: away }), jwt({})] })
  assert.equal(await who(gone.token({ sub: 'ann' })), 401)
  assert.notEqual(await who(issuer.token({ sub: 'ann' })), 401)
  assert.match(lines.join(''), /the keys of a token issuer cannot be fetched/)
})

test('nobody may ask, or for some paths only', async () => {
  const asks = async (path: string): Promise<number> => (await nobody.send({ path })).status
  configure({ anonymous: { enabled: false } })
  assert.deepEqual([await asks('/livez'), await asks('/api')], [401, 401])
  const conditions = [{ path: '/livez' }]
  configure({ anonymous: { enabled: true, conditions } })
  assert.deepEqual([await asks('/livez?verbose'), await asks('/readyz')], [200, 401])
  configure({ anonymous: { enabled: true } })
  assert.deepEqual([await asks('/livez'), await asks('/api')], [200, 403])
  configure({})
  assert.deepEqual([await asks('/livez'), await asks('/api')], [200, 403])
})
