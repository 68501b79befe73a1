// ServiceAccount tokens: JSON Web Tokens as kube-apiserver signs them, their verification, and the documents that let
// others verify them (JWKS, OpenID discovery). Called by api/src/auth and the CLI; calls node:crypto only.
// Whether the ServiceAccount still exists is the caller's to check. Ref: kubernetes/pkg/serviceaccount/{jwt,claims}.go

import {
  constants,
  createHash,
  createPublicKey,
  type KeyObject,
  randomUUID,
  sign,
} from 'node:crypto'
import {
  type Claims,
  type CompactJwt,
  isRecord,
  isSignedBy,
  parseCompactJwt,
  TOKEN_BYTES_MAX,
} from './compact-jwt.ts'

/** The issuer of tokens and the audience of the server itself. */
export const DEFAULT_ISSUER = 'https://kubernetes.default.svc'
/** The issuer of tokens that live in Secrets and never expire. */
export const LEGACY_ISSUER = 'kubernetes/serviceaccount'
/** What go-jose grants by default: clocks may differ by a minute. */
const LEEWAY_SECONDS = 60
/** A thousand clients with a few tokens each; an entry is about 1 KiB, so 4 MiB at most. */
const VERIFIED_TOKENS_MAX = 4096

/** What upstream answers to anything that is no token of ours. */
export const INVALID_TOKEN = 'invalid bearer token'

export interface ObjectClaim {
  readonly name: string
  readonly uid: string
}

/** What a token is issued for. */
export interface TokenSubject {
  readonly namespace: string
  readonly serviceAccount: ObjectClaim
  readonly audiences: readonly string[]
  readonly expirationSeconds: number
  readonly pod?: ObjectClaim
  readonly secret?: ObjectClaim
  /** The uid is left out when a pod's node is known by name only. */
  readonly node?: { readonly name: string; readonly uid?: string }
  /** Set when the token outlives what was asked for, to notice clients that do not reload it. */
  readonly warnAfterSeconds?: number
}

/** What a verified token says. */
export interface VerifiedToken
  extends Omit<TokenSubject, 'expirationSeconds' | 'warnAfterSeconds'> {
  /** jti, absent in legacy tokens. */
  readonly id?: string
  /** Seconds since the epoch. */
  readonly expires?: number
  readonly notBefore?: number
  readonly warnAfter?: number
  /** Set for tokens that live in a Secret: that Secret's name. Its content has to be compared with the token. */
  readonly legacySecret?: string
}

export type Verification = { readonly token: VerifiedToken } | { readonly error: string }

interface Algorithm {
  readonly name: 'RS256' | 'ES256'
  readonly signatureBytes: number
  readonly options: { padding?: number; dsaEncoding?: 'ieee-p1363' }
}

/** A key that tokens are verified with. */
interface Verifier {
  readonly id: string
  readonly publicKey: KeyObject
  readonly algorithm: Algorithm
}

/**
 * Signs with one key and verifies with it and those before it.
 * Holds the tokens it verified lately, so a busy client costs one hash a request.
 */
export class ServiceAccountTokens {
  readonly issuer: string
  #privateKey: KeyObject
  #signer: Verifier
  /** By key id, the signer's first. */
  #verifiers: ReadonlyMap<string, Verifier>
  readonly #now: () => Date
  readonly #verified = new Map<string, VerifiedToken>()

  /** `key`: RSA of 2048 bits or more (RS256) or EC P-256 (ES256). Throws TypeError for any other. */
  constructor(options: {
    readonly key: KeyObject
    /** Public keys whose tokens are accepted besides. */
    readonly olderKeys?: readonly KeyObject[]
    readonly issuer?: string
    readonly now: () => Date
  }) {
    this.issuer = options.issuer ?? DEFAULT_ISSUER
    this.#now = options.now
    this.#privateKey = options.key
    this.#signer = verifierOf(createPublicKey(options.key))
    this.#verifiers = verifiersOf(this.#signer, options.olderKeys ?? [])
  }

  /** Of the key that signs. */
  get keyId(): string {
    return this.#signer.id
  }

  /** From now on signs with `key`; tokens of a key that is neither it nor in `olderKeys` are worth nothing. */
  replaceKeys(key: KeyObject, olderKeys: readonly KeyObject[]): void {
    const signer = verifierOf(createPublicKey(key))
    this.#verifiers = verifiersOf(signer, olderKeys)
    this.#signer = signer
    this.#privateKey = key
    this.#verified.clear()
  }

