import assert from 'node:assert/strict'
import { createPublicKey, X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { openPki, openServingCertificate } from './ca.ts'
import { PkiError } from './pki-file.ts'

const NOW = new Date('2026-03-01T12:00:00Z')
const LATER = new Date('2027-02-20T12:00:00Z')

describe('openPki()', () => {
  let directory = ''
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'podless-pki-'))
  })
  afterEach(() => rm(directory, { recursive: true }))
  const file = (name: string) => join(directory, 'pki', name)

  it('makes an authority for ten years and keeps it private', async () => {
    const { authority } = await openPki(directory, { now: NOW })
    const certificate = new X509Certificate(authority.certificate)
    assert.ok(certificate.ca)
    assert.ok(certificate.verify(certificate.publicKey))
    assert.ok(certificate.checkPrivateKey(authority.key))
    assert.equal(new Date(certificate.validTo).getUTCFullYear(), 2036)
    assert.equal((await stat(join(directory, 'pki'))).mode & 0o777, 0o700)
    const names = (await readdir(join(directory, 'pki'))).sort()
    assert.deepEqual(names, ['ca.crt', 'ca.key', 'sa.key', 'sa.pub'])
    for (const name of names) assert.equal((await stat(file(name))).mode & 0o777, 0o600, name)
  })

  it('loads what is there and writes nothing', async () => {
    const first = await openPki(directory, { now: NOW })
    const before = await stat(file('ca.crt'))
    const second = await openPki(directory, { now: LATER })
    assert.equal(second.authority.certificate, first.authority.certificate)
    assert.ok(second.tokenKey.equals(first.tokenKey))
    assert.equal((await stat(file('ca.crt'))).mtimeMs, before.mtimeMs)
  })

  it('writes sa.pub as the public half of sa.key', async () => {
    const { tokenKey } = await openPki(directory, { now: NOW })
    const written = createPublicKey(await readFile(file('sa.pub'), 'utf8'))
    assert.ok(written.equals(createPublicKey(tokenKey)))
  })

  it('makes the kind of token key it is asked for, and keeps the one there is', async () => {
    const first = await openPki(directory, { now: NOW, tokenAlgorithm: 'ES256' })
    assert.equal(first.tokenKey.asymmetricKeyType, 'ec')
    const second = await openPki(directory, { now: NOW, tokenAlgorithm: 'RS256' })
    assert.ok(second.tokenKey.equals(first.tokenKey))
  })

  it('certifies the key again when a crash left it without a certificate', async () => {
    const first = await openPki(directory, { now: NOW })
    await rm(file('ca.crt'))
    const second = await openPki(directory, { now: NOW })
    assert.ok(second.authority.key.equals(first.authority.key))
    assert.ok(
      new X509Certificate(second.authority.certificate).checkPrivateKey(first.authority.key),
    )
  })

  it('refuses to replace an authority whose key is lost', async () => {
    await openPki(directory, { now: NOW })
    await rm(file('ca.key'))
    await assert.rejects(openPki(directory, { now: NOW }), PkiError)
  })

  for (const name of ['ca.key', 'ca.crt', 'sa.key']) {
    it(`refuses a ${name} that is garbage`, async () => {
      await openPki(directory, { now: NOW })
      await writeFile(file(name), 'not PEM\0at all')
      await assert.rejects(openPki(directory, { now: NOW }), PkiError)
    })
  }

  it('refuses a certificate of another key', async () => {
    await openPki(directory, { now: NOW })
    const other = await mkdtemp(join(tmpdir(), 'podless-pki-'))
    const { authority } = await openPki(other, { now: NOW })
    await writeFile(file('ca.crt'), authority.certificate)
    await rm(other, { recursive: true })
    await assert.rejects(openPki(directory, { now: NOW }), PkiError)
  })

  describe('openServingCertificate()', () => {
    it('keeps the certificate while it covers the names', async () => {
      const pki = await openPki(directory, { now: NOW })
      const first = await openServingCertificate(pki, { names: ['api.example'], now: NOW })
      const again = await openServingCertificate(pki, { names: ['api.example'], now: NOW })
      assert.deepEqual(again, first)
    })

    it('makes a new one for a new name, near the end, and under a new authority', async () => {
      const pki = await openPki(directory, { now: NOW })
      const first = await openServingCertificate(pki, { names: [], now: NOW })
      const named = await openServingCertificate(pki, { names: ['192.0.2.7'], now: NOW })
      assert.notEqual(named.certificate, first.certificate)
      const renewed = await openServingCertificate(pki, { names: ['192.0.2.7'], now: LATER })
      assert.notEqual(renewed.certificate, named.certificate)
      await rm(file('ca.crt'))
      await rm(file('ca.key'))
      const replaced = await openPki(directory, { now: LATER })
      const trusted = await openServingCertificate(replaced, { names: [], now: LATER })
      const authority = new X509Certificate(replaced.authority.certificate)
      assert.ok(new X509Certificate(trusted.certificate).verify(authority.publicKey))
    })
  })
})
