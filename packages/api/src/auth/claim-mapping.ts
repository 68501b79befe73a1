// From the claims of a verified token to a user: claims and CEL expressions that name it, and rules that may refuse it.
// Compiled once from an AuthenticationConfiguration by jwt-authenticators.ts; pure. claim-validation.ts says what is wrong.
// Ref: apiserver/plugin/pkg/authenticator/token/oidc/oidc.go AuthenticateToken

import {
  type CelProgram,
  type CelVariable,
  type CompileOptions,
  compileCel,
  type FieldError,
  invalidValue,
  type JsonObject,
  PER_CALL_LIMIT,
  RUNTIME_COST_BUDGET,
  type SchemaNode,
  stringsOf,
} from '@podless/apimachinery'
import type { UserInfo } from '../resource.ts'
import type { JwtAuthenticator, PrefixedClaimOrExpression } from './authentication-config.ts'
import { validateClaims } from './claim-validation.ts'

const CREDENTIAL_ID = 'authentication.kubernetes.io/credential-id'

const TEXT: SchemaNode = { type: 'string' }
const TEXTS: SchemaNode = { type: 'array', items: TEXT }
const USER: SchemaNode = {
  type: 'object',
  properties: new Map<string, SchemaNode>([
    ['username', TEXT],
    ['uid', TEXT],
    ['groups', TEXTS],
    ['extra', { type: 'object', additionalProperties: TEXTS }],
  ]),
}

export type MappedUser = { readonly user: UserInfo } | { readonly error: string }
export type ClaimMapper = (claims: JsonObject) => MappedUser

/** A token that is well signed and yet names nobody. The message is for the log. */
class ClaimError extends Error {}

/** The mapper, or what is wrong with the configuration below `path`. */
export function compileClaims(
  config: JwtAuthenticator,
  path: string,
): { readonly mapper: ClaimMapper } | { readonly errors: readonly FieldError[] } {
  const compiler = new Compiler()
  const programs = compileAll(config, path, compiler)
  const errors = [...validateClaims(config, path), ...compiler.errors]
  if (errors.length > 0) return { errors }
  return { mapper: claims => mapped(() => userOf(claims, config, programs)) }
}

function mapped(run: () => UserInfo): MappedUser {
  try {
    return { user: run() }
  } catch (error) {
    if (error instanceof ClaimError) return { error: error.message }
    throw error
  }
}

/** Compiles expressions and keeps what is wrong with them. */
class Compiler {
  readonly errors: FieldError[] = []

  compile(
    expression: string | undefined,
    path: string,
    options: { readonly of: 'claims' | 'user'; readonly result: CompileOptions['result'] },
  ): CelProgram | undefined {
    if (expression === undefined || expression === '') return undefined
    const type: CelVariable = options.of === 'user' ? USER : 'dyn'
    const { result } = options
    const compiled = compileCel(expression, { variables: { [options.of]: type }, result })
    if (compiled.ok) return compiled.program
    const detail =
      compiled.reason === 'result-type'
        ? `must evaluate to ${result}`
        : `compilation failed: ${compiled.error}`
    this.errors.push(invalidValue(path, expression, detail))
    return undefined
  }
}

interface Rule {
  readonly program: CelProgram
  readonly expression: string
  readonly message: string
}

interface Programs {
  readonly username: CelProgram | undefined
  readonly groups: CelProgram | undefined
  readonly uid: CelProgram | undefined
  readonly extra: readonly { readonly key: string; readonly program: CelProgram }[]
  readonly claimRules: readonly Rule[]
  readonly userRules: readonly Rule[]
}

function compileAll(config: JwtAuthenticator, path: string, compiler: Compiler): Programs {
  const { username, groups, uid, extra = [] } = config.claimMappings
  const at = `${path}.claimMappings`
  const any = { of: 'claims', result: 'any' } as const
  const rules = (of: 'claims' | 'user', field: 'claimValidationRules' | 'userValidationRules') =>
    (config[field] ?? []).flatMap(({ expression = '', message = '' }, i): Rule[] => {
      const place = `${path}.${field}[${i}].expression`
      const program = compiler.compile(expression, place, { of, result: 'bool' })
      return program === undefined ? [] : [{ program, expression, message }]
    })
  return {
    claimRules: rules('claims', 'claimValidationRules'),
    username: compiler.compile(username.expression, `${at}.username.expression`, any),
    groups: compiler.compile(groups?.expression, `${at}.groups.expression`, any),
    uid: compiler.compile(uid?.expression, `${at}.uid.expression`, any),
    extra: extra.flatMap(({ key, valueExpression }, i) => {
      const program = compiler.compile(valueExpression, `${at}.extra[${i}].valueExpression`, any)
      return program === undefined ? [] : [{ key, program }]
    }),
    userRules: rules('user', 'userValidationRules'),
  }
}

