// Acting as somebody else: reads the Impersonate-* headers, checks that the sender may, and gives the new user.
// Called by handler-chain.ts between authentication and authorization; calls the authorizer.
// Ref: apiserver/pkg/endpoints/filters/impersonation/{constrained_impersonation,mode}.go

import {
  badRequest,
  failure,
  isDns1123Label,
  isDns1123Subdomain,
  StatusError,
} from '@podless/apimachinery'
import { requestInfo } from '../request/request-info.ts'
import type { AuthorizationRequest, Authorizer, UserInfo } from '../resource.ts'
import type { Incoming } from '../serving/exchange.ts'
import { ANONYMOUS, AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP } from './authenticate.ts'
import { authorizationError, PRIVILEGED_GROUP } from './authorize.ts'
import { quoteList } from './policy-rule.ts'

const PREFIX = 'impersonate-'
const EXTRA_PREFIX = 'impersonate-extra-'
const NODE_NAME = 'authentication.kubernetes.io/node-name'
const AUTHENTICATION = { group: 'authentication.k8s.io', version: 'v1' }
const CORE = { group: '', version: 'v1' }

/** The user as the headers spell it, nothing filled in. */
interface Wanted {
  readonly name: string
  readonly uid: string
  readonly groups: readonly string[]
  readonly extra: ReadonlyMap<string, readonly string[]>
}

interface Attempt {
  readonly requestor: UserInfo
  readonly wanted: Wanted
  /** The request itself, which the constrained modes ask about as well. */
  readonly attributes: AuthorizationRequest
  readonly authorizer: Authorizer
}

/**
 * The user the request acts as: `user` itself without impersonation headers. Throws 400 when headers name no user,
 * 403 when the sender may not impersonate it.
 */
export function impersonate(
  user: UserInfo,
  request: Pick<Incoming, 'headersWithPrefix' | 'method' | 'target'>,
  authorizer: Authorizer,
): UserInfo {
  const headers = request.headersWithPrefix(PREFIX)
  if (headers.size === 0) return user
  const wanted = readHeaders(
    new Map([...headers].map(([name, values]) => [name, values.map(utf8Of)])),
  )
  if (wanted === undefined) return user
  const attributes = attributesOf(user, request)
  return firstAllowed({ requestor: user, wanted, attributes, authorizer })
}

/** A name in another script is UTF-8; the header came as Latin-1. */
const utf8Of = (value: string): string => Buffer.from(value, 'latin1').toString('utf8')

function attributesOf(
  user: UserInfo,
  { method, target }: Pick<Incoming, 'method' | 'target'>,
): AuthorizationRequest {
  const info = requestInfo(method, target)
  if (!info.isResource) return { user, verb: info.verb, path: info.path }
  const { group, name, namespace, resource, subresource, verb, version } = info
  return { user, verb, group, version, resource, subresource, name, namespace }
}

function readHeaders(headers: ReadonlyMap<string, readonly string[]>): Wanted | undefined {
  const extra = new Map<string, readonly string[]>()
  for (const [header, values] of headers) {
    if (!header.startsWith(EXTRA_PREFIX)) continue
    const key = unescapeKey(header.slice(EXTRA_PREFIX.length).toLowerCase())
    extra.set(key, [...(extra.get(key) ?? []), ...values])
  }
  const wanted: Wanted = {
    name: headers.get('impersonate-user')?.[0] ?? '',
    uid: headers.get('impersonate-uid')?.[0] ?? '',
    groups: headers.get('impersonate-group') ?? [],
    extra,
  }
  if (wanted.name !== '') return wanted
  if (wanted.uid === '' && wanted.groups.length === 0 && extra.size === 0) return undefined
  throw badRequest(`requested ${formatWanted(wanted)} without impersonating a user name`)
}

/** Percent-encoding lets a key have characters that a header name may not. A malformed one is taken as it is. */
function unescapeKey(key: string): string {
  return /%(?![0-9a-f]{2})/.test(key) ? key : Buffer.from(percentDecoded(key)).toString('utf8')
}

