// What is wrong with the claims and rules of an AuthenticationConfiguration, besides expressions that do not compile.
// Pure; called by claim-mapping.ts. Ref: apiserver/pkg/apis/apiserver/validation/validation.go

import {
  duplicate,
  type FieldError,
  invalidValue,
  isDns1123Subdomain,
  required,
} from '@podless/apimachinery'
import type {
  ClaimMappings,
  ClaimValidationRule,
  JwtAuthenticator,
  PrefixedClaimOrExpression,
} from './authentication-config.ts'

const BOTH = "claim and expression can't both be set"
const NEITHER = 'claim or expression is required'
const PREFIX_NEEDED =
  'prefix is required when claim is set. It can be set to an empty string to disable prefixing'

/** Everything but the expressions themselves. */
export function validateClaims(config: JwtAuthenticator, path: string): FieldError[] {
  const { claimMappings, claimValidationRules = [], userValidationRules = [] } = config
  const at = `${path}.claimMappings`
  return [
    ...claimValidationRules.flatMap((rule, i) =>
      validateRule(rule, `${path}.claimValidationRules[${i}]`),
    ),
    ...repeats(claimValidationRules, 'claim', `${path}.claimValidationRules`),
    ...repeats(claimValidationRules, 'expression', `${path}.claimValidationRules`),
    ...validateMapping(claimMappings.username, `${at}.username`, true),
    ...validateMapping(claimMappings.groups ?? {}, `${at}.groups`, false),
    ...validateUid(claimMappings, `${at}.uid`),
    ...validateExtra(claimMappings, `${at}.extra`),
    ...validateEmail(config, `${at}.username.expression`),
    ...userValidationRules.flatMap(({ expression }, i) =>
      expression === '' ? [required(`${path}.userValidationRules[${i}].expression`)] : [],
    ),
    ...repeats(userValidationRules, 'expression', `${path}.userValidationRules`),
  ]
}

function validateRule(rule: ClaimValidationRule, path: string): FieldError[] {
  const { claim = '', requiredValue = '', expression = '', message = '' } = rule
  if (claim !== '' && expression !== '') return [invalidValue(path, claim, BOTH)]
  if (claim === '' && expression === '') return [required(path, NEITHER)]
  if (claim !== '' && message !== '') {
    return [invalidValue(`${path}.message`, message, 'may not be specified when claim is set')]
  }
  if (expression === '' || requiredValue === '') return []
  const detail = 'may not be specified when expression is set'
  return [invalidValue(`${path}.requiredValue`, requiredValue, detail)]
}

function repeats(
  rules: readonly { readonly claim?: string; readonly expression?: string }[],
  field: 'claim' | 'expression',
  path: string,
): FieldError[] {
  const values = rules.map(rule => rule[field] ?? '')
  return values.flatMap((value, i) =>
    value !== '' && values.indexOf(value) < i ? [duplicate(`${path}[${i}].${field}`, value)] : [],
  )
}

function validateMapping(
  { claim = '', expression = '', prefix }: PrefixedClaimOrExpression,
  path: string,
  isRequired: boolean,
): FieldError[] {
  if (claim !== '' && expression !== '') return [invalidValue(path, '', BOTH)]
  if (claim === '' && expression === '') return isRequired ? [required(path, NEITHER)] : []
  if (expression === '')
    return prefix === undefined ? [required(`${path}.prefix`, PREFIX_NEEDED)] : []
  if (prefix === undefined) return []
  return [invalidValue(`${path}.prefix`, prefix, 'may not be specified when expression is set')]
}

function validateUid({ uid = {} }: ClaimMappings, path: string): FieldError[] {
  const isBoth = (uid.claim ?? '') !== '' && (uid.expression ?? '') !== ''
  return isBoth ? [invalidValue(path, '', BOTH)] : []
}

const RESERVED = 'k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use'

function validateExtra({ extra = [] }: ClaimMappings, path: string): FieldError[] {
  const keys = extra.map(({ key }) => key)
  return extra.flatMap(({ key, valueExpression }, i) => {
    const at = `${path}[${i}]`
    const isReserved = /^(?:[^/]*\.)?(?:k8s|kubernetes)\.io\//.test(key)
    const isRepeated = keys.indexOf(key) < i
    const isLower = key === key.toLowerCase()
    return [
      ...validateDomainPrefixedPath(key, `${at}.key`),
      ...(isLower ? [] : [invalidValue(`${at}.key`, key, 'must be lowercase')]),
      ...(isReserved ? [invalidValue(`${at}.key`, key, RESERVED)] : []),
      ...(isRepeated ? [duplicate(`${at}.key`, key)] : []),
      ...(valueExpression === '' && !isRepeated ? [required(`${at}.valueExpression`)] : []),
    ]
  })
}

/** Ref: apimachinery/pkg/util/validation/validation.go IsDomainPrefixedPath */
function validateDomainPrefixedPath(text: string, path: string): FieldError[] {
  if (text === '') return [required(path)]
  const cut = text.indexOf('/')
  if (cut <= 0 || cut === text.length - 1) {
    const detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
    return [invalidValue(path, text, detail)]
  }
  const [host, rest] = [text.slice(0, cut), text.slice(cut + 1)]
  const errors = isDns1123Subdomain(host).map(detail => invalidValue(path, host, detail))
  if (/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(rest)) return errors
  return [...errors, invalidValue(path, rest, 'Invalid path')]
}

const EMAIL = /\bclaims\s*\.\s*\??\s*email\b/
const EMAIL_VERIFIED = /\bclaims\s*\.\s*\??\s*email_verified\b/

/** An address names somebody only once it is verified, so a rule has to look. */
function validateEmail(
  { claimMappings, claimValidationRules = [] }: JwtAuthenticator,
  path: string,
): FieldError[] {
  const username = claimMappings.username.expression ?? ''
  const looking = [
    username,
    ...(claimMappings.extra ?? []).map(({ valueExpression }) => valueExpression),
    ...claimValidationRules.map(({ expression = '' }) => expression),
  ]
  if (!EMAIL.test(username) || looking.some(text => EMAIL_VERIFIED.test(text))) return []
  return [
    invalidValue(
      path,
      username,
      'claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression',
    ),
  ]
}
