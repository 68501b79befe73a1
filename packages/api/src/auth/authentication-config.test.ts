// What is wrong with an AuthenticationConfiguration, in upstream's words.
// Ref: apiserver/pkg/apis/apiserver/validation/validation_test.go

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatFieldError } from '@podless/apimachinery'
import type {
  AuthenticationConfiguration,
  ClaimMappings,
  JwtAuthenticator,
  TokenIssuer,
} from './authentication-config.ts'
import { JwtAuthenticators } from './jwt-authenticators.ts'

const OWN = 'https://kubernetes.default.svc'

function errorsOf(config: AuthenticationConfiguration): string[] {
  const log = { warn: () => undefined }
  const issuers = new JwtAuthenticators({ disallowedIssuers: [OWN], log, now: () => new Date(0) })
  return issuers.replace(config).map(formatFieldError)
}

const ISSUER: TokenIssuer = { url: 'https://issuer.example', audiences: ['a'] }
const USERNAME = { claim: 'sub', prefix: '' }
const jwt = (more: Partial<JwtAuthenticator> = {}): JwtAuthenticator => ({
  issuer: ISSUER,
  claimMappings: { username: USERNAME },
  ...more,
})
const ofIssuer = (issuer: Partial<TokenIssuer>): string[] =>
  errorsOf({ jwt: [jwt({ issuer: { ...ISSUER, ...issuer } })] })
const ofMappings = (mappings: Partial<ClaimMappings>): string[] =>
  errorsOf({ jwt: [jwt({ claimMappings: { username: USERNAME, ...mappings } })] })
const first = (errors: readonly string[]): string => errors[0]?.split('\n')[0] ?? 'none'

