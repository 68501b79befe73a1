import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { after, describe, it } from 'node:test'
import { exportJWK, SignJWT } from 'jose'
import {
  issuerKey,
  startTokenIssuer,
  type TokenIssuer,
} from '../../../test/harness/token-issuer.ts'
import { OidcProvider, type OidcProviderOptions } from './oidc-provider.ts'

const issuer = await startTokenIssuer('/realms/one')
after(() => issuer.close())
const DISCOVERY = '/realms/one/.well-known/openid-configuration'

/** Its clock moves only by advance(): the provider asks once in ten seconds, however long a test is held up. */
function world(options: Partial<OidcProviderOptions> = {}) {
  let nowMs = Date.now()
  const problems: string[] = []
  const provider = new OidcProvider({
    issuer: issuer.url,
    ca: issuer.ca,
    audiences: ['podless', 'other'],
    onFetchError: error => problems.push(String(error)),
    now: () => new Date(nowMs),
    ...options,
  })
  issuer.requests.length = 0
  const errorOf = async (token: string): Promise<string> => {
    const result = await provider.verify(token)
    return 'error' in result ? result.error : 'accepted'
  }
  const advance = (seconds: number): void => {
    nowMs += seconds * 1000
  }
  return { provider, problems, errorOf, advance }
}

const seconds = (): number => Math.floor(Date.now() / 1000)

async function within(answers: TokenIssuer['answers'], run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } finally {
    answers.clear()
  }
}