  /** Signs a token for `subject`; it is valid from now on. */
  sign(subject: TokenSubject): { token: string; expires: Date; id: string } {
    const now = Math.floor(this.#now().getTime() / 1000)
    const id = randomUUID()
    const expires = now + subject.expirationSeconds
    const { namespace, node, pod, secret, serviceAccount } = subject
    const warnafter =
      subject.warnAfterSeconds === undefined ? undefined : now + subject.warnAfterSeconds
    const token = this.#encode({
      aud: subject.audiences,
      exp: expires,
      iat: now,
      iss: this.issuer,
      jti: id,
      // Members that are undefined are not written.
      'kubernetes.io': { namespace, node, pod, secret, serviceaccount: serviceAccount, warnafter },
      nbf: now,
      sub: subjectName(namespace, serviceAccount.name),
    })
    return { token, expires: new Date(expires * 1000), id }
  }

  /** Signs the token of a Secret of type kubernetes.io/service-account-token. It lives as long as the Secret. */
  signForSecret(subject: {
    readonly namespace: string
    readonly serviceAccount: ObjectClaim
    readonly secretName: string
  }): string {
    const { namespace, serviceAccount, secretName } = subject
    return this.#encode({
      iss: LEGACY_ISSUER,
      'kubernetes.io/serviceaccount/namespace': namespace,
      'kubernetes.io/serviceaccount/secret.name': secretName,
      'kubernetes.io/serviceaccount/service-account.name': serviceAccount.name,
      'kubernetes.io/serviceaccount/service-account.uid': serviceAccount.uid,
      sub: subjectName(namespace, serviceAccount.name),
    })
  }

  /** Signature, issuer, validity. Audiences are matched by `matchAudiences`. Never throws. */
  verify(text: string): Verification {
    if (text.length > TOKEN_BYTES_MAX) return { error: INVALID_TOKEN }
    // The digest is the key: no token is kept, and the look-up takes as long for a near miss as for any other.
    const digest = createHash('sha256').update(text).digest('base64')
    const known = this.#verified.get(digest)
    if (known !== undefined) {
      this.#verified.delete(digest)
      this.#verified.set(digest, known)
      return this.#checkTime(known)
    }
    const result = this.#verifyAnew(text)
    if (!('token' in result)) return result
    this.#remember(digest, result.token)
    return this.#checkTime(result.token)
  }

  /** The public keys as a JSON Web Key Set, the signer's first. */
  jwks(): { keys: Record<string, unknown>[] } {
    const keys = [...this.#verifiers.values()].map(({ id, publicKey, algorithm }) => {
      const jwk = publicKey.export({ format: 'jwk' })
      return { use: 'sig', ...jwk, kid: id, alg: algorithm.name }
    })
    return { keys }
  }

  /** The document under /.well-known/openid-configuration. `jwksUri` is absolute. */
  openidConfiguration(jwksUri: string): Record<string, unknown> {
    return {
      issuer: this.issuer,
      jwks_uri: jwksUri,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [
        ...new Set([...this.#verifiers.values()].map(({ algorithm }) => algorithm.name)),
      ],
    }
  }

  #encode(claims: Record<string, unknown>): string {
    const { algorithm, id } = this.#signer
    const header = { alg: algorithm.name, kid: id }
    const input = `${encodePart(header)}.${encodePart(claims)}`
    const key = { key: this.#privateKey, ...algorithm.options }
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`
  }

  #verifyAnew(text: string): Verification {
    const parsed = parseCompactJwt(text)
    if (parsed === undefined) return { error: INVALID_TOKEN }
    const { claims } = parsed
    const issuer = claims.iss
    // A token of another issuer is not ours to judge, as upstream sees it.
    if (issuer !== this.issuer && issuer !== LEGACY_ISSUER) return { error: INVALID_TOKEN }
    const { alg, kid, crit } = parsed.header
    const candidates = this.#candidates(kid)
    if (candidates.length === 0) return { error: 'invalid signature, no keys found' }
    if (crit !== undefined) return { error: INVALID_TOKEN }
    // The algorithm comes from the key, never from the token; a critical extension is one we do not know.
    const isSigned = candidates.some(
      verifier => alg === verifier.algorithm.name && signed(verifier, parsed),
    )
    if (!isSigned) return { error: INVALID_TOKEN }
    const token = issuer === LEGACY_ISSUER ? readLegacyClaims(claims) : readClaims(claims)
    return token === undefined
      ? { error: 'service account token claims could not be validated' }
      : { token }
  }

  /** The keys that a token's key id leaves; all of them for a token without one. */
  #candidates(kid: unknown): readonly Verifier[] {
    if (kid === undefined) return [...this.#verifiers.values()]
    const verifier = typeof kid === 'string' ? this.#verifiers.get(kid) : undefined
    return verifier === undefined ? [] : [verifier]
  }

  #checkTime(token: VerifiedToken): Verification {
    const now = this.#now().getTime() / 1000
    if (token.notBefore !== undefined && now + LEEWAY_SECONDS < token.notBefore) {
      return { error: 'service account token is not valid yet' }
    }
    if (token.expires !== undefined && now - LEEWAY_SECONDS > token.expires) {
      return { error: 'service account token has expired' }
    }
    return { token }
  }

  #remember(digest: string, token: VerifiedToken): void {
    this.#verified.set(digest, token)
    if (this.#verified.size <= VERIFIED_TOKENS_MAX) return
    for (const oldest of this.#verified.keys()) {
      this.#verified.delete(oldest)
      return
    }
  }
}

function signed({ algorithm, publicKey: key }: Verifier, token: CompactJwt): boolean {
  if (token.signature.length !== algorithm.signatureBytes) return false
  return isSignedBy(token, { key, algorithm: algorithm.name })
}

function verifierOf(publicKey: KeyObject): Verifier {
  return { id: keyIdOf(publicKey), publicKey, algorithm: algorithmOf(publicKey) }
}

function verifiersOf(
  signer: Verifier,
  olderKeys: readonly KeyObject[],
): ReadonlyMap<string, Verifier> {
  return new Map([signer, ...olderKeys.map(verifierOf)].map(verifier => [verifier.id, verifier]))
}

/**
 * The audiences that token and server share, or why there are none. `wanted` are those asked for, the server's own
 * otherwise; a token without audiences is one for the server itself.
 */
export function matchAudiences(
  token: VerifiedToken,
  options: { readonly wanted: readonly string[]; readonly own: readonly string[] },
): { readonly audiences: readonly string[] } | { readonly error: string } {
  const wanted = options.wanted.length === 0 ? options.own : options.wanted
  const offered = token.audiences.length === 0 ? options.own : token.audiences
  const audiences = offered.filter(audience => wanted.includes(audience))
  if (audiences.length > 0) return { audiences }
  const error = `token audiences ${quoteList(offered)} is invalid for the target audiences ${quoteList(wanted)}`
  return { error }
}

/** The user name of a ServiceAccount. */
export function subjectName(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`
}

function algorithmOf(key: KeyObject): Algorithm {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= 2048) {
    return {
      name: 'RS256',
      signatureBytes: Math.ceil(modulusLength / 8),
      options: { padding: constants.RSA_PKCS1_PADDING },
    }
  }
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') {
    return { name: 'ES256', signatureBytes: 64, options: { dsaEncoding: 'ieee-p1363' } }
  }
  throw new TypeError('a token key must be RSA of at least 2048 bits or EC P-256')
}

