// JSON Web Tokens in their compact form, and the signatures that may stand on them. Pure; calls node:crypto only.
// Called by service-account-token.ts for our own tokens and by oidc-provider.ts for those of others.
// A JWT library takes longer to load than the server has to start, and this needs no encryption and no shared secrets.

import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto'

/** Real tokens have 1 to 2 KiB; a header may have 8 KiB and more only costs time. */
export const TOKEN_BYTES_MAX = 16 * 1024
const COMPACT_FORM = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/
const RSA_BITS_MIN = 2048

export type Claims = Readonly<Record<string, unknown>>

/** A token taken apart; nothing of it is verified. */
export interface CompactJwt {
  readonly header: Claims
  readonly claims: Claims
  /** What the signature is of. */
  readonly input: string
  readonly signature: Buffer
}

/** Undefined for what is no token, or too long for one. Never throws. */
export function parseCompactJwt(text: string): CompactJwt | undefined {
  if (text.length > TOKEN_BYTES_MAX) return undefined
  const parts = COMPACT_FORM.exec(text)
  if (parts === null) return undefined
  const [, headerPart = '', claimsPart = '', signaturePart = ''] = parts
  const header = decodePart(headerPart)
  const claims = decodePart(claimsPart)
  if (header === undefined || claims === undefined) return undefined
  const signature = Buffer.from(signaturePart, 'base64url')
  return { header, claims, input: `${headerPart}.${claimsPart}`, signature }
}

function decodePart(part: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return isRecord(value) ? value : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

export function isRecord(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

interface SigningAlgorithm {
  readonly keyType: 'rsa' | 'ec'
  readonly curve?: string
  readonly hash: 'sha256' | 'sha384' | 'sha512'
  readonly options: { padding?: number; saltLength?: number; dsaEncoding?: 'ieee-p1363' }
}

const PKCS1 = { padding: constants.RSA_PKCS1_PADDING }
const PSS = {
  padding: constants.RSA_PKCS1_PSS_PADDING,
  saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
}
const P1363 = { dsaEncoding: 'ieee-p1363' } as const

/** Asymmetric ones only: with a shared secret, whoever verifies could sign. */
const ALGORITHMS: ReadonlyMap<string, SigningAlgorithm> = new Map([
  ['RS256', { keyType: 'rsa', hash: 'sha256', options: PKCS1 }],
  ['RS384', { keyType: 'rsa', hash: 'sha384', options: PKCS1 }],
  ['RS512', { keyType: 'rsa', hash: 'sha512', options: PKCS1 }],
  ['PS256', { keyType: 'rsa', hash: 'sha256', options: PSS }],
  ['PS384', { keyType: 'rsa', hash: 'sha384', options: PSS }],
  ['PS512', { keyType: 'rsa', hash: 'sha512', options: PSS }],
  ['ES256', { keyType: 'ec', curve: 'prime256v1', hash: 'sha256', options: P1363 }],
  ['ES384', { keyType: 'ec', curve: 'secp384r1', hash: 'sha384', options: P1363 }],
  ['ES512', { keyType: 'ec', curve: 'secp521r1', hash: 'sha512', options: P1363 }],
])

/** Whether tokens may be signed that way at all. */
export const isSigningAlgorithm = (name: unknown): name is string =>
  typeof name === 'string' && ALGORITHMS.has(name)

/** Whether the token's signature is one of `key` by `algorithm`. A key of another kind never fits. */
export function isSignedBy(
  { input, signature }: Pick<CompactJwt, 'input' | 'signature'>,
  { key, algorithm }: { readonly key: KeyObject; readonly algorithm: string },
): boolean {
  const known = ALGORITHMS.get(algorithm)
  if (known === undefined || !fits(key, known)) return false
  return verify(known.hash, Buffer.from(input), { key, ...known.options }, signature)
}

function fits(key: KeyObject, { keyType, curve }: SigningAlgorithm): boolean {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType !== keyType) return false
  return keyType === 'rsa' ? modulusLength >= RSA_BITS_MIN : namedCurve === curve
}

/** A public key that somebody published. */
export interface PublishedKey {
  readonly id: string | undefined
  /** The one algorithm it is for; undefined when it does not say. */
  readonly algorithm: string | undefined
  readonly key: KeyObject
}

/** The keys of a JSON Web Key Set that signatures can be checked with; others are left out. */
export function readKeySet(value: unknown): PublishedKey[] {
  const keys = isRecord(value) && Array.isArray(value.keys) ? (value.keys as unknown[]) : []
  return keys.flatMap(jwk => {
    if (!isRecord(jwk) || (jwk.use !== undefined && jwk.use !== 'sig')) return []
    const key = readPublicKey(jwk)
    if (key === undefined) return []
    const { kid, alg } = jwk
    return [{ id: textOf(kid), algorithm: textOf(alg), key }]
  })
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

/** Only what is public is looked at: a set that also holds secrets is read as one that does not. */
function readPublicKey({ kty, n, e, crv, x, y }: Claims): KeyObject | undefined {
  const members = { kty, n, e, crv, x, y }
  const jwk = Object.fromEntries(Object.entries(members).filter(([, text]) => text !== undefined))
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch (error) {
    if (error instanceof Error) return undefined
    throw error
  }
}