describe('OidcProvider.verify()', () => {
  it('answers the claims, and fetches keys once for many tokens', async () => {
    const { provider } = world()
    const token = issuer.token({ sub: 'ann', groups: ['a'] })
    const answers = await Promise.all([1, 2, 3].map(() => provider.verify(token)))
    for (const answer of answers) {
      assert.ok('claims' in answer)
      assert.equal(answer.claims.sub, 'ann')
      assert.deepEqual(answer.claims.groups, ['a'])
    }
    assert.deepEqual(issuer.requests, [DISCOVERY, '/realms/one/keys'])
  })

  for (const alg of [
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
  ]) {
    it(`takes ${alg} as another library signs it, and no other algorithm for that key`, async () => {
      const curve = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[alg]
      const { privateKey, publicKey } =
        curve === undefined
          ? generateKeyPairSync('rsa', { modulusLength: 2048 })
          : generateKeyPairSync('ec', { namedCurve: curve })
      const { errorOf } = world()
      const sign = (header: string, key: KeyObject): Promise<string> =>
        new SignJWT({ aud: 'podless' })
          .setProtectedHeader({ alg: header })
          .setIssuer(issuer.url)
          .setExpirationTime('1h')
          .sign(key)
      await within(issuer.answers, async () => {
        const keys = [{ ...(await exportJWK(publicKey)), alg }]
        issuer.answers.set('/realms/one/keys', JSON.stringify({ keys }))
        const token = await sign(alg, privateKey)
        assert.equal(await errorOf(token), 'accepted')
        const [, body, signature] = token.split('.')
        for (const other of ['none', 'HS256', 'RS256', 'PS256', 'ES256'].filter(o => o !== alg)) {
          const header = Buffer.from(JSON.stringify({ alg: other })).toString('base64url')
          assert.notEqual(await errorOf(`${header}.${body}.${signature}`), 'accepted', other)
        }
      })
    })
  }

  it('refuses tokens of others, for others, too old, too new, unsigned or odd', async () => {
    const { errorOf } = world()
    const [key] = issuer.keys
    assert.ok(key)
    const pem = key.publicKey.export({ type: 'spki', format: 'pem' })
    const [, body = ''] = issuer.token({}).split('.')
    const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid: key.id })).toString('base64url')
    const mac = createHmac('sha256', pem).update(`${header}.${body}`).digest('base64url')
    const refused: readonly (readonly [string, RegExp])[] = [
      [issuer.token({ iss: `${issuer.url}/` }), /issued by a different provider/],
      [
        issuer.token({ aud: 'istio-ca' }),
        /expected audience in \["podless" "other"\] got \["istio-ca"\]/,
      ],
      [issuer.token({ aud: [] }), /expected audience/],
      [issuer.token({ aud: undefined }), /expected audience/],
      [issuer.token({ exp: seconds() - 3600 }), /token is expired/],
      [issuer.token({ exp: undefined }), /token is expired/],
      [issuer.token({ exp: '9999999999' }), /token is expired/],
      [issuer.token({ nbf: seconds() + 3600 }), /not before/],
      [issuer.token({ nbf: '0' }), /not before/],
      [issuer.token({}, { alg: 'none' }), /unsupported signing algorithm/],
      [issuer.token({}, { crit: ['exp'] }), /crit/],
      [`${header}.${body}.${mac}`, /unsupported signing algorithm/],
      [issuer.token({}, { kid: 'other' }), /failed to verify signature/],
      [issuer.token({}, { kid: 7 }), /failed to verify signature/],
      [`${issuer.token({}).slice(0, -4)}AAAA`, /failed to verify signature/],
      ['x.y.z', /malformed jwt/],
    ]
    for (const [token, reason] of refused) assert.match(await errorOf(token), reason)
    assert.equal(await errorOf(issuer.token({ aud: ['x', 'other'] })), 'accepted')
    assert.equal(await errorOf(issuer.token({ nbf: seconds() + 200 })), 'accepted')
  })

  it('takes up new keys, asks for an unknown one only now and then, and forgets old ones', async () => {
    const { errorOf, advance } = world()
    const old = issuer.token({})
    assert.equal(await errorOf(old), 'accepted')
    const before = issuer.keys
    issuer.keys = [issuerKey()]
    const fresh = issuer.token({})
    assert.match(await errorOf(fresh), /failed to verify signature/)
    assert.equal(issuer.requests.length, 2)
    advance(11)
    assert.equal(await errorOf(fresh), 'accepted')
    assert.equal(issuer.requests.length, 4)
    assert.match(await errorOf(old), /failed to verify signature/)
    issuer.keys = before
    advance(601)
    assert.equal(await errorOf(old), 'accepted')
  })

  it('goes on with the keys it has when the provider fails, and starts without one', async () => {
    const { errorOf, advance, problems } = world()
    const token = issuer.token({})
    await within(issuer.answers, async () => {
      issuer.answers.set(DISCOVERY, 503)
      assert.equal(await errorOf(token), 'oidc: authenticator not initialized')
      assert.equal(await errorOf(token), 'oidc: authenticator not initialized')
      assert.deepEqual(issuer.requests, [DISCOVERY])
    })
    assert.match(problems.join(), /openid-configuration": the answer is 503/)
    advance(11)
    assert.equal(await errorOf(token), 'accepted')
    await within(issuer.answers, async () => {
      issuer.answers.set('/realms/one/keys', 'no JSON')
      advance(601)
      assert.equal(await errorOf(token), 'accepted')
    })
  })

  it('waits no more for a provider that has failed and then hangs, while it has keys', async () => {
    const hanging = await startTokenIssuer()
    const { errorOf, advance } = world({ issuer: hanging.url, ca: hanging.ca })
    const token = hanging.token({})
    assert.equal(await errorOf(token), 'accepted')
    hanging.answers.set('/.well-known/openid-configuration', 503)
    advance(601)
    assert.equal(await errorOf(token), 'accepted')
    hanging.answers.set('/.well-known/openid-configuration', 0)
    const before = hanging.requests.length
    advance(11)
    assert.equal(await Promise.race([errorOf(token), asked(hanging, before + 1)]), 'accepted')
    await asked(hanging, before + 1)
    await hanging.close()
  })

  it('believes no document that is of another issuer, moved, too large, or over plain HTTP', async () => {
    const token = issuer.token({})
    const documents: readonly (readonly [string | number, RegExp])[] = [
      [
        JSON.stringify({ issuer: 'https://evil.example', jwks_uri: `${issuer.url}/keys` }),
        /did not match/,
      ],
      [JSON.stringify({ issuer: issuer.url }), /names no jwks_uri/],
      [JSON.stringify({ issuer: issuer.url, jwks_uri: 'http://127.0.0.1/keys' }), /must be https/],
      [302, /the answer is 302/],
      [' '.repeat(1024 * 1024 + 1), /too large/],
      ['[]', /did not match/],
    ]
    for (const [answer, problem] of documents) {
      const { errorOf, problems } = world()
      await within(issuer.answers, async () => {
        issuer.answers.set(DISCOVERY, answer)
        assert.equal(await errorOf(token), 'oidc: authenticator not initialized')
      })
      assert.match(problems.join(), problem)
    }
    const { errorOf, problems } = world({ ca: (await startedOnce()).ca })
    assert.equal(await errorOf(token), 'oidc: authenticator not initialized')
    assert.match(problems.join(), /certificate/)
  })

  it('finds keys by another address when the discovery document is elsewhere', async () => {
    await within(issuer.answers, async () => {
      const document = JSON.stringify({ issuer: issuer.url, jwks_uri: `${issuer.url}/keys` })
      issuer.answers.set('/elsewhere', document)
      const { errorOf } = world({ discoveryUrl: new URL('/elsewhere', issuer.url).href })
      assert.equal(await errorOf(issuer.token({})), 'accepted')
      assert.deepEqual(issuer.requests, ['/elsewhere', '/realms/one/keys'])
    })
  })
})

/** Resolves once the provider has had so many requests. */
async function asked({ requests }: TokenIssuer, count: number): Promise<string> {
  while (requests.length < count) await new Promise(resolve => setTimeout(resolve, 5))
  return 'asked'
}

/** Another provider, for its authority only. */
async function startedOnce(): Promise<TokenIssuer> {
  const other = await startTokenIssuer()
  await other.close()
  return other
}
