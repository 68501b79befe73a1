// X.509 certificates: the serving certificate, client certificates (CN = user, O = groups), and reading what a client shows.
// ca.ts and the CLI write them, api/src/auth/authenticate.ts reads them. Writing goes through der.ts.
// Ref: RFC 5280; apiserver/pkg/authentication/request/x509/x509.go

import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto'
import { isIP } from 'node:net'
import { parseCertificate, strings, USER_UID } from './client-certificate.ts'
import {
  bitString,
  explicit,
  implicit,
  integer,
  octetString,
  oid,
  sequence,
  set,
  TRUE,
  time,
  utf8String,
} from './der.ts'

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

/** Names every API server answers to, whatever it is bound to: loopback, and what in-cluster clients use. */
export const SERVING_NAMES = [
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
  '127.0.0.1',
  '::1',
  '10.96.0.1',
] as const

/** Clocks of client and server may differ by this much without a new certificate being refused. */
const BACKDATE_MS = 5 * 60_000

/** Who signs: its certificate as PEM and its private key (EC P-256). */
export interface Issuer {
  readonly certificate: string
  readonly key: KeyObject
}

/** A certificate and its private key, both PEM. */
export interface KeyedCertificate {
  readonly certificate: string
  readonly key: string
}

interface Subject {
  readonly commonName: string
  readonly organizations?: readonly string[]
  readonly uid?: string
}

interface Template {
  /** A distinguished name, DER. */
  readonly subject: Buffer
  readonly publicKey: KeyObject
  readonly notBefore: Date
  readonly notAfter: Date
  readonly extensions: readonly Buffer[]
}

/** A self-signed authority. `key` signs and is signed. */
export function createAuthorityCertificate(options: {
  readonly commonName: string
  readonly key: KeyObject
  readonly publicKey: KeyObject
  readonly now: Date
  readonly ttlSeconds: number
}): string {
  const subject = distinguishedName({ commonName: options.commonName })
  const { publicKey } = options
  const life = validity(options.now, options.ttlSeconds)
  const template = { subject, publicKey, ...life, extensions: authorityExtensions(publicKey) }
  return signCertificate(template, { name: subject, key: options.key })
}

/**
 * The authority `certificate` (PEM) vouched for by another one: who trusts that one verifies what this one signs. It ends
 * when `issuer` does at the latest.
 */
export function createCrossCertificate(
  issuer: Issuer,
  options: { readonly certificate: string; readonly now: Date; readonly ttlSeconds: number },
): string {
  const [certified, authority] = [options.certificate, issuer.certificate].map(
    text => new X509Certificate(text),
  ) as [X509Certificate, X509Certificate]
  const { publicKey } = certified
  return signCertificate(
    {
      subject: subjectOf(certified),
      publicKey,
      ...validityWithin(authority, options),
      extensions: [...authorityExtensions(publicKey), issuedBy(authority)],
    },
    { name: subjectOf(authority), key: issuer.key },
  )
}

function authorityExtensions(publicKey: KeyObject): Buffer[] {
  return [
    extension(OID.basicConstraints, sequence(TRUE), 'critical'),
    // digitalSignature, keyCertSign, cRLSign: bits 0, 5 and 6.
    extension(OID.keyUsage, bitString(Buffer.from([0b10000110]), 1), 'critical'),
    extension(OID.subjectKeyIdentifier, octetString(keyIdentifier(publicKey))),
  ]
}

function issuedBy(authority: X509Certificate): Buffer {
  const keyId = implicit(0, keyIdentifier(authority.publicKey))
  return extension(OID.authorityKeyIdentifier, sequence(keyId))
}

/** What outlives its authority could not be verified in its last days. */
function validityWithin(
  authority: X509Certificate,
  { now, ttlSeconds }: { readonly now: Date; readonly ttlSeconds: number },
): Pick<Template, 'notBefore' | 'notAfter'> {
  const life = validity(now, ttlSeconds)
  const end = new Date(authority.validTo)
  return life.notAfter < end ? life : { ...life, notAfter: end }
}

/** A serving certificate for SERVING_NAMES and `names` (host names and addresses, mixed). */
export function createServingCertificate(
  issuer: Issuer,
  options: { readonly names: readonly string[]; readonly now: Date; readonly ttlSeconds: number },
): KeyedCertificate {
  const names = servingNames(options.names)
  return createLeaf(issuer, {
    subject: { commonName: 'kube-apiserver' },
    usage: OID.serverAuth,
    now: options.now,
    ttlSeconds: options.ttlSeconds,
    extensions: [extension(OID.subjectAltName, sequence(...names.map(generalName)))],
  })
}

