// Tokens of an OpenID Connect provider: its discovery document and keys, fetched when a token first needs them and kept,
// and the check of a token against them. Called by api/src/auth/jwt-authenticators.ts; calls compact-jwt.ts and https-json.ts.
// Ref: apiserver/plugin/pkg/authenticator/token/oidc/oidc.go; github.com/coreos/go-oidc verify.go, jwks.go

import {
  type Claims,
  type CompactJwt,
  isRecord,
  isSignedBy,
  isSigningAlgorithm,
  type PublishedKey,
  parseCompactJwt,
  readKeySet,
} from './compact-jwt.ts'
import { fetchJson, type RootCertificates } from './https-json.ts'

export interface OidcProviderOptions extends RootCertificates {
  /** What tokens must name as `iss`, to the letter; keys are found below it unless `discoveryUrl` says otherwise. */
  readonly issuer: string
  readonly discoveryUrl?: string
  /** A token must be for one of them. */
  readonly audiences: readonly string[]
  /** Told why keys could not be fetched; whoever sent the token is not. */
  readonly onFetchError?: (error: unknown) => void
  readonly now: () => Date
}

export type VerifiedClaims = { readonly claims: Claims } | { readonly error: string }

/** Clocks of provider and server may differ by this much before a token counts as not valid yet. */
const NOT_BEFORE_LEEWAY_SECONDS = 5 * 60
/** A token with an unknown key, or a provider that is down, costs at most one fetch in this time. */
const FETCH_PAUSE_MS = 10_000
/** Keys that the provider took back are trusted for this long at most, as long as it answers. */
const KEYS_TTL_MS = 10 * 60_000

/** The issuer that a token claims to be of; nothing is verified. Undefined for what is no token. */
export function claimedIssuer(token: string): string | undefined {
  const iss = parseCompactJwt(token)?.claims.iss
  return typeof iss === 'string' ? iss : undefined
}

/** One issuer and what it signed. */
export class OidcProvider {
  readonly #options: OidcProviderOptions
  #keys: readonly PublishedKey[] | undefined
  #fetchedMs = Number.NEGATIVE_INFINITY
  #triedMs = Number.NEGATIVE_INFINITY
  #fetching: Promise<void> | undefined
  #hasFailed = false

  /** Fetches nothing yet. */
  constructor(options: OidcProviderOptions) {
    this.#options = options
  }

  /** Issuer, audience, validity, signature. Waits for keys when there are none that fit. Never rejects. */
  async verify(token: string): Promise<VerifiedClaims> {
    const parsed = parseCompactJwt(token)
    if (parsed === undefined) return { error: 'oidc: verify token: oidc: malformed jwt' }
    const { claims } = parsed
    const problem = this.#claimsProblem(claims) ?? headerProblem(parsed)
    if (problem !== undefined) return { error: `oidc: verify token: ${problem}` }
    if (this.#isDue()) await this.#refresh()
    if (this.#keys === undefined) return { error: 'oidc: authenticator not initialized' }
    if (this.#isSigned(parsed)) return { claims }
    // A key that nobody knows may be a new one.
    if (this.#mayFetch()) await this.#fetch()
    return this.#isSigned(parsed)
      ? { claims }
      : { error: 'oidc: verify token: failed to verify signature: no key fits it' }
  }

  #claimsProblem(claims: Claims): string | undefined {
    const { issuer, audiences, now } = this.#options
    const { iss, aud, exp, nbf } = claims
    if (iss !== issuer) {
      return `oidc: id token issued by a different provider, expected ${quote(issuer)} got ${quote(iss)}`
    }
    const offered: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
    if (!offered.some(audience => audiences.some(own => own === audience))) {
      return `oidc: expected audience in ${quoteList(audiences)} got ${quoteList(offered)}`
    }
    const seconds = now().getTime() / 1000
    if (typeof exp !== 'number' || exp < seconds) return 'oidc: token is expired'
    const isEarly = typeof nbf === 'number' && seconds + NOT_BEFORE_LEEWAY_SECONDS < nbf
    if (isEarly || (nbf !== undefined && typeof nbf !== 'number')) {
      return 'oidc: current time before the nbf (not before) time'
    }
    return undefined
  }

  #isSigned(token: CompactJwt): boolean {
    const { alg, kid } = token.header
    const algorithm = String(alg)
    return (this.#keys ?? []).some(
      ({ id, algorithm: only, key }) =>
        (kid === undefined || kid === id) &&
        (only === undefined || only === algorithm) &&
        isSignedBy(token, { key, algorithm }),
    )
  }

  #isDue(): boolean {
    const isOld = this.#options.now().getTime() - this.#fetchedMs > KEYS_TTL_MS
    return isOld && this.#mayFetch()
  }

  #mayFetch(): boolean {
    return (
      this.#fetching !== undefined || this.#options.now().getTime() - this.#triedMs > FETCH_PAUSE_MS
    )
  }

  /** Who has keys does not wait for a provider that has just failed: one that hangs would hold up every request. */
  async #refresh(): Promise<void> {
    const fetched = this.#fetch()
    if (this.#keys === undefined || !this.#hasFailed) await fetched
  }

  /** One fetch at a time, whoever waits. A failure leaves the keys as they are. */
  async #fetch(): Promise<void> {
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined
    })
    await this.#fetching
  }

  async #fetchOnce(): Promise<void> {
    const { now, onFetchError } = this.#options
    const tried = now().getTime()
    this.#triedMs = tried
    try {
      this.#keys = await this.#publishedKeys()
      this.#fetchedMs = tried
      this.#hasFailed = false
    } catch (error) {
      this.#hasFailed = true
      onFetchError?.(error)
    }
  }

  async #publishedKeys(): Promise<readonly PublishedKey[]> {
    const { issuer, discoveryUrl } = this.#options
    const url = discoveryUrl ?? `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const document = await fetchJson(url, this.#options)
    const { issuer: named, jwks_uri: keysUrl } = isRecord(document) ? document : {}
    if (named !== issuer) {
      throw new Error(
        `oidc: issuer did not match the issuer returned by provider, expected ${quote(issuer)} got ${quote(named)}`,
      )
    }
    if (typeof keysUrl !== 'string') throw new Error(`${url} names no jwks_uri`)
    return readKeySet(await fetchJson(keysUrl, this.#options))
  }
}

function headerProblem({ header }: CompactJwt): string | undefined {
  if (!isSigningAlgorithm(header.alg)) return 'oidc: malformed jwt: unsupported signing algorithm'
  // An extension that must be understood is one we do not know.
  return header.crit === undefined ? undefined : 'oidc: malformed jwt: unsupported crit header'
}

const quote = (value: unknown): string => JSON.stringify(value) ?? '""'
const quoteList = (values: readonly unknown[]): string => `[${values.map(quote).join(' ')}]`