describe('JwtAuthenticators.replace()', () => {
  it('takes what is right', () => {
    assert.deepEqual(errorsOf({}), [])
    assert.deepEqual(errorsOf({ jwt: [jwt()] }), [])
  })

  const issuers: readonly (readonly [Partial<TokenIssuer>, string])[] = [
    [{ url: '' }, 'jwt[0].issuer.url: Required value'],
    [
      { url: OWN },
      `jwt[0].issuer.url: Invalid value: "${OWN}": URL must not overlap with disallowed issuers: [${OWN}]`,
    ],
    [{ url: 'nothing' }, 'jwt[0].issuer.url: Invalid value: "nothing": URL cannot be parsed'],
    [
      { url: 'https://u:p@x' },
      'jwt[0].issuer.url: Invalid value: "https://u:p@x": URL must not contain a username or password',
    ],
    [
      { url: 'https://x/?q=1' },
      'jwt[0].issuer.url: Invalid value: "https://x/?q=1": URL must not contain a query',
    ],
    [
      { url: 'https://x/#f' },
      'jwt[0].issuer.url: Invalid value: "https://x/#f": URL must not contain a fragment',
    ],
    [
      { discoveryURL: 'https://issuer.example/' },
      'jwt[0].issuer.discoveryURL: Invalid value: "https://issuer.example/": discoveryURL must be different from URL',
    ],
    [
      { audiences: [] },
      'jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required',
    ],
    [{ audiences: [''] }, 'jwt[0].issuer.audiences[0]: Required value'],
    [
      { audiences: ['a', 'a'], audienceMatchPolicy: 'MatchAny' },
      'jwt[0].issuer.audiences[1]: Duplicate value: "a"',
    ],
    [
      { audiences: ['a', 'b'] },
      'jwt[0].issuer.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny for multiple audiences',
    ],
    [
      { audienceMatchPolicy: 'All' },
      'jwt[0].issuer.audienceMatchPolicy: Invalid value: "All": audienceMatchPolicy must be empty or MatchAny for single audience',
    ],
    [
      { certificateAuthority: 'x' },
      'jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": data does not contain any valid RSA or ECDSA certificates',
    ],
  ]
  for (const [issuer, error] of issuers) {
    it(`refuses ${error}`, () => assert.deepEqual(ofIssuer(issuer), [error]))
  }

  const at = 'jwt[0].claimMappings'
  const both = 'Invalid value: "": claim and expression can\'t both be set'
  const mappings: readonly (readonly [Partial<ClaimMappings>, string])[] = [
    [{ username: {} }, `${at}.username: Required value: claim or expression is required`],
    [{ username: { claim: 'a', expression: 'claims.a' } }, `${at}.username: ${both}`],
    [
      { username: { claim: 'a' } },
      `${at}.username.prefix: Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing`,
    ],
    [
      { groups: { expression: 'claims.a', prefix: 'x' } },
      `${at}.groups.prefix: Invalid value: "x": may not be specified when expression is set`,
    ],
    [{ uid: { claim: 'a', expression: 'claims.a' } }, `${at}.uid: ${both}`],
    [
      { username: { expression: 'claim.a' } },
      `${at}.username.expression: Invalid value: "claim.a": compilation failed: ERROR: <input>:1:1: undeclared reference to 'claim' (in container '')`,
    ],
    [
      { username: { expression: 'claims.email' } },
      `${at}.username.expression: Invalid value: "claims.email": claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression`,
    ],
    [{ extra: [{ key: '', valueExpression: '"x"' }] }, `${at}.extra[0].key: Required value`],
    [
      { extra: [{ key: 'foo', valueExpression: '"x"' }] },
      `${at}.extra[0].key: Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")`,
    ],
    [
      { extra: [{ key: 'x.io/Foo', valueExpression: '"x"' }] },
      `${at}.extra[0].key: Invalid value: "x.io/Foo": must be lowercase`,
    ],
    [
      { extra: [{ key: 'a.k8s.io/foo', valueExpression: '"x"' }] },
      `${at}.extra[0].key: Invalid value: "a.k8s.io/foo": k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use`,
    ],
    [
      { extra: [{ key: 'x.io/foo', valueExpression: '' }] },
      `${at}.extra[0].valueExpression: Required value`,
    ],
    [
      { extra: [1, 2].map(n => ({ key: 'x.io/foo', valueExpression: `"${n}"` })) },
      `${at}.extra[1].key: Duplicate value: "x.io/foo"`,
    ],
  ]
  for (const [mapping, error] of mappings) {
    it(`refuses ${error}`, () => assert.equal(first(ofMappings(mapping)), error))
  }

  it('takes an address that a rule looks at', () => {
    for (const verified of [
      'claims.email_verified == true',
      'claims.?email_verified.orValue(true)',
    ]) {
      const expression = `${verified} ? claims.email : ""`
      assert.deepEqual(ofMappings({ username: { expression } }), [])
    }
  })

  const rules: readonly (readonly [JwtAuthenticator['claimValidationRules'], string])[] = [
    [[{}], ': Required value: claim or expression is required'],
    [
      [{ claim: 'a', expression: 'true' }],
      ': Invalid value: "a": claim and expression can\'t both be set',
    ],
    [
      [{ claim: 'a', message: 'm' }],
      '.message: Invalid value: "m": may not be specified when claim is set',
    ],
    [
      [{ expression: 'true', requiredValue: 'v' }],
      '.requiredValue: Invalid value: "v": may not be specified when expression is set',
    ],
    [[{ expression: 'claims.a' }], '.expression: Invalid value: "claims.a": must evaluate to bool'],
  ]
  for (const [claimValidationRules = [], error] of rules) {
    it(`refuses claimValidationRules[0]${error}`, () => {
      const errors = errorsOf({ jwt: [jwt({ claimValidationRules })] })
      assert.deepEqual(errors, [`jwt[0].claimValidationRules[0]${error}`])
    })
  }

  it('refuses rules that are there twice, and fields that a user has not', () => {
    const twice = [{ expression: 'true' }, { expression: 'true' }]
    assert.deepEqual(errorsOf({ jwt: [jwt({ claimValidationRules: twice })] }), [
      'jwt[0].claimValidationRules[1].expression: Duplicate value: "true"',
    ])
    const userValidationRules = [{ expression: 'user.name == ""' }, { expression: '' }]
    const [missing, odd] = errorsOf({ jwt: [jwt({ userValidationRules })] })
    assert.equal(missing, 'jwt[0].userValidationRules[1].expression: Required value')
    assert.match(odd ?? '', /undefined field 'name'/)
  })

  it('refuses one issuer twice, too many, and paths for nobody', () => {
    const issuer = { ...ISSUER, discoveryURL: 'https://x' }
    assert.deepEqual(errorsOf({ jwt: [jwt({ issuer }), jwt({ issuer })] }), [
      'jwt[1].issuer.url: Duplicate value: "https://issuer.example"',
      'jwt[1].issuer.discoveryURL: Duplicate value: "https://x"',
    ])
    const many = Array.from({ length: 65 }, () => jwt())
    assert.deepEqual(errorsOf({ jwt: many }), ['jwt: Too many: 65: must have at most 64 items'])
    const conditions = [{ path: '/livez' }]
    assert.deepEqual(errorsOf({ anonymous: { enabled: false, conditions } }), [
      'anonymous.conditions: Invalid value: [{"path":"/livez"}]: enabled should be set to true when conditions are defined',
    ])
  })
})
