// Certificate requests: what is read from a good one, and that no bytes get past or break the reader.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseCertificateRequest } from './certificate-request.ts'

/** O=ops, CN=eve, DNS:eve.example, on P-256. */
const REQUEST = `-----BEGIN CERTIFICATE REQUEST-----
MIIBADCBpwIBADAcMQwwCgYDVQQKDANvcHMxDDAKBgNVBAMMA2V2ZTBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABCzzggV85jAuqIQ10zINBYZPU24US5q4ZkPSk1b7
3GIXBTi5xEvSGwjTDC1y9dyVnD2MZoGCNXMETgysRj/0ZfugKTAnBgkqhkiG9w0B
CQ4xGjAYMBYGA1UdEQQPMA2CC2V2ZS5leGFtcGxlMAoGCCqGSM49BAMCA0gAMEUC
IHoQttzNbP/I9Q1JzseZhRP1TKv6+iFA7pDEAmj0KmMZAiEAknFNqgR9Ag8e415e
j5X6IaS/kKOxNmv73HnQnLwH0FA=
-----END CERTIFICATE REQUEST-----
`

const DER = Buffer.from(REQUEST.replaceAll(/-----[^-]+-----/g, ''), 'base64')

const pem = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE REQUEST-----`

test('a request is read whole', () => {
  const read = parseCertificateRequest(REQUEST)
  assert.ok(!('error' in read))
  assert.deepEqual([read.commonName, read.organizations], ['eve', ['ops']])
  assert.equal(read.publicKey.asymmetricKeyType, 'ec')
  assert.ok(read.subjectAltName?.includes('eve.example'))
})

test('no changed byte gets past the signature, and nothing throws', () => {
  const place = fc.integer({ min: 0, max: DER.length - 1 })
  fc.assert(
    fc.property(place, fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = Buffer.from(DER)
      changed[at] = (changed[at] ?? 0) ^ flip
      const read = parseCertificateRequest(pem(changed))
      // An ECDSA signature of another spelling is still one; what it signs must be the same.
      if (!('error' in read)) assert.deepEqual(read.organizations, ['ops'])
    }),
    { numRuns: 2000 },
  )
})

test('texts and bytes that are no request are refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      assert.ok('error' in parseCertificateRequest(pem(bytes)))
    }),
  )
  for (const length of [0, 1, 10, 60, DER.length - 1])
    assert.ok('error' in parseCertificateRequest(pem(DER.subarray(0, length))))
  assert.ok('error' in parseCertificateRequest(''))
})
