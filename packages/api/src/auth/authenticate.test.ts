import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { describe, it } from 'node:test'
import { type KubeObject, StatusError } from '@podless/apimachinery'
import {
  createAuthorityCertificate,
  createClientCertificate,
  DEFAULT_ISSUER,
  ServiceAccountTokens,
} from '@podless/identity'
import fc from 'fast-check'
import type { Services, UserInfo } from '../resource.ts'
import {
  ANONYMOUS,
  type Credentials,
  createAuthenticator,
  createTokenService,
  selectableProtocols,
} from './authenticate.ts'

const START = new Date('2026-03-01T12:00:00Z')
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })

function world() {
  let now = START
  const objects = new Map<string, KubeObject>()
  const put = (
    resource: string,
    namespace: string,
    name: string,
    fields: Partial<KubeObject> & { uid: string },
  ) => {
    const { uid, metadata, ...rest } = fields
    objects.set(`${resource}/${namespace}/${name}`, {
      apiVersion: 'v1',
      kind: resource,
      metadata: { name, namespace, uid, ...metadata },
      ...rest,
    })
  }
  const lookup: Services['lookup'] = (gvr, namespace, name) =>
    objects.get(`${gvr.resource}/${namespace}/${name}`)
  const tokens = new ServiceAccountTokens({ key: pair.privateKey, now: () => now })
  const service = createTokenService({ tokens, lookup, now: () => now })
  const reasons: string[] = []
  const authenticator = createAuthenticator({
    tokens: service,
    onFailure: reason => reasons.push(reason),
    now: () => now,
  })
  put('serviceaccounts', 'default', 'vm', { uid: 'sa-uid' })
  return {
    objects,
    put,
    tokens,
    service,
    reasons,
    advance: (seconds: number) => {
      now = new Date(now.getTime() + seconds * 1000)
    },
    authenticate: (headers: Record<string, string>, peer?: Credentials['peer']) =>
      authenticator.authenticate({ header: name => headers[name], peer }),
  }
}

