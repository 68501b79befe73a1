import 'reflect-metadata'
import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { describe, it } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import fc from 'fast-check'
import {
  createAuthorityCertificate,
  createClientCertificate,
  createServingCertificate,
  type Issuer,
  SERVING_NAMES,
  servingCertificateFits,
} from './certificate.ts'
import {
  parseCertificate,
  readClientCertificate,
  verifyClientCertificate,
} from './client-certificate.ts'

const NOW = new Date('2026-03-01T12:00:00Z')
const seconds = (n: number) => new Date(NOW.getTime() + n * 1000)

function authority(commonName = 'test-ca', now = NOW): Issuer {
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ttlSeconds = 3650 * 86_400
  return {
    key,
    certificate: createAuthorityCertificate({ commonName, key, publicKey, now, ttlSeconds }),
  }
}
const CA = authority()
const client = (user: string, groups: readonly string[] = [], issuer = CA) =>
  createClientCertificate(issuer, { user, groups, now: NOW, ttlSeconds: 3600 })

describe('createClientCertificate()', () => {
  it('writes an elliptic key as SEC 1, which every client library reads', () => {
    assert.match(client('jane').key, /^-----BEGIN EC PRIVATE KEY-----\n/)
  })

  it('gives a user one uid in all certificates, and no two users the same', () => {
    const uidOf = (user: string) => readClientCertificate(client(user).certificate)?.uid
    assert.match(uidOf('jane') ?? '', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    assert.equal(uidOf('jane'), uidOf('jane'))
    assert.notEqual(uidOf('jane'), uidOf('joan'))
  })
})

describe('createServingCertificate()', () => {
  it('covers loopback, the cluster names, the service address and what it is told', () => {
    const names = ['api.example', '192.0.2.7', '2001:db8::1', '::ffff:192.0.2.9', 'fe80::1%eth0']
    const made = createServingCertificate(CA, { names, now: NOW, ttlSeconds: 86_400 })
    const certificate = new X509Certificate(made.certificate)
    for (const name of ['localhost', 'kubernetes.default.svc.cluster.local', 'api.example']) {
      assert.equal(certificate.checkHost(name), name)
    }
    for (const ip of ['127.0.0.1', '::1', '10.96.0.1', '192.0.2.7', '2001:db8::1', 'fe80::1']) {
      assert.ok(certificate.checkIP(ip) !== undefined, ip)
    }
    assert.equal(certificate.checkHost('evil.example'), undefined)
    assert.ok(certificate.verify(createPublicKey(CA.key)))
    assert.equal(certificate.ca, false)
  })

  it('is read by another implementation as it was meant', async () => {
    const x509 = await import('@peculiar/x509')
    const made = createServingCertificate(CA, { names: ['a.example'], now: NOW, ttlSeconds: 60 })
    const certificate = new x509.X509Certificate(made.certificate)
    const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? []
    const values = names.map(name => name.value).sort()
    assert.ok(SERVING_NAMES.filter(name => name !== '::1').every(name => values.includes(name)))
    assert.ok(values.includes('a.example'))
    const issuer = new x509.X509Certificate(CA.certificate)
    assert.ok(await certificate.verify({ publicKey: issuer, date: NOW }))
    assert.ok(await issuer.isSelfSigned())
    assert.equal(certificate.issuer, issuer.subject)
  })

  it('never outlives its authority', () => {
    const made = createServingCertificate(CA, { names: [], now: NOW, ttlSeconds: 9e9 })
    const end = new X509Certificate(CA.certificate).validTo
    assert.equal(new X509Certificate(made.certificate).validTo, end)
  })

  it('can end after 2049, where the date format changes', () => {
    const late = authority('late', new Date('2045-01-01T00:00:00Z'))
    assert.match(new X509Certificate(late.certificate).validTo, /2054|2055/)
  })
})

describe('servingCertificateFits()', () => {
  it('turns false for a missing name, the last days, another authority and garbage', () => {
    const made = createServingCertificate(CA, { names: ['a.example'], now: NOW, ttlSeconds: 1000 })
    const fits = (options: { names?: string[]; now?: Date; issuer?: Issuer; text?: string }) =>
      servingCertificateFits(options.text ?? made.certificate, options.issuer ?? CA, {
        names: options.names ?? ['a.example'],
        now: options.now ?? NOW,
        marginSeconds: 100,
      })
    assert.equal(fits({}), true)
    assert.equal(fits({ names: ['b.example'] }), false)
    assert.equal(fits({ names: ['192.0.2.1'] }), false)
    assert.equal(fits({ now: seconds(950) }), false)
    assert.equal(fits({ now: seconds(-3600) }), false)
    assert.equal(fits({ issuer: authority() }), false)
    assert.equal(fits({ text: 'garbage' }), false)
  })
})

describe('client certificates', () => {
  it('carry the user and the groups in order', () => {
    const { certificate } = client('ann', ['system:masters', 'dev'])
    const identity = verifyClientCertificate(certificate, CA.certificate, NOW)
    assert.ok('user' in identity)
    assert.equal(identity.user, 'ann')
    assert.deepEqual(identity.groups, ['system:masters', 'dev'])
    assert.match(identity.fingerprint, /^[0-9a-f]{64}$/)
  })

  it('keep any name whole: no separator or escape can smuggle in a group', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, unit: 'grapheme' }),
        fc.string({ minLength: 1 }),
        (user, group) => {
          const identity = readClientCertificate(client(user, [group]).certificate)
          assert.equal(identity?.user, user)
          assert.deepEqual(identity?.groups, [group])
        },
      ),
      { numRuns: 40 },
    )
    const tricky = readClientCertificate(client('x\nO=system:masters', []).certificate)
    assert.deepEqual(tricky?.groups, [])
    const nul = readClientCertificate(client('ann\0bob', ['a\0system:masters']).certificate)
    assert.notEqual(nul?.user, 'ann')
    assert.notDeepEqual(nul?.groups, ['system:masters'])
  })

  it('are refused when foreign, early, expired, for servers, or nameless', () => {
    const error = (pem: string, now = NOW, ca = CA.certificate) => {
      const result = verifyClientCertificate(pem, ca, now)
      return 'error' in result ? result.error : 'accepted'
    }
    const { certificate } = client('ann')
    const unknown = 'certificate signed by unknown authority'
    assert.equal(error(client('ann', [], authority('test-ca')).certificate), unknown)
    assert.equal(error(client('ann', [], authority('other')).certificate), unknown)
    assert.equal(error(certificate, seconds(-3600)), 'not yet valid')
    assert.equal(error(certificate, seconds(7200)), 'expired')
    const serving = createServingCertificate(CA, { names: [], now: NOW, ttlSeconds: 60 })
    assert.equal(error(serving.certificate), 'incompatible key usage')
    assert.equal(error(client('').certificate), 'no common name')
    assert.equal(error(certificate, NOW, 'garbage'), 'not a certificate')
  })

  it('never throw, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), bytes => {
        assert.equal(readClientCertificate(bytes), undefined)
      }),
    )
    const der = Buffer.from(new X509Certificate(client('ann').certificate).raw)
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.nat(255), (index, value) => {
        const broken = Buffer.from(der)
        broken[index] = value
        const result = verifyClientCertificate(broken, CA.certificate, NOW)
        assert.ok('error' in result || result.user === 'ann')
        if (broken.equals(der)) assert.ok('user' in result)
      }),
    )
    assert.equal(parseCertificate(''), undefined)
  })

  it('work over TLS', async () => {
    const now = new Date()
    const live = authority('live', now)
    const serving = createServingCertificate(live, { names: [], now, ttlSeconds: 3600 })
    const user = createClientCertificate(live, {
      user: 'ann',
      groups: ['g'],
      now,
      ttlSeconds: 3600,
    })
    const server = createServer({
      cert: serving.certificate,
      key: serving.key,
      ca: live.certificate,
      requestCert: true,
      rejectUnauthorized: false,
    })
    const seen = new Promise<TLSSocket>(resolve => server.once('secureConnection', resolve))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const options = { port: address.port, host: '127.0.0.1', ca: live.certificate }
    const socket = connect({ ...options, cert: user.certificate, key: user.key })
    const accepted = await seen
    assert.ok(accepted.authorized)
    const peer = accepted.getPeerX509Certificate()
    assert.ok(peer !== undefined)
    assert.equal(readClientCertificate(peer.raw)?.user, 'ann')
    socket.destroy()
    accepted.destroy()
    server.close()
  })
})
