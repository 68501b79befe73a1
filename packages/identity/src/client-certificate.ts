// Who a client certificate says its holder is, and who signed it. Called by api/src/auth/authenticate.ts, api-server.ts
// and certificate.ts.
// Ref: apiserver/pkg/authentication/request/x509/x509.go

import { createHash, X509Certificate } from 'node:crypto'
import { pemBlocks } from './pem.ts'

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const ANY_USAGE = '2.5.29.37.0'
/** Kubernetes' own attribute of a subject: the user's uid. */
export const USER_UID = '1.3.6.1.4.1.57683.2'

/** Who a client certificate says its holder is. */
export interface ClientIdentity {
  readonly user: string
  readonly groups: readonly string[]
  readonly uid?: string
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string
  /** Upper-case hex without leading zeros. */
  readonly serial: string
}

/** Reads PEM or DER. Undefined when it is not a certificate; never throws. */
export function parseCertificate(pemOrDer: string | Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(pemOrDer)
  } catch (error) {
    if (error instanceof Error) return undefined
    throw error
  }
}

/**
 * The identity in a client certificate that TLS has verified. Undefined when the bytes are no certificate or
 * name no user. It checks no signature: use verifyClientCertificate where TLS has not done so.
 */
export function readClientCertificate(pemOrDer: string | Uint8Array): ClientIdentity | undefined {
  const certificate = parseCertificate(pemOrDer)
  return certificate === undefined ? undefined : identityOf(certificate)
}

/** Signature, validity and usage of a client certificate, then its identity. Never throws. */
export function verifyClientCertificate(
  pemOrDer: string | Uint8Array,
  authority: string,
  now: Date,
): ClientIdentity | { readonly error: string } {
  const certificate = parseCertificate(pemOrDer)
  const issuer = parseCertificate(authority)
  if (certificate === undefined || issuer === undefined) return { error: 'not a certificate' }
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) {
    return { error: 'certificate signed by unknown authority' }
  }
  if (now.getTime() < Date.parse(certificate.validFrom)) return { error: 'not yet valid' }
  if (now.getTime() > Date.parse(certificate.validTo)) return { error: 'expired' }
  if (!allowsClientAuth(certificate)) return { error: 'incompatible key usage' }
  return identityOf(certificate) ?? { error: 'no common name' }
}

/**
 * Tells of certificates whether one of `bundle` (PEM) signed them; the bundle is read once. False where an intermediate
 * certificate stands between the two.
 */
export function issuedByOneOf(bundle: string): (certificate: X509Certificate) => boolean {
  const authorities = pemBlocks(bundle).map(({ pem }) => new X509Certificate(pem))
  return certificate =>
    authorities.some(
      authority => certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
    )
}

function allowsClientAuth(certificate: X509Certificate): boolean {
  const usages: readonly string[] | undefined = certificate.keyUsage
  if (usages === undefined) return true
  return usages.includes(CLIENT_AUTH) || usages.includes(ANY_USAGE)
}

/** The decoded object form is used, as the printed form escapes and joins attributes. */
function identityOf(certificate: X509Certificate): ClientIdentity | undefined {
  const subject: Readonly<Record<string, unknown>> = { ...certificate.toLegacyObject().subject }
  const user = strings(subject.CN).at(-1)
  if (user === undefined || user === '') return undefined
  const uids = strings(subject[USER_UID])
  // Ref: x509.go parseUIDFromCert, which believes no certificate with two
  if (uids.length > 1 || uids[0] === '') return undefined
  const [uid] = uids
  return {
    user,
    groups: strings(subject.O),
    ...(uid === undefined ? {} : { uid }),
    fingerprint: createHash('sha256').update(certificate.raw).digest('hex'),
    serial: serialOf(certificate),
  }
}

/** A certificate's serial number, upper-case hex without leading zeros. */
export function serialOf({ serialNumber }: Pick<X509Certificate, 'serialNumber'>): string {
  return serialNumber.toUpperCase().replace(/^0+(?=.)/, '')
}

/** An attribute of a subject, which may be there once, many times, or not at all. */
export function strings(value: unknown): string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  return list.filter(item => typeof item === 'string')
}