function userOf(claims: JsonObject, config: JwtAuthenticator, programs: Programs): UserInfo {
  const { claimMappings, claimValidationRules = [] } = config
  const name = usernameOf(claims, claimMappings.username, programs.username)
  const groups = groupsOf(claims, claimMappings.groups ?? {}, programs.groups)
  const uid = uidOf(claims, claimMappings.uid?.claim ?? '', programs.uid)
  const extra = extraOf(claims, programs.extra)
  for (const { claim = '', requiredValue = '' } of claimValidationRules) {
    if (claim !== '') requireClaim(claims, claim, requiredValue)
  }
  checkRules(programs.claimRules, { claims }, 'claim validation expression')
  const user = {
    name,
    ...(uid === '' ? {} : { uid }),
    groups,
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  }
  const asObject = { username: name, uid, groups, extra }
  checkRules(programs.userRules, { user: asObject }, 'user info validation rule')
  return user
}

function textClaim(claims: JsonObject, claim: string, what: string): string {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined
  if (value === undefined) {
    throw new ClaimError(`oidc: parse ${what} ${JSON.stringify(claim)}: claim not present`)
  }
  if (typeof value === 'string') return value
  throw new ClaimError(`oidc: parse ${what} ${JSON.stringify(claim)}: it is no string`)
}

function usernameOf(
  claims: JsonObject,
  { claim = '', prefix = '' }: PrefixedClaimOrExpression,
  program: CelProgram | undefined,
): string {
  if (program !== undefined) {
    const name = evaluate(program, { claims }, 'username claim expression')
    if (typeof name !== 'string') {
      throw new ClaimError(
        'oidc: error evaluating username claim expression: username claim expression must return a string',
      )
    }
    if (name === '') throw new ClaimError('oidc: empty username via CEL expression is not allowed')
    return name
  }
  const name = textClaim(claims, claim, 'username claims')
  // An address that the provider has not verified may be anybody's.
  if (claim === 'email' && Object.hasOwn(claims, 'email_verified')) {
    if (claims.email_verified !== true) throw new ClaimError('oidc: email not verified')
  }
  return prefix + name
}

function groupsOf(
  claims: JsonObject,
  { claim = '', prefix = '' }: PrefixedClaimOrExpression,
  program: CelProgram | undefined,
): string[] {
  if (claim !== '' && Object.hasOwn(claims, claim)) {
    const value = claims[claim]
    const groups = Array.isArray(value) ? value : [value]
    return groups.map(group => {
      if (typeof group === 'string') return prefix + group
      throw new ClaimError(`oidc: parse groups claim ${JSON.stringify(claim)}: it holds no strings`)
    })
  }
  return program === undefined ? [] : texts(program, claims, 'group claim expression')
}

function uidOf(claims: JsonObject, claim: string, program: CelProgram | undefined): string {
  if (claim !== '') return textClaim(claims, claim, 'uid claim')
  if (program === undefined) return ''
  const uid = evaluate(program, { claims }, 'uid claim expression')
  if (typeof uid === 'string') return uid
  throw new ClaimError(
    'oidc: error evaluating uid claim expression: uid claim expression must return a string',
  )
}

function extraOf(claims: JsonObject, mappings: Programs['extra']): Record<string, string[]> {
  const extra: Record<string, string[]> = {}
  const { jti } = claims
  if (typeof jti === 'string' && jti !== '') extra[CREDENTIAL_ID] = [`JTI=${jti}`]
  for (const { key, program } of mappings) {
    const values = texts(program, claims, 'extra claim expression')
    if (values.length > 0) extra[key] = values
  }
  return extra
}

function requireClaim(claims: JsonObject, claim: string, wanted: string): void {
  if (!Object.hasOwn(claims, claim)) {
    throw new ClaimError(`oidc: required claim ${claim} not present in ID token`)
  }
  if (claims[claim] !== wanted) {
    throw new ClaimError(`oidc: required claim ${claim} value does not match, want = ${wanted}`)
  }
}

/** Strings that are empty count as absent. */
function texts(program: CelProgram, claims: JsonObject, what: string): string[] {
  const found = stringsOf(evaluate(program, { claims }, what))
  if (found !== undefined) return found.filter(text => text !== '')
  throw new ClaimError(
    `oidc: error evaluating ${what}: expression must return a string or a list of strings`,
  )
}

function checkRules(rules: readonly Rule[], bindings: JsonObject, what: string): void {
  for (const { program, expression, message } of rules) {
    if (evaluate(program, bindings, what) === true) continue
    throw new ClaimError(
      `oidc: error evaluating ${what}: validation expression '${expression}' failed: ${message}`,
    )
  }
}

function evaluate(program: CelProgram, bindings: JsonObject, what: string): unknown {
  const budget = { remaining: RUNTIME_COST_BUDGET, perCall: PER_CALL_LIMIT }
  const result = program.evaluate(bindings, budget)
  if (result.ok) return result.value
  throw new ClaimError(`oidc: error evaluating ${what}: ${result.error}`)
}
