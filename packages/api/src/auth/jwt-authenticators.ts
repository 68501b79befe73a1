// The issuers of tokens that an AuthenticationConfiguration names, behind one check. The configuration may be replaced
// while requests come. Built by the cli and handed to api-server.ts; calls identity for keys and claim-mapping.ts for users.
// Ref: apiserver/plugin/pkg/authenticator/token/oidc/oidc.go

import type { FieldError, JsonObject } from '@podless/apimachinery'
import { claimedIssuer, OidcProvider } from '@podless/identity'
import type { Log } from '../log.ts'
import {
  type AuthenticationConfiguration,
  type JwtAuthenticator,
  validateIssuers,
} from './authentication-config.ts'
import { type ClaimMapper, compileClaims } from './claim-mapping.ts'
import type { TokenAuthenticator, TokenOutcome } from './token-authenticator.ts'

export interface JwtAuthenticatorOptions {
  /** Issuers that nobody else may claim to be: the server's own. */
  readonly disallowedIssuers: readonly string[]
  readonly log: Pick<Log, 'warn'>
  readonly now: () => Date
}

interface Trusted {
  readonly config: JwtAuthenticator
  readonly provider: OidcProvider
  readonly mapper: ClaimMapper
}

/** Who besides this server is believed, and whether nobody may ask. */
export class JwtAuthenticators implements TokenAuthenticator {
  readonly #options: JwtAuthenticatorOptions
  #trusted: ReadonlyMap<string, Trusted> = new Map()
  #anonymous: AuthenticationConfiguration['anonymous']

  /** Believes nobody until `replace`. */
  constructor(options: JwtAuthenticatorOptions) {
    this.#options = options
  }

  /**
   * Takes up another configuration from now on. Returns what is wrong with it, and keeps what it has when anything is.
   * Keys of issuers that stay as they are need not be fetched again.
   */
  replace(config: AuthenticationConfiguration): readonly FieldError[] {
    const errors = [...validateIssuers(config, this.#options.disallowedIssuers)]
    const trusted = new Map<string, Trusted>()
    for (const [i, jwt] of (config.jwt ?? []).entries()) {
      const compiled = compileClaims(jwt, `jwt[${i}]`)
      if ('errors' in compiled) errors.push(...compiled.errors)
      else trusted.set(jwt.issuer.url, this.#trust(jwt, compiled.mapper))
    }
    if (errors.length > 0) return errors
    this.#trusted = trusted
    this.#anonymous = config.anonymous
    return []
  }

  /** Whether a request for `path` may come without any credential. */
  allowsAnonymous(path: string): boolean {
    if (this.#anonymous === undefined) return true
    const { enabled, conditions = [] } = this.#anonymous
    return enabled && (conditions.length === 0 || conditions.some(({ path: at }) => at === path))
  }

  /** Undefined for tokens of no issuer that is believed. */
  async authenticate(token: string): Promise<TokenOutcome> {
    if (this.#trusted.size === 0) return undefined
    const trusted = this.#trusted.get(claimedIssuer(token) ?? '')
    if (trusted === undefined) return undefined
    const verified = await trusted.provider.verify(token)
    return 'error' in verified ? verified : trusted.mapper(verified.claims as JsonObject)
  }

  #trust(config: JwtAuthenticator, mapper: ClaimMapper): Trusted {
    const { issuer } = config
    const known = this.#trusted.get(issuer.url)
    const isSame = JSON.stringify(known?.config.issuer) === JSON.stringify(issuer)
    const provider = known !== undefined && isSame ? known.provider : this.#provider(config)
    return { config, mapper, provider }
  }

  #provider({ issuer }: JwtAuthenticator): OidcProvider {
    const { url, discoveryURL = '', certificateAuthority = '', audiences } = issuer
    const { log, now } = this.#options
    return new OidcProvider({
      issuer: url,
      ...(discoveryURL === '' ? {} : { discoveryUrl: discoveryURL }),
      ...(certificateAuthority === '' ? {} : { ca: certificateAuthority }),
      audiences,
      onFetchError: error =>
        log.warn('the keys of a token issuer cannot be fetched', {
          issuer: url,
          why: error instanceof Error ? error.message : String(error),
        }),
      now,
    })
  }
}