const REQUEST = {
  namespace: 'default',
  serviceAccount: { name: 'vm', uid: 'sa-uid' },
  audiences: [DEFAULT_ISSUER],
  expirationSeconds: 3600,
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const isUnauthorized = (error: unknown) =>
  error instanceof StatusError && error.code === 401 && error.message === 'Unauthorized'

function clientCertificate(user: string, groups: string[]): Buffer {
  const certificate = createAuthorityCertificate({
    commonName: 'ca',
    key: pair.privateKey,
    publicKey: pair.publicKey,
    now: START,
    ttlSeconds: 1e6,
  })
  const issuer = { certificate, key: pair.privateKey }
  const made = createClientCertificate(issuer, { user, groups, now: START, ttlSeconds: 1e5 })
  return new X509Certificate(made.certificate).raw
}

describe('authenticate()', () => {
  it('is anonymous without credentials, or with a scheme it does not know', async () => {
    const { authenticate } = world()
    assert.deepEqual(await authenticate({}), ANONYMOUS)
    assert.deepEqual(await authenticate({ authorization: 'Basic abc' }), ANONYMOUS)
    assert.deepEqual(await authenticate({ authorization: 'Bearer' }), ANONYMOUS)
    assert.deepEqual(await authenticate({ authorization: 'Bearer  x' }), ANONYMOUS)
  })

  it('refuses anonymous requests when told to', async () => {
    const { service } = world()
    const strict = createAuthenticator({
      tokens: service,
      allowsAnonymous: () => false,
      now: () => START,
    })
    const nobody = { header: () => undefined, peer: undefined }
    await assert.rejects(strict.authenticate(nobody), isUnauthorized)
  })

  it('reads user and groups from a trusted certificate', async () => {
    const { authenticate } = world()
    const der = clientCertificate('ann', ['dev', 'system:masters'])
    const user = await authenticate({}, { der, trusted: true })
    assert.equal(user.name, 'ann')
    assert.deepEqual(user.groups, ['dev', 'system:masters', 'system:authenticated'])
    assert.match(
      user.extra?.['authentication.kubernetes.io/credential-id']?.[0] ?? '',
      /^X509SHA256=/,
    )
    assert.deepEqual(await authenticate({}, { der, trusted: true }), user)
  })

  it('refuses a certificate that expires while its connection goes on', async () => {
    const { advance, authenticate, reasons } = world()
    const peer = { der: clientCertificate('ann', []), trusted: true }
    assert.equal((await authenticate({}, peer)).name, 'ann')
    advance(1e5 + 1)
    await assert.rejects(authenticate({}, peer), isUnauthorized)
    assert.deepEqual(reasons, ['x509: certificate has expired or is not yet valid'])
  })

  it('refuses a certificate that is not trusted, unless a token holds', async () => {
    const { authenticate, reasons, service } = world()
    const peer = { der: clientCertificate('ann', []), trusted: false }
    await assert.rejects(authenticate({}, peer), isUnauthorized)
    assert.deepEqual(reasons, ['x509: certificate signed by unknown authority'])
    const { token } = await service.issue(REQUEST)
    assert.equal((await authenticate(bearer(token), peer)).name, 'system:serviceaccount:default:vm')
  })

  it('takes a certificate without a name for none', async () => {
    const { authenticate } = world()
    assert.deepEqual(
      await authenticate({}, { der: clientCertificate('', []), trusted: true }),
      ANONYMOUS,
    )
    assert.deepEqual(await authenticate({}, { der: Buffer.from('junk'), trusted: true }), ANONYMOUS)
  })

  it('prefers the certificate when there is a token too', async () => {
    const { authenticate, service } = world()
    const { token } = await service.issue(REQUEST)
    const peer = { der: clientCertificate('ann', []), trusted: true }
    assert.equal((await authenticate(bearer(token), peer)).name, 'ann')
  })

  it('knows a ServiceAccount by its token', async () => {
    const { authenticate, service, put, tokens } = world()
    put('pods', 'default', 'p', { uid: 'pod-uid' })
    const bound = { kind: 'Pod', apiVersion: 'v1', name: 'p', uid: 'pod-uid' }
    const { token } = await service.issue({ ...REQUEST, bound, node: { name: 'n', uid: 'nu' } })
    const verified = tokens.verify(token)
    assert.ok('token' in verified)
    const expected: UserInfo = {
      name: 'system:serviceaccount:default:vm',
      uid: 'sa-uid',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
      extra: {
        'authentication.kubernetes.io/pod-name': ['p'],
        'authentication.kubernetes.io/pod-uid': ['pod-uid'],
        'authentication.kubernetes.io/credential-id': [`JTI=${verified.token.id}`],
        'authentication.kubernetes.io/node-name': ['n'],
        'authentication.kubernetes.io/node-uid': ['nu'],
      },
    }
    assert.deepEqual(await authenticate(bearer(token)), expected)
    assert.deepEqual(await authenticate({ authorization: ` bEARER ${token} ` }), expected)
  })

  it('refuses tokens that are garbage, expired, for others, or not yet valid', async () => {
    const { authenticate, service, advance } = world()
    const { token } = await service.issue(REQUEST)
    const other = await service.issue({ ...REQUEST, audiences: ['istio-ca'] })
    await assert.rejects(authenticate(bearer('not-a-token')), isUnauthorized)
    await assert.rejects(authenticate(bearer(other.token)), isUnauthorized)
    advance(-120)
    await assert.rejects(authenticate(bearer(token)), isUnauthorized)
    advance(120 + 3600 + 61)
    await assert.rejects(authenticate(bearer(token)), isUnauthorized)
  })

  it('refuses the token of an account that is gone, being deleted, or another one', async () => {
    const { authenticate, service, put, objects, reasons } = world()
    const { token } = await service.issue(REQUEST)
    put('serviceaccounts', 'default', 'vm', {
      uid: 'sa-uid',
      metadata: { deletionTimestamp: '2026-03-01T11:58:59Z' },
    })
    await assert.rejects(authenticate(bearer(token)), isUnauthorized)
    put('serviceaccounts', 'default', 'vm', { uid: 'new-uid' })
    await assert.rejects(authenticate(bearer(token)), isUnauthorized)
    objects.clear()
    await assert.rejects(authenticate(bearer(token)), isUnauthorized)
    assert.deepEqual(reasons, [
      'service account default/vm has been deleted',
      'service account UID (new-uid) does not match claim (sa-uid)',
      'serviceaccounts "vm" not found',
    ])
    put('serviceaccounts', 'default', 'vm', {
      uid: 'sa-uid',
      metadata: { deletionTimestamp: '2026-03-01T11:59:30Z' },
    })
    assert.equal((await authenticate(bearer(token))).uid, 'sa-uid')
  })

  for (const [kind, resource, namespace] of [
    ['Pod', 'pods', 'default'],
    ['Secret', 'secrets', 'default'],
    ['Node', 'nodes', ''],
  ] as const) {
    it(`refuses a token whose ${kind} is gone or another one`, async () => {
      const { authenticate, service, put, objects, reasons } = world()
      const bound = { kind, apiVersion: 'v1', name: 'x', uid: 'old' }
      const { token } = await service.issue({ ...REQUEST, bound })
      await assert.rejects(authenticate(bearer(token)), isUnauthorized)
      put(resource, namespace, 'x', { uid: 'new' })
      await assert.rejects(authenticate(bearer(token)), isUnauthorized)
      const name = kind.toLowerCase()
      assert.deepEqual(reasons, [
        'service account token has been invalidated',
        `${name} UID (new) does not match service account ${name} ref claim (old)`,
      ])
      put(resource, namespace, 'x', { uid: 'old' })
      assert.equal((await authenticate(bearer(token))).uid, 'sa-uid')
      objects.delete(`${resource}/${namespace}/x`)
      await assert.rejects(authenticate(bearer(token)), isUnauthorized)
    })
  }

  it('accepts the token of a Secret only while the Secret holds it', async () => {
    const { authenticate, tokens, put, objects } = world()
    const { namespace, serviceAccount } = REQUEST
    const token = tokens.signForSecret({ namespace, serviceAccount, secretName: 's' })
    const data = { token: Buffer.from(token).toString('base64') }
    await assert.rejects(authenticate(bearer(token)), isUnauthorized)
    put('secrets', 'default', 's', { uid: 'u', data })
    const user = await authenticate(bearer(token))
    assert.equal(user.name, 'system:serviceaccount:default:vm')
    assert.equal(user.extra, undefined)
    for (const wrong of [{}, { token: '' }, { token: `${data.token.slice(0, -8)}AAAAAAA=` }]) {
      put('secrets', 'default', 's', { uid: 'u', data: wrong })
      await assert.rejects(authenticate(bearer(token)), isUnauthorized)
    }
    objects.delete('secrets/default/s')
    await assert.rejects(authenticate(bearer(token)), isUnauthorized)
  })

  it('finds the token among WebSocket subprotocols', async () => {
    const { authenticate, service } = world()
    const { token } = await service.issue(REQUEST)
    const offer = `base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`
    const ask = (protocol: string, upgrade = 'websocket') =>
      authenticate({ upgrade, 'sec-websocket-protocol': protocol })
    assert.equal((await ask(`${offer}, v4.channel.k8s.io`)).uid, 'sa-uid')
    assert.deepEqual(await ask('v4.channel.k8s.io'), ANONYMOUS)
    assert.deepEqual(await ask(`${offer}, v4`, 'h2c'), ANONYMOUS)
    await assert.rejects(ask(offer), isUnauthorized)
    await assert.rejects(ask(`${offer}, ${offer}, v4`), isUnauthorized)
    await assert.rejects(ask('base64url.bearer.authorization.k8s.io.a+b, v4'), isUnauthorized)
    await assert.rejects(ask('base64url.bearer.authorization.k8s.io., v4'), isUnauthorized)
    await assert.rejects(ask('base64url.bearer.authorization.k8s.io.AAAA, v4'), isUnauthorized)
    assert.deepEqual(selectableProtocols(`${offer}, v4 ,,v5`), ['v4', 'v5'])
    assert.deepEqual(selectableProtocols(undefined), [])
  })

  it('answers every header with a user or 401', async () => {
    const { authenticate } = world()
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), fc.boolean(), async (text, webSocket) => {
        const headers: Record<string, string> = webSocket
          ? {
              upgrade: 'websocket',
              'sec-websocket-protocol': `base64url.bearer.authorization.k8s.io.${text},x`,
            }
          : { authorization: `Bearer ${text}` }
        try {
          assert.deepEqual(await authenticate(headers), ANONYMOUS)
        } catch (error) {
          assert.ok(isUnauthorized(error), String(error))
        }
      }),
    )
  })
})

describe('TokenService.review()', () => {
  it('answers user and shared audiences', async () => {
    const { service } = world()
    const { token } = await service.issue({ ...REQUEST, audiences: ['istio-ca', 'vault'] })
    const good = await service.review(token, ['vault', 'x'])
    assert.ok('user' in good)
    assert.deepEqual(good.audiences, ['vault'])
    assert.ok(good.user.groups.includes('system:authenticated'))
  })

  it('says what is wrong in the words of upstream', async () => {
    const { service, objects } = world()
    const { token } = await service.issue({ ...REQUEST, audiences: [] })
    assert.deepEqual(await service.review('garbage', []), { error: 'invalid bearer token' })
    assert.deepEqual(await service.review(token, ['vault']), {
      error: `[invalid bearer token, token audiences ["${DEFAULT_ISSUER}"] is invalid for the target audiences ["vault"]]`,
    })
    objects.clear()
    assert.deepEqual(await service.review(token, []), {
      error: '[invalid bearer token, serviceaccounts "vm" not found]',
    })
  })
})
