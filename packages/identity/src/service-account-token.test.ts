import assert from 'node:assert/strict'
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createLocalJWKSet, jwtVerify } from 'jose'
import {
  DEFAULT_ISSUER,
  INVALID_TOKEN,
  LEGACY_ISSUER,
  matchAudiences,
  ServiceAccountTokens,
  type VerifiedToken,
} from './service-account-token.ts'

const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const EC = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const START = new Date('2026-03-01T12:00:00Z')
const SUBJECT = {
  namespace: 'default',
  serviceAccount: { name: 'vm', uid: 'sa-uid' },
  audiences: [DEFAULT_ISSUER],
  expirationSeconds: 3600,
}

function clock(start = START) {
  let now = start
  return {
    now: () => now,
    advance: (seconds: number) => {
      now = new Date(now.getTime() + seconds * 1000)
    },
  }
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const parts = (token: string) => token.split('.').map(p => Buffer.from(p, 'base64url').toString())
const claimsOf = (token: string) => JSON.parse(parts(token)[1] ?? '')

/** Signs whatever it is given with the right key: what an attacker cannot do, and a bug might. */
function forge(key: KeyObject, header: unknown, claims: unknown): string {
  const input = `${part(header)}.${part(claims)}`
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`
}

function errorOf(tokens: ServiceAccountTokens, token: string): string {
  const result = tokens.verify(token)
  return 'error' in result ? result.error : 'accepted'
}

for (const [name, key] of [
  ['RS256', RSA],
  ['ES256', EC],
] as const) {
  describe(`ServiceAccountTokens with ${name}`, () => {
    const time = clock()
    const tokens = new ServiceAccountTokens({ key, now: time.now })

    it('signs the claims kube-apiserver signs', () => {
      const { token, expires, id } = tokens.sign({
        ...SUBJECT,
        pod: { name: 'p', uid: 'pod-uid' },
        node: { name: 'n' },
        warnAfterSeconds: 60,
      })
      const iat = START.getTime() / 1000
      assert.deepEqual(claimsOf(token), {
        aud: [DEFAULT_ISSUER],
        exp: iat + 3600,
        iat,
        iss: DEFAULT_ISSUER,
        jti: id,
        'kubernetes.io': {
          namespace: 'default',
          node: { name: 'n' },
          pod: { name: 'p', uid: 'pod-uid' },
          serviceaccount: { name: 'vm', uid: 'sa-uid' },
          warnafter: iat + 60,
        },
        nbf: iat,
        sub: 'system:serviceaccount:default:vm',
      })
      assert.deepEqual(JSON.parse(parts(token)[0] ?? ''), { alg: name, kid: tokens.keyId })
      assert.equal(expires.getTime(), START.getTime() + 3_600_000)
    })

    it('verifies what it signed, at first and from memory', () => {
      const { token, id } = tokens.sign({ ...SUBJECT, secret: { name: 's', uid: 'u' } })
      const expected: VerifiedToken = {
        namespace: 'default',
        serviceAccount: { name: 'vm', uid: 'sa-uid' },
        audiences: [DEFAULT_ISSUER],
        secret: { name: 's', uid: 'u' },
        id,
        expires: START.getTime() / 1000 + 3600,
        notBefore: START.getTime() / 1000,
      }
      assert.deepEqual(tokens.verify(token), { token: expected })
      assert.deepEqual(tokens.verify(token), { token: expected })
    })

    it('publishes keys another implementation verifies with', async () => {
      const { token } = tokens.sign(SUBJECT)
      const keys = createLocalJWKSet(JSON.parse(JSON.stringify(tokens.jwks())))
      const options = { issuer: DEFAULT_ISSUER, audience: DEFAULT_ISSUER, currentDate: START }
      const { payload } = await jwtVerify(token, keys, options)
      assert.equal(payload.sub, 'system:serviceaccount:default:vm')
      assert.deepEqual(tokens.openidConfiguration('https://h/openid/v1/jwks'), {
        issuer: DEFAULT_ISSUER,
        jwks_uri: 'https://h/openid/v1/jwks',
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: [name],
      })
      assert.deepEqual(Object.keys(tokens.jwks().keys[0] ?? {}).includes('d'), false)
    })
  })
}

describe('ServiceAccountTokens.verify()', () => {
  const time = clock()
  const tokens = new ServiceAccountTokens({ key: RSA, now: time.now })
  const header = { alg: 'RS256', kid: tokens.keyId }
  const good = () => claimsOf(tokens.sign(SUBJECT).token)

  it('accepts a forged token only when nothing is wrong with it', () => {
    assert.equal(errorOf(tokens, forge(RSA, header, good())), 'accepted')
    assert.equal(errorOf(tokens, forge(RSA, { alg: 'RS256' }, good())), 'accepted')
  })

  it('refuses alg none, with and without a signature', () => {
    const claims = part(good())
    for (const alg of ['none', 'None', 'NONE', '', null, undefined, 0]) {
      assert.equal(errorOf(tokens, `${part({ alg })}.${claims}.`), INVALID_TOKEN)
      assert.equal(errorOf(tokens, `${part({ alg })}.${claims}.AA`), INVALID_TOKEN)
    }
  })

  it('refuses HS256 keyed with the public key', () => {
    const pem = createPublicKey(RSA).export({ type: 'spki', format: 'pem' })
    for (const alg of ['HS256', 'RS256']) {
      const input = `${part({ alg, kid: tokens.keyId })}.${part(good())}`
      const mac = createHmac('sha256', pem).update(input).digest('base64url')
      assert.equal(errorOf(tokens, `${input}.${mac}`), INVALID_TOKEN)
    }
  })

  it('refuses other algorithms and keys, whatever the header says', () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const jwk = createPublicKey(other).export({ format: 'jwk' })
    assert.equal(errorOf(tokens, forge(other, header, good())), INVALID_TOKEN)
    assert.equal(errorOf(tokens, forge(other, { ...header, jwk }, good())), INVALID_TOKEN)
    assert.equal(errorOf(tokens, forge(RSA, { ...header, alg: 'PS256' }, good())), INVALID_TOKEN)
    assert.equal(errorOf(tokens, forge(EC, { ...header, alg: 'ES256' }, good())), INVALID_TOKEN)
    const crit = { ...header, crit: ['b64'], b64: false }
    assert.equal(errorOf(tokens, forge(RSA, crit, good())), INVALID_TOKEN)
  })

  it('refuses key ids that are not ours', () => {
    for (const kid of ['../../etc/passwd', "' OR 1=1", '', 'x'.repeat(5000), 7, null, [], {}]) {
      const error = errorOf(tokens, forge(RSA, { alg: 'RS256', kid }, good()))
      assert.equal(error, 'invalid signature, no keys found')
    }
  })

  it('refuses a token outside its time, with a minute of grace, remembered or not', () => {
    const own = clock()
    const mine = new ServiceAccountTokens({ key: RSA, now: own.now })
    const { token } = mine.sign(SUBJECT)
    own.advance(-59)
    assert.equal(errorOf(mine, token), 'accepted')
    own.advance(-2)
    assert.equal(errorOf(mine, token), 'service account token is not valid yet')
    own.advance(61 + 3659)
    assert.equal(errorOf(mine, token), 'accepted')
    own.advance(2)
    assert.equal(errorOf(mine, token), 'service account token has expired')
    const fresh = new ServiceAccountTokens({ key: RSA, now: own.now })
    assert.equal(errorOf(fresh, token), 'service account token has expired')
  })

  it('refuses another issuer', () => {
    for (const iss of [
      'https://evil',
      `${DEFAULT_ISSUER}/`,
      '',
      null,
      [DEFAULT_ISSUER],
      undefined,
    ]) {
      assert.equal(errorOf(tokens, forge(RSA, header, { ...good(), iss })), INVALID_TOKEN)
    }
  })

  it('refuses claims that are missing, contradictory or of the wrong type', () => {
    const bad = 'service account token claims could not be validated'
    const kubernetes = good()['kubernetes.io']
    const wrong: Record<string, unknown>[] = [
      { exp: undefined },
      { exp: '9999999999' },
      { nbf: 'never' },
      { aud: [1] },
      { aud: {} },
      { sub: 'system:serviceaccount:default:other' },
      { sub: undefined },
      { 'kubernetes.io': undefined },
      { 'kubernetes.io': [] },
      { 'kubernetes.io': { ...kubernetes, namespace: '' } },
      { 'kubernetes.io': { ...kubernetes, serviceaccount: { name: 'vm' } } },
      { 'kubernetes.io': { ...kubernetes, pod: 'p' } },
      { 'kubernetes.io': { ...kubernetes, pod: { name: 'p' } } },
      { 'kubernetes.io': { ...kubernetes, secret: null } },
      { 'kubernetes.io': { ...kubernetes, node: { uid: 'u' } } },
    ]
    for (const claims of wrong) {
      assert.equal(errorOf(tokens, forge(RSA, header, { ...good(), ...claims })), bad)
    }
  })

  it('refuses texts that are no tokens: NUL bytes, blanks, other alphabets, sizes', () => {
    const { token } = tokens.sign(SUBJECT)
    const [h = '', c = '', s = ''] = token.split('.')
    const texts = [
      '',
      '.',
      '..',
      'a.b',
      'a.b.c',
      `${token}.x`,
      `${token}\0`,
      `\0${token}`,
      ` ${token}`,
    ]
    texts.push(`${token}\n`, `${h}.${c}`, `${h}.${c}.`, `${h}..${s}`, `.${c}.${s}`, `${token}=`)
    texts.push(`${h}.${c}.${s.replace(/^./, '+')}`, token.toUpperCase(), JSON.stringify({ token }))
    texts.push(`${h}.${Buffer.from('{"iss":').toString('base64url')}.${s}`, `${part([])}.${c}.${s}`)
    texts.push(`${h}.${c}.${s}${'A'.repeat(20_000)}`, 'é'.repeat(100), '\ud800.\udfff.x')
    for (const text of texts) assert.equal(errorOf(tokens, text), INVALID_TOKEN, text.slice(0, 40))
  })

  it('never throws and never accepts a changed token', () => {
    const { token } = tokens.sign(SUBJECT)
    fc.assert(fc.property(fc.string({ unit: 'binary' }), text => 'error' in tokens.verify(text)))
    fc.assert(
      fc.property(fc.json(), fc.json(), fc.base64String(), (a, b, s) => {
        const text = [a, b].map(p => Buffer.from(p).toString('base64url')).join('.')
        return 'error' in tokens.verify(`${text}.${s.replaceAll('=', '')}`)
      }),
    )
    // The last character carries unused bits, so it is left alone.
    fc.assert(
      fc.property(fc.nat(token.length - 2), fc.constantFrom('A', 'z', '0', '_', '.'), (i, char) => {
        const changed = `${token.slice(0, i)}${char}${token.slice(i + 1)}`
        return changed === token || 'error' in tokens.verify(changed)
      }),
    )
  })

  it('remembers a bounded number of tokens and none that failed', () => {
    const own = new ServiceAccountTokens({ key: EC, now: time.now })
    const first = own.sign(SUBJECT).token
    for (let i = 0; i < 5000; i += 1) assert.ok('error' in own.verify(`${first}${i}`))
    assert.equal(errorOf(own, first), 'accepted')
  })

  it('reads tokens of Secrets, which never expire', () => {
    const serviceAccount = SUBJECT.serviceAccount
    const secretName = 'vm-token'
    const token = tokens.signForSecret({ namespace: 'default', serviceAccount, secretName })
    assert.equal(claimsOf(token).iss, LEGACY_ISSUER)
    const expected = {
      namespace: 'default',
      serviceAccount,
      audiences: [],
      legacySecret: secretName,
    }
    assert.deepEqual(tokens.verify(token), { token: expected })
    const bound = { ...good(), iss: LEGACY_ISSUER }
    assert.notEqual(errorOf(tokens, forge(RSA, header, bound)), 'accepted')
    const posing = { ...claimsOf(token), iss: DEFAULT_ISSUER }
    assert.notEqual(errorOf(tokens, forge(RSA, header, posing)), 'accepted')
  })
})

describe('matchAudiences()', () => {
  const token = (audiences: readonly string[]): VerifiedToken => ({ ...SUBJECT, audiences })
  const own = [DEFAULT_ISSUER]

  it('intersects what is offered with what is wanted, own audiences by default', () => {
    const match = (offered: string[], wanted: string[]) =>
      matchAudiences(token(offered), { wanted, own })
    assert.deepEqual(match(own, []), { audiences: own })
    assert.deepEqual(match([], []), { audiences: own })
    assert.deepEqual(match(['a', 'b', 'c'], ['c', 'a']), { audiences: ['a', 'c'] })
    assert.deepEqual(match(['istio-ca'], []), {
      error: `token audiences ["istio-ca"] is invalid for the target audiences ["${DEFAULT_ISSUER}"]`,
    })
    assert.deepEqual(match([], ['vault']), {
      error: `token audiences ["${DEFAULT_ISSUER}"] is invalid for the target audiences ["vault"]`,
    })
  })
})

describe('new ServiceAccountTokens()', () => {
  it('refuses keys that are too weak or of another kind', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
    const curve = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
    const edwards = generateKeyPairSync('ed25519').privateKey
    for (const key of [weak, curve, edwards]) {
      assert.throws(() => new ServiceAccountTokens({ key, now: () => START }), TypeError)
    }
  })
})