function percentDecoded(text: string): Uint8Array {
  const bytes = text.replaceAll(/%([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(bytes, 'latin1')
}

/** As Go prints the struct with %#v, which is what the message holds. */
function formatWanted({ extra, groups, uid }: Wanted): string {
  const list = (values: readonly string[]) =>
    `[]string{${quoteList(values).slice(1, -1).replaceAll('" "', '", "')}}`
  const entries = [...extra].sort(([a], [b]) => (a < b ? -1 : 1))
  const pairs = entries.map(([key, values]) => `${JSON.stringify(key)}:${list(values)}`)
  const shownGroups = groups.length === 0 ? '[]string(nil)' : list(groups)
  const shownExtra =
    pairs.length === 0 ? 'map[string][]string(nil)' : `map[string][]string{${pairs.join(', ')}}`
  return `&user.DefaultInfo{Name:"", UID:${JSON.stringify(uid)}, Groups:${shownGroups}, Extra:${shownExtra}}`
}

/** A way to impersonate. Undefined when the mode is not for this user; throws 403 when it is and is not allowed. */
type Mode = (attempt: Attempt) => UserInfo | undefined

/**
 * Modes from the narrowest right to the widest. The sender needs one of them;
 * when it has none, the first refusal is the one it is told.
 */
const MODES: readonly Mode[] = [
  constrained('associated-node', attempt => isOwnNode(attempt)),
  constrained(
    'arbitrary-node',
    ({ wanted }) => onlyName(wanted) && nodeName(wanted.name) !== undefined,
  ),
  constrained(
    'serviceaccount',
    ({ wanted }) => onlyName(wanted) && accountOf(wanted.name) !== undefined,
  ),
  constrained(
    'user-info',
    ({ wanted }) => nodeName(wanted.name) === undefined && accountOf(wanted.name) === undefined,
  ),
  attempt => impersonated(attempt, { verb: 'impersonate', mode: undefined }),
]

function firstAllowed(attempt: Attempt): UserInfo {
  let refusal: StatusError | undefined
  for (const mode of MODES) {
    try {
      const user = mode(attempt)
      if (user !== undefined) return user
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      refusal ??= error
    }
  }
  throw (
    refusal ??
    failure({ code: 403, reason: 'Forbidden', message: 'all impersonation modes failed' })
  )
}

/** Asks twice: may the sender make this request in the mode, and may it be this user in the mode. */
function constrained(mode: string, applies: (attempt: Attempt) => boolean): Mode {
  return attempt => {
    if (!applies(attempt)) return undefined
    const { attributes, authorizer } = attempt
    mustAllow(authorizer, { ...attributes, verb: `impersonate-on:${mode}:${attributes.verb}` })
    return impersonated(attempt, { verb: `impersonate:${mode}`, mode })
  }
}

interface Right {
  readonly verb: string
  /** Undefined for the old, unconstrained right. */
  readonly mode: string | undefined
}

/** Checks name, uid, groups and extra one by one, then fills in the groups that follow from the name. */
function impersonated(attempt: Attempt, right: Right): UserInfo {
  const { authorizer, requestor, wanted } = attempt
  const isConstrained = right.mode !== undefined
  const ask = { user: requestor, verb: right.verb }
  const nameAndGroups = isConstrained ? AUTHENTICATION : CORE
  const node = isConstrained ? nodeName(wanted.name) : undefined
  const account = accountOf(wanted.name)
  const named = { ...ask, ...nameAndGroups }
  if (node !== undefined) {
    // The right to be one's own node holds for whichever node that is.
    const name = right.mode === 'associated-node' ? '*' : node
    mustAllow(authorizer, { ...named, resource: 'nodes', name })
  } else if (account !== undefined) {
    mustAllow(authorizer, { ...named, resource: 'serviceaccounts', ...account })
  } else mustAllow(authorizer, { ...named, resource: 'users', name: wanted.name })
  if (wanted.uid !== '') {
    mustAllow(authorizer, { ...ask, ...AUTHENTICATION, resource: 'uids', name: wanted.uid })
  }
  const groupsRequest = { ...named, resource: 'groups' }
  if (isConstrained) refuseGroups(wanted.groups, groupsRequest)
  for (const group of wanted.groups) mustAllow(authorizer, { ...groupsRequest, name: group })
  const extraRequest = { ...ask, ...AUTHENTICATION, resource: 'userextras' }
  if (isConstrained) refuseExtra(wanted.extra, extraRequest)
  for (const [subresource, values] of wanted.extra) {
    for (const name of values) mustAllow(authorizer, { ...extraRequest, subresource, name })
  }
  return userOf(wanted, impliedGroups(wanted, node, account))
}

function impliedGroups(
  { groups }: Wanted,
  node: string | undefined,
  account: { readonly namespace: string } | undefined,
): readonly string[] {
  if (node !== undefined) return ['system:nodes']
  if (account === undefined || groups.length > 0) return groups
  return ['system:serviceaccounts', `system:serviceaccounts:${account.namespace}`]
}

function userOf(wanted: Wanted, groups: readonly string[]): UserInfo {
  const { extra, name, uid } = wanted
  return {
    name,
    ...(uid === '' ? {} : { uid }),
    groups: withStanding(name, groups),
    ...(extra.size === 0 ? {} : { extra: Object.fromEntries(extra) }),
  }
}

/** system:authenticated or its opposite, unless the groups say so already. */
function withStanding(name: string, groups: readonly string[]): readonly string[] {
  const isAnonymous = name === ANONYMOUS.name
  if (!isAnonymous && groups.includes(UNAUTHENTICATED_GROUP)) return groups
  const standing = isAnonymous ? UNAUTHENTICATED_GROUP : AUTHENTICATED_GROUP
  return groups.includes(standing) ? groups : [...groups, standing]
}

function mustAllow(authorizer: Authorizer, request: AuthorizationRequest): void {
  const { allowed, reason } = authorizer.authorize(request)
  if (!allowed) throw authorizationError(request, reason)
}

function refuseGroups(groups: readonly string[], request: AuthorizationRequest): void {
  if (groups.includes('')) {
    throw authorizationError(request, 'impersonating the empty string group is not allowed')
  }
  if (groups.includes(PRIVILEGED_GROUP)) {
    const why = 'impersonating the system:masters group is not allowed'
    throw authorizationError({ ...request, name: PRIVILEGED_GROUP }, why)
  }
}

function refuseExtra(
  extra: ReadonlyMap<string, readonly string[]>,
  request: AuthorizationRequest,
): void {
  for (const [key, values] of extra) {
    const why = extraProblem(key, values)
    if (why !== undefined) throw authorizationError(request, why)
  }
}

function extraProblem(key: string, values: readonly string[]): string | undefined {
  if (key === '') return 'impersonating the empty string key in extra is not allowed'
  const [domain = '', ...path] = key.split('/')
  const isPath = path.length > 0 && isDns1123Subdomain(domain).length === 0
  if (!isPath || !/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(path.join('/'))) {
    const detail = `Invalid value: ${JSON.stringify(key)}: must be a domain-prefixed path (such as "acme.io/foo")`
    return `impersonating an invalid key in extra is not allowed: extra.key: ${detail}`
  }
  if (values.includes('')) return 'impersonating the empty string value in extra is not allowed'
  return undefined
}

function onlyName({ extra, groups, uid }: Wanted): boolean {
  return uid === '' && groups.length === 0 && extra.size === 0
}

/** A ServiceAccount whose token names the very node it asks to be. */
function isOwnNode({ requestor, wanted }: Attempt): boolean {
  const node = nodeName(wanted.name)
  if (node === undefined || !onlyName(wanted) || accountOf(requestor.name) === undefined)
    return false
  const [own, ...others] = requestor.extra?.[NODE_NAME] ?? []
  return own === node && others.length === 0
}

function nodeName(user: string): string | undefined {
  const prefix = 'system:node:'
  if (!user.startsWith(prefix)) return undefined
  const name = user.slice(prefix.length)
  return isDns1123Subdomain(name).length === 0 ? name : undefined
}

function accountOf(user: string): { namespace: string; name: string } | undefined {
  const prefix = 'system:serviceaccount:'
  if (!user.startsWith(prefix)) return undefined
  const [namespace = '', name = '', ...rest] = user.slice(prefix.length).split(':')
  const isAccount = isDns1123Label(namespace).length === 0 && isDns1123Subdomain(name).length === 0
  return isAccount && rest.length === 0 ? { namespace, name } : undefined
}