/** Derived from the public key and not reversible. Ref: kubernetes/pkg/serviceaccount/jwt.go keyIDFromPublicKey */
function keyIdOf(publicKey: KeyObject): string {
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest('base64url')
}

function encodePart(value: Record<string, unknown>): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Bound tokens. Undefined when a claim is missing or of the wrong type. */
function readClaims(claims: Claims): VerifiedToken | undefined {
  const { aud, exp, nbf, jti, sub } = claims
  const kubernetes = claims['kubernetes.io']
  if (!isRecord(kubernetes) || !isRecord(kubernetes.serviceaccount)) return undefined
  const { namespace, warnafter } = kubernetes
  const { name, uid } = kubernetes.serviceaccount
  if (!isText(namespace) || !isText(name) || !isText(uid)) return undefined
  if (sub !== subjectName(namespace, name)) return undefined
  if (!isNumber(exp) || (nbf !== undefined && !isNumber(nbf))) return undefined
  const audiences = typeof aud === 'string' ? [aud] : (aud ?? [])
  if (!Array.isArray(audiences) || !audiences.every(isText)) return undefined
  const bound = readBound(kubernetes)
  if (bound === undefined) return undefined
  return {
    namespace,
    serviceAccount: { name, uid },
    audiences,
    expires: exp,
    ...(nbf === undefined ? {} : { notBefore: nbf }),
    ...(isNumber(warnafter) ? { warnAfter: warnafter } : {}),
    ...(isText(jti) ? { id: jti } : {}),
    ...bound,
  }
}

type Bound = Pick<VerifiedToken, 'pod' | 'secret' | 'node'>

function readBound(kubernetes: Claims): Bound | undefined {
  const bound: { -readonly [K in keyof Bound]: Bound[K] } = {}
  for (const kind of ['pod', 'secret', 'node'] as const) {
    const claim = kubernetes[kind]
    if (claim === undefined) continue
    if (!isRecord(claim) || !isText(claim.name)) return undefined
    const { name, uid } = claim
    if (isText(uid)) bound[kind] = { name, uid }
    else if (kind === 'node' && uid === undefined) bound.node = { name }
    else return undefined
  }
  return bound
}

/** Tokens of Secrets. Ref: kubernetes/pkg/serviceaccount/legacy.go */
function readLegacyClaims(claims: Claims): VerifiedToken | undefined {
  const prefix = 'kubernetes.io/serviceaccount/'
  const namespace = claims[`${prefix}namespace`]
  const legacySecret = claims[`${prefix}secret.name`]
  const name = claims[`${prefix}service-account.name`]
  const uid = claims[`${prefix}service-account.uid`]
  if (!isText(namespace) || !isText(legacySecret) || !isText(name) || !isText(uid)) return undefined
  if (claims.sub !== subjectName(namespace, name)) return undefined
  return { namespace, serviceAccount: { name, uid }, audiences: [], legacySecret }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value)
const quoteList = (values: readonly string[]): string =>
  `[${values.map(value => JSON.stringify(value)).join(' ')}]`