/**
 * A client certificate: the user is the common name, each group an organization. It carries a uid that follows from the
 * name alone, so that what goes by uid (CertificateSigningRequests, audit) sees the same user in each of its certificates.
 */
export function createClientCertificate(
  issuer: Issuer,
  options: {
    readonly user: string
    readonly groups?: readonly string[]
    readonly now: Date
    readonly ttlSeconds: number
  },
): KeyedCertificate {
  return createLeaf(issuer, {
    subject: {
      commonName: options.user,
      organizations: options.groups ?? [],
      uid: uidOfName(options.user),
    },
    usage: OID.clientAuth,
    now: options.now,
    ttlSeconds: options.ttlSeconds,
    extensions: [],
  })
}

/** A UUID made of a name. Ref: RFC 9562, version 8 */
function uidOfName(name: string): string {
  const hex = createHash('sha256').update(`podless user ${name}`).digest('hex')
  const [a, b, c, d, e] = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(13, 16),
    hex.slice(17, 20),
    hex.slice(20, 32),
  ]
  return `${a}-${b}-8${c}-8${d}-${e}`
}

/** All names a serving certificate must cover when `names` are asked for, each once. */
export function servingNames(names: readonly string[]): string[] {
  return [...new Set([...SERVING_NAMES, ...names].filter(name => name !== ''))]
}

/** Whether `certificate` may go on serving `names` at `now`: signed by `issuer`, valid for `marginSeconds` more. */
export function servingCertificateFits(
  certificate: string,
  issuer: Issuer,
  options: {
    readonly names: readonly string[]
    readonly now: Date
    readonly marginSeconds: number
  },
): boolean {
  const read = parseCertificate(certificate)
  const authority = parseCertificate(issuer.certificate)
  if (read === undefined || authority === undefined) return false
  if (!read.checkIssued(authority) || !read.verify(authority.publicKey)) return false
  const until = Date.parse(read.validTo) - options.marginSeconds * 1000
  if (options.now.getTime() < Date.parse(read.validFrom) || options.now.getTime() > until) {
    return false
  }
  return servingNames(options.names).every(name =>
    isIP(name) === 0 ? read.checkHost(name) !== undefined : read.checkIP(name) !== undefined,
  )
}

interface Leaf {
  readonly subject: Subject
  readonly usage: string
  readonly now: Date
  readonly ttlSeconds: number
  readonly extensions: readonly Buffer[]
}

function createLeaf(issuer: Issuer, leaf: Leaf): KeyedCertificate {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const certificate = signLeaf(issuer, {
    ...leaf,
    subject: distinguishedName(leaf.subject),
    publicKey: pair.publicKey,
    // digitalSignature: bit 0.
    keyUsage: bitString(Buffer.from([0b10000000]), 7),
  })
  return { certificate, key: privateKeyPem(pair.privateKey) }
}

function signLeaf(
  issuer: Issuer,
  leaf: Omit<Leaf, 'subject'> & {
    readonly subject: Buffer
    readonly publicKey: KeyObject
    /** A bit string; without it any use that the extended usage names is fine. */
    readonly keyUsage: Buffer | undefined
  },
): string {
  const authority = new X509Certificate(issuer.certificate)
  return signCertificate(
    {
      subject: leaf.subject,
      publicKey: leaf.publicKey,
      ...validityWithin(authority, leaf),
      extensions: [
        extension(OID.basicConstraints, sequence(), 'critical'),
        ...(leaf.keyUsage === undefined
          ? []
          : [extension(OID.keyUsage, leaf.keyUsage, 'critical')]),
        extension(OID.extendedKeyUsage, sequence(oid(leaf.usage))),
        issuedBy(authority),
        ...leaf.extensions,
      ],
    },
    { name: subjectOf(authority), key: issuer.key },
  )
}

