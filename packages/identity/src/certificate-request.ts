// Certificate requests (PKCS #10): who asks to be whom, the proof that they hold the key, and the certificate for it.
// Called by the api package's signer and by its rules for CertificateSigningRequests. Ref: RFC 2986; RFC 5280

import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { createRequestedCertificate, type Issuer } from './certificate.ts'
import { type DerElement, DerError, elements, oidText, partsOf } from './der-reader.ts'
import { pemBlocks } from './pem.ts'

export interface CertificateRequest {
  /** The distinguished name as it was sent, DER. */
  readonly subject: Buffer
  readonly commonName: string
  readonly organizations: readonly string[]
  readonly publicKey: KeyObject
  /** Content of the extension it asks for, DER. */
  readonly subjectAltName?: Buffer
}

const SEQUENCE = 0x30
const SET = 0x31
const INTEGER = 0x02
const OBJECT_IDENTIFIER = 0x06
const BIT_STRING = 0x03
const OCTET_STRING = 0x04
const ATTRIBUTES = 0xa0
/** UTF8String, PrintableString, IA5String: the ones whose bytes read the same everywhere. */
const TEXT_TAGS: ReadonlySet<number> = new Set([0x0c, 0x13, 0x16])

const COMMON_NAME = '2.5.4.3'
const ORGANIZATION = '2.5.4.10'
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'
const SUBJECT_ALT_NAME = '2.5.29.17'
/** What a signature's algorithm hashes with; Ed25519 does that itself. */
const DIGEST_OF: Readonly<Record<string, { type: string; digest: string | null } | undefined>> = {
  '1.2.840.113549.1.1.11': { type: 'rsa', digest: 'sha256' },
  '1.2.840.113549.1.1.12': { type: 'rsa', digest: 'sha384' },
  '1.2.840.113549.1.1.13': { type: 'rsa', digest: 'sha512' },
  '1.2.840.10045.4.3.2': { type: 'ec', digest: 'sha256' },
  '1.2.840.10045.4.3.3': { type: 'ec', digest: 'sha384' },
  '1.2.840.10045.4.3.4': { type: 'ec', digest: 'sha512' },
  '1.3.101.112': { type: 'ed25519', digest: null },
}
const RSA_BITS_MIN = 2048

/** Reads a PEM request and checks that its sender holds the key. Never throws. */
export function parseCertificateRequest(
  text: string,
): CertificateRequest | { readonly error: string } {
  const block = pemBlocks(text).find(({ type }) => type === 'CERTIFICATE REQUEST')
  if (block === undefined) return { error: 'PEM block type must be CERTIFICATE REQUEST' }
  try {
    return read(Buffer.from(block.content, 'base64'))
  } catch (error) {
    if (error instanceof DerError) return { error: error.message }
    throw error
  }
}

function read(der: Buffer): CertificateRequest {
  const [body, algorithm, signature] = partsOf(elements(der)[0], SEQUENCE)
  const [version, subject, spki, attributes] = partsOf(body, SEQUENCE)
  if (version?.tag !== INTEGER || subject === undefined || spki === undefined) {
    throw new DerError('not a certificate request')
  }
  const publicKey = publicKeyOf(spki.whole)
  const name = oidText(must(partsOf(algorithm, SEQUENCE)[0], OBJECT_IDENTIFIER).content)
  // The first byte counts unused bits, of which a signature has none.
  const bits = must(signature, BIT_STRING).content.subarray(1)
  if (!isSigned(body?.whole ?? Buffer.alloc(0), publicKey, name, bits)) {
    throw new DerError('unable to verify certificate request signature')
  }
  const names = namesOf(subject)
  const subjectAltName = attributes === undefined ? undefined : alternativeNames(attributes)
  return {
    subject: subject.whole,
    commonName: names.get(COMMON_NAME)?.at(-1) ?? '',
    organizations: names.get(ORGANIZATION) ?? [],
    publicKey,
    ...(subjectAltName === undefined ? {} : { subjectAltName }),
  }
}

function must(element: DerElement | undefined, tag: number): DerElement {
  if (element?.tag === tag) return element
  throw new DerError('unexpected element')
}

function publicKeyOf(spki: Buffer): KeyObject {
  let key: KeyObject
  try {
    key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch (error) {
    throw new DerError('the public key cannot be read', { cause: error })
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails } = key
  const isLong = (asymmetricKeyDetails?.modulusLength ?? 0) >= RSA_BITS_MIN
  if (type === 'ec' || type === 'ed25519' || (type === 'rsa' && isLong)) return key
  throw new DerError(`the key must be EC, Ed25519 or RSA of at least ${RSA_BITS_MIN} bits`)
}

function isSigned(body: Buffer, key: KeyObject, algorithm: string, signature: Buffer): boolean {
  const known = Object.hasOwn(DIGEST_OF, algorithm) ? DIGEST_OF[algorithm] : undefined
  if (known === undefined || known.type !== key.asymmetricKeyType) return false
  return verify(known.digest, body, key, signature)
}

/** Attribute values by type, in their order. */
function namesOf(subject: DerElement): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>()
  for (const relative of partsOf(subject, SEQUENCE)) {
    for (const attribute of partsOf(relative, SET)) {
      const [type, value] = partsOf(attribute, SEQUENCE)
      const key = oidText(must(type, OBJECT_IDENTIFIER).content)
      if (value === undefined || !TEXT_TAGS.has(value.tag)) {
        throw new DerError('the subject holds a string of an unusual type')
      }
      const text = value.content.toString('utf8')
      if (/[\p{Cc}\ufffd]/u.test(text)) throw new DerError('the subject holds control characters')
      names.set(key, [...(names.get(key) ?? []), text])
    }
  }
  return names
}

function alternativeNames(attributes: DerElement): Buffer | undefined {
  for (const attribute of partsOf(attributes, ATTRIBUTES)) {
    const [type, values] = partsOf(attribute, SEQUENCE)
    if (oidText(must(type, OBJECT_IDENTIFIER).content) !== EXTENSION_REQUEST) continue
    for (const extension of partsOf(partsOf(values, SET)[0], SEQUENCE)) {
      const parts = partsOf(extension, SEQUENCE)
      if (oidText(must(parts[0], OBJECT_IDENTIFIER).content) !== SUBJECT_ALT_NAME) continue
      return must(parts.at(-1), OCTET_STRING).content
    }
  }
  return undefined
}

/** The client certificate for a request, PEM: its subject and names, our usages, never an authority. */
export function signCertificateRequest(
  issuer: Issuer,
  request: CertificateRequest,
  options: {
    /** Of RFC 5280's key usages; client authentication is always one. */
    readonly usages: readonly ('digital signature' | 'key encipherment')[]
    readonly now: Date
    readonly ttlSeconds: number
    /** Of the user. With it the subject is made anew, of the request's organizations and last common name and this. */
    readonly uid?: string
  },
): string {
  const { commonName, organizations, publicKey, subjectAltName } = request
  const { uid, ...certificate } = options
  return createRequestedCertificate(issuer, {
    ...certificate,
    subject: uid === undefined ? request.subject : { commonName, organizations, uid },
    publicKey,
    ...(subjectAltName === undefined ? {} : { subjectAltName }),
  })
}
