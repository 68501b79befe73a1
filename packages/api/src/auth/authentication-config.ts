// What a file may say about who is believed: AuthenticationConfiguration of apiserver.config.k8s.io, its parts that concern
// issuers of tokens and anonymous requests, and what is wrong with one. Pure; called by jwt-authenticators.ts and the cli.
// Ref: apiserver/pkg/apis/apiserver/types.go, apiserver/pkg/apis/apiserver/validation/validation.go

import { duplicate, type FieldError, invalidValue, required } from '@podless/apimachinery'
import { parseCertificate } from '@podless/identity'

/** apiserver.config.k8s.io/v1 AuthenticationConfiguration; the cli has checked its shape against a JSON Schema. */
export interface AuthenticationConfiguration {
  readonly jwt?: readonly JwtAuthenticator[]
  readonly anonymous?: AnonymousConfiguration
}

/** One issuer of tokens and whom its tokens stand for. */
export interface JwtAuthenticator {
  readonly issuer: TokenIssuer
  readonly claimValidationRules?: readonly ClaimValidationRule[]
  readonly claimMappings: ClaimMappings
  readonly userValidationRules?: readonly UserValidationRule[]
}

export interface TokenIssuer {
  readonly url: string
  readonly discoveryURL?: string
  /** PEM. */
  readonly certificateAuthority?: string
  readonly audiences: readonly string[]
  readonly audienceMatchPolicy?: string
}

export interface ClaimValidationRule {
  readonly claim?: string
  readonly requiredValue?: string
  readonly expression?: string
  readonly message?: string
}

export interface UserValidationRule {
  readonly expression: string
  readonly message?: string
}

export interface PrefixedClaimOrExpression {
  readonly claim?: string
  readonly prefix?: string
  readonly expression?: string
}

export interface ClaimMappings {
  readonly username: PrefixedClaimOrExpression
  readonly groups?: PrefixedClaimOrExpression
  readonly uid?: Omit<PrefixedClaimOrExpression, 'prefix'>
  readonly extra?: readonly { readonly key: string; readonly valueExpression: string }[]
}

export interface AnonymousConfiguration {
  readonly enabled: boolean
  /** Paths that anonymous requests are limited to; all without any. */
  readonly conditions?: readonly { readonly path: string }[]
}

const AUTHENTICATORS_MAX = 64

/** What is wrong with the issuers and with `anonymous`; claims are compileClaims()'s. */
export function validateIssuers(
  { jwt = [], anonymous }: AuthenticationConfiguration,
  disallowed: readonly string[],
): FieldError[] {
  if (jwt.length > AUTHENTICATORS_MAX) {
    const detail = `must have at most ${AUTHENTICATORS_MAX} items`
    return [{ type: 'FieldValueTooMany', field: 'jwt', badValue: jwt.length, detail }]
  }
  const issuers = jwt.map(({ issuer }) => issuer)
  const errors = issuers.flatMap((issuer, i) => [
    ...validateIssuer(issuer, `jwt[${i}].issuer`, disallowed),
    ...repeated(issuers, i, 'url'),
    ...repeated(issuers, i, 'discoveryURL'),
  ])
  const conditions = anonymous?.conditions ?? []
  if (anonymous?.enabled !== false || conditions.length === 0) return errors
  const detail = 'enabled should be set to true when conditions are defined'
  const paths = conditions.map(({ path }) => ({ path }))
  return [...errors, invalidValue('anonymous.conditions', paths, detail)]
}

function repeated(
  issuers: readonly TokenIssuer[],
  index: number,
  field: 'url' | 'discoveryURL',
): FieldError[] {
  const value = issuers[index]?.[field] ?? ''
  const isFirst = issuers.findIndex(other => other[field] === value) === index
  return isFirst || value === '' ? [] : [duplicate(`jwt[${index}].issuer.${field}`, value)]
}

function validateIssuer(
  issuer: TokenIssuer,
  path: string,
  disallowed: readonly string[],
): FieldError[] {
  const { url, discoveryURL = '', certificateAuthority = '' } = issuer
  const isPem = certificateAuthority === '' || parseCertificate(certificateAuthority) !== undefined
  return [
    ...(url === '' ? [required(`${path}.url`)] : validateUrl(url, `${path}.url`, disallowed)),
    ...validateDiscoveryUrl(discoveryURL, url, `${path}.discoveryURL`),
    ...validateAudiences(issuer, path),
    ...(isPem
      ? []
      : [
          invalidValue(
            `${path}.certificateAuthority`,
            '<omitted>',
            'data does not contain any valid RSA or ECDSA certificates',
          ),
        ]),
  ]
}

function validateDiscoveryUrl(text: string, issuer: string, path: string): FieldError[] {
  if (text === '') return []
  const isSame = text.replace(/\/$/, '') === issuer.replace(/\/$/, '')
  return [
    ...(isSame ? [invalidValue(path, text, 'discoveryURL must be different from URL')] : []),
    ...validateUrl(text, path, []),
  ]
}

function validateUrl(text: string, path: string, disallowed: readonly string[]): FieldError[] {
  const refuse = (detail: string): FieldError => invalidValue(path, text, detail)
  const errors = disallowed.includes(text)
    ? [refuse(`URL must not overlap with disallowed issuers: [${disallowed.join(' ')}]`)]
    : []
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) return [...errors, refuse('URL cannot be parsed')]
  if (url.protocol !== 'https:') errors.push(refuse('URL scheme must be https'))
  if (url.username !== '' || url.password !== '')
    errors.push(refuse('URL must not contain a username or password'))
  if (url.search !== '') errors.push(refuse('URL must not contain a query'))
  if (url.hash !== '') errors.push(refuse('URL must not contain a fragment'))
  return errors
}

const MATCH_ANY = 'MatchAny'

function validateAudiences(
  { audiences, audienceMatchPolicy = '' }: TokenIssuer,
  path: string,
): FieldError[] {
  const at = `${path}.audiences`
  if (audiences.length === 0) return [required(at, `at least one ${at} is required`)]
  const errors = audiences.flatMap((audience, i) => {
    if (audience === '') return [required(`${at}[${i}]`)]
    return audiences.indexOf(audience) < i ? [duplicate(`${at}[${i}]`, audience)] : []
  })
  const isOne = audiences.length === 1
  if (audienceMatchPolicy === MATCH_ANY || (isOne && audienceMatchPolicy === '')) return errors
  const detail = isOne
    ? 'audienceMatchPolicy must be empty or MatchAny for single audience'
    : 'audienceMatchPolicy must be MatchAny for multiple audiences'
  return [...errors, invalidValue(`${path}.audienceMatchPolicy`, audienceMatchPolicy, detail)]
}