/** A client certificate for a key and a subject that somebody else made; see certificate-request.ts. */
export function createRequestedCertificate(
  issuer: Issuer,
  request: {
    /** Or a distinguished name, DER. */
    readonly subject: Subject | Buffer
    readonly publicKey: KeyObject
    readonly subjectAltName?: Buffer
    readonly usages: readonly ('digital signature' | 'key encipherment')[]
    readonly now: Date
    readonly ttlSeconds: number
  },
): string {
  const { subject, usages, subjectAltName } = request
  // digitalSignature is bit 0, keyEncipherment bit 2.
  const bits =
    (usages.includes('digital signature') ? 0x80 : 0) |
    (usages.includes('key encipherment') ? 0x20 : 0)
  return signLeaf(issuer, {
    ...request,
    subject: Buffer.isBuffer(subject) ? subject : distinguishedName(subject),
    usage: OID.clientAuth,
    keyUsage: bits === 0 ? undefined : bitString(Buffer.from([bits]), (bits & 0x20) === 0 ? 7 : 5),
    extensions: subjectAltName === undefined ? [] : [extension(OID.subjectAltName, subjectAltName)],
  })
}

/** The issuer's subject must be repeated byte for byte, so it is built the way createAuthorityCertificate built it. */
function subjectOf(authority: X509Certificate): Buffer {
  const subject: Readonly<Record<string, unknown>> = { ...authority.toLegacyObject().subject }
  return distinguishedName({
    commonName: strings(subject.CN)[0] ?? '',
    organizations: strings(subject.O),
  })
}

function signCertificate(
  template: Template,
  issuer: { readonly name: Buffer; readonly key: KeyObject },
): string {
  const algorithm = sequence(oid(OID.ecdsaWithSha256))
  // 16 random bytes, top bit clear and first byte never zero: unique, positive, 20 octets at most.
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serial),
    algorithm,
    issuer.name,
    sequence(time(template.notBefore), time(template.notAfter)),
    template.subject,
    template.publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...template.extensions)),
  )
  const signature = sign('sha256', body, issuer.key)
  return pem('CERTIFICATE', sequence(body, algorithm, bitString(signature)))
}

function validity(now: Date, ttlSeconds: number): { notBefore: Date; notAfter: Date } {
  return {
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: new Date(now.getTime() + ttlSeconds * 1000),
  }
}

function distinguishedName({ commonName, organizations = [], uid }: Subject): Buffer {
  const attribute = (type: string, value: string) => set(sequence(oid(type), utf8String(value)))
  return sequence(
    ...organizations.map(name => attribute(OID.organization, name)),
    attribute(OID.commonName, commonName),
    ...(uid === undefined ? [] : [attribute(USER_UID, uid)]),
  )
}

function extension(type: string, value: Buffer, critical?: 'critical'): Buffer {
  return critical === undefined
    ? sequence(oid(type), octetString(value))
    : sequence(oid(type), TRUE, octetString(value))
}

/** dNSName or iPAddress. */
function generalName(name: string): Buffer {
  return isIP(name) === 0 ? implicit(2, Buffer.from(name, 'latin1')) : implicit(7, ipBytes(name))
}

/** The 4 or 16 bytes of an address in any of its notations. */
function ipBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  // URL parsing brings every IPv6 notation, dotted tails included, to groups of hexadecimal digits.
  const plain = new URL(`http://[${address.split('%')[0]}]`).hostname.slice(1, -1)
  const [head = '', tail] = plain.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const left = groups(head)
  const right = groups(tail ?? '')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  const all = tail === undefined ? left : [...left, ...zeros, ...right]
  return Buffer.from(
    all.flatMap(group => {
      const value = Number.parseInt(group, 16)
      return [value >> 8, value & 0xff]
    }),
  )
}

/** RFC 5280 4.2.1.2 method 1 would hash the bare key bits; any stable hash does, and SHA-256 of the SPKI is at hand. */
function keyIdentifier(key: KeyObject): Buffer {
  const spki = key.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest().subarray(0, 20)
}

/** PEM of a private key: SEC 1 for an elliptic curve, because fabric8 takes any PKCS #8 for RSA; else PKCS #8. */
export function privateKeyPem(key: KeyObject): string {
  const type = key.asymmetricKeyType === 'ec' ? 'sec1' : 'pkcs8'
  return key.export({ type, format: 'pem' }).toString()
}

/** The private key in a PEM text, or undefined when there is none. */
export function parsePrivateKey(text: string): KeyObject | undefined {
  try {
    return createPrivateKey(text)
  } catch (error) {
    if (error instanceof Error) return undefined
    throw error
  }
}

function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
