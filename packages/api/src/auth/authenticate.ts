// Who sends this request? A client certificate, a bearer token, a token in a WebSocket subprotocol, or nobody.
// Called by handler-chain.ts; the same token check serves TokenReview. Calls @podless/identity and object look-ups.
// Ref: apiserver/pkg/authentication/request/*, kubernetes/pkg/serviceaccount/{claims,legacy}.go

import { timingSafeEqual } from 'node:crypto'
import { type KubeObject, unauthorized } from '@podless/apimachinery'
import {
  INVALID_TOKEN,
  matchAudiences,
  parseCertificate,
  readClientCertificate,
  type ServiceAccountTokens,
  subjectName,
  type VerifiedToken,
} from '@podless/identity'
import type { Services, TokenService, UserInfo } from '../resource.ts'
import type { Incoming, PeerCertificate } from '../serving/exchange.ts'
import type { TokenAuthenticator, TokenUse } from './token-authenticator.ts'

export const AUTHENTICATED_GROUP = 'system:authenticated'
export const UNAUTHENTICATED_GROUP = 'system:unauthenticated'
export const ANONYMOUS: UserInfo = {
  name: 'system:anonymous',
  groups: [UNAUTHENTICATED_GROUP],
}

const CREDENTIAL_ID = 'authentication.kubernetes.io/credential-id'
/** Browsers cannot set headers on a WebSocket, so they offer the token as a subprotocol. */
const BEARER_PROTOCOL = 'base64url.bearer.authorization.k8s.io.'
/** Objects marked deleted count as there for this long, as clocks differ. */
const DELETION_LEEWAY_MS = 60_000

/** The parts of a request that say who sends it. */
export type Credentials = Pick<Incoming, 'header' | 'peer'> &
  Partial<Pick<Incoming, 'method' | 'target'>>

export interface Authenticator {
  /** The user, system:anonymous without any credential. Rejects with 401 when none of the credentials holds. */
  authenticate(request: Credentials): Promise<UserInfo>
  /** Whom a connection's certificate names by itself; undefined without one that holds. */
  holder(peer: PeerCertificate | undefined): UserInfo | undefined
}

type Outcome =
  | { readonly user: UserInfo; readonly serial?: string }
  | { readonly error: string }
  | undefined

/**
 * Tries client certificate, bearer token and WebSocket token in this order; the first that holds wins.
 * `onFailure` gets the reason that the client is not told.
 */
export function createAuthenticator(options: {
  readonly tokens: Pick<TokenCheck, 'authenticate'>
  /** Whether a request for this path may come without credentials. Default: any may. */
  readonly allowsAnonymous?: (path: string) => boolean
  /** Whether a client certificate of this serial number (upper-case hex) is good no more; asked for every request. */
  readonly isRevoked?: (serial: string) => boolean
  /** Why the user of a certificate is nobody any more, or undefined; asked for every request. */
  readonly problemOf?: (user: UserInfo) => string | undefined
  readonly onFailure?: (reason: string) => void
  readonly now: () => Date
}): Authenticator {
  const { tokens, allowsAnonymous, isRevoked, problemOf, onFailure } = options
  const certificates = new WeakMap<Buffer, Outcome>()
  const isCurrent = certificateClock(options.now)
  const byCertificate = (peer: PeerCertificate | undefined): Outcome => {
    if (peer === undefined) return undefined
    if (!peer.trusted) return { error: 'x509: certificate signed by unknown authority' }
    if (!isCurrent(peer.der)) return { error: 'x509: certificate has expired or is not yet valid' }
    // The bytes stand for the connection: they are read once, not once a request.
    if (!certificates.has(peer.der)) certificates.set(peer.der, certificateUser(peer.der))
    const known = certificates.get(peer.der)
    if (known === undefined || 'error' in known) return known
    const isGone = known.serial !== undefined && isRevoked?.(known.serial) === true
    if (isGone) return { error: 'x509: certificate has been revoked' }
    const problem = problemOf?.(known.user)
    return problem === undefined ? known : { error: problem }
  }
  const byToken = async (found: FoundToken, { method }: Credentials): Promise<Outcome> => {
    if (found === undefined || 'error' in found) return found
    return await tokens.authenticate(found.token, [], { isRead: READS.has(method ?? '') })
  }
  return {
    holder(peer) {
      const outcome = byCertificate(peer)
      return outcome !== undefined && 'user' in outcome ? outcome.user : undefined
    },
    async authenticate(request) {
      const errors: string[] = []
      const methods = [
        () => byCertificate(request.peer),
        () => byToken(bearerToken(request), request),
        () => byToken(protocolToken(request), request),
      ]
      for (const method of methods) {
        const outcome = await method()
        if (outcome === undefined) continue
        if ('user' in outcome) return withAuthenticatedGroup(outcome.user)
        errors.push(outcome.error)
      }
      const isAllowed = allowsAnonymous?.(pathOf(request)) ?? true
      if (errors.length === 0 && isAllowed) return ANONYMOUS
      onFailure?.(errors.join(', '))
      throw unauthorized()
    },
  }
}

type FoundToken = { readonly token: string } | { readonly error: string } | undefined

/** HTTP methods that change nothing. */
const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

const pathOf = ({ target = '' }: Credentials): string => target.replace(/\?.*$/s, '')

/** Any other scheme is not ours to judge and leaves the request anonymous. */
function bearerToken(request: Credentials): FoundToken {
  const [scheme = '', token = ''] = (request.header('authorization') ?? '').trim().split(' ', 2)
  return scheme.toLowerCase() === 'bearer' && token !== '' ? { token } : undefined
}

/** Ref: apiserver/pkg/authentication/request/websocket/protocol.go */
function protocolToken(request: Credentials): FoundToken {
  if (request.header('upgrade')?.toLowerCase() !== 'websocket') return undefined
  const offered = protocolsOf(request.header('sec-websocket-protocol'))
  const encoded = offered.filter(isTokenProtocol).map(offer => offer.slice(BEARER_PROTOCOL.length))
  const [first, second] = encoded
  if (first === undefined) return undefined
  if (second !== undefined)
    return { error: 'multiple base64.bearer.authorization tokens specified' }
  if (!/^[A-Za-z0-9_-]+$/.test(first)) {
    return { error: 'invalid base64.bearer.authorization token encoding' }
  }
  if (encoded.length === offered.length) return { error: 'missing additional subprotocol' }
  return { token: Buffer.from(first, 'base64url').toString('utf8') }
}

/** The subprotocols a WebSocket server may choose from: those offered, but never the one that is a token. */
export function selectableProtocols(header: string | undefined): string[] {
  return protocolsOf(header).filter(offer => !isTokenProtocol(offer))
}

const isTokenProtocol = (offer: string): boolean => offer.startsWith(BEARER_PROTOCOL)

function protocolsOf(header: string | undefined): string[] {
  return (header ?? '')
    .split(',')
    .map(offer => offer.trim())
    .filter(offer => offer !== '')
}

/** TLS looks at the dates once, and a connection or a resumed session may outlive them: they count at each request. */
function certificateClock(now: () => Date): (der: Buffer) => boolean {
  const validity = new WeakMap<Buffer, { readonly from: number; readonly to: number }>()
  return der => {
    let known = validity.get(der)
    if (known === undefined) {
      const certificate = parseCertificate(der)
      // What cannot be read names nobody.
      if (certificate === undefined) return true
      known = { from: Date.parse(certificate.validFrom), to: Date.parse(certificate.validTo) }
      validity.set(der, known)
    }
    const time = now().getTime()
    return known.from <= time && time <= known.to
  }
}

function certificateUser(der: Buffer): Outcome {
  const identity = readClientCertificate(der)
  // A certificate without a common name proves nothing about its holder, so other credentials decide.
  if (identity === undefined) return undefined
  const { fingerprint, groups, uid, user, serial } = identity
  const extra = { [CREDENTIAL_ID]: [`X509SHA256=${fingerprint}`] }
  return { user: { name: user, ...(uid === undefined ? {} : { uid }), groups, extra }, serial }
}

/** Adds system:authenticated, unless the groups already say whether the user is. */
function withAuthenticatedGroup(user: UserInfo): UserInfo {
  if (user.name === ANONYMOUS.name) return user
  const says = [AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP]
  if (user.groups.some(group => says.includes(group))) return user
  return { ...user, groups: [...user.groups, AUTHENTICATED_GROUP] }
}

type Checked =
  | { readonly user: UserInfo; readonly audiences: readonly string[] }
  | { readonly error: string }

export interface TokenCheck extends TokenService {
  /** A ServiceAccount's token, without waiting; the error is the one reason, for the log. */
  check(token: string, audiences: readonly string[]): Checked
  /** A token of any kind; the error is for the log. */
  authenticate(token: string, audiences: readonly string[], use: TokenUse): Promise<Checked>
}

/** Issues and checks ServiceAccount tokens against the objects that `lookup` sees, and asks `others` about the rest. */
export function createTokenService(options: {
  readonly tokens: ServiceAccountTokens
  readonly lookup: Services['lookup']
  readonly now: () => Date
  /** Audiences of this server; the issuer by default. */
  readonly audiences?: readonly string[]
  /** Kinds of tokens besides; none of them knows audiences, so theirs are the server's. */
  readonly others?: readonly TokenAuthenticator[]
}): TokenCheck {
  const { tokens, lookup, now, others = [] } = options
  const own = options.audiences ?? [tokens.issuer]
  const find: Find = (resource, namespace, name) =>
    lookup({ group: '', version: 'v1', resource }, namespace, name)
  const check = (text: string, wanted: readonly string[]): Checked => {
    const verified = tokens.verify(text)
    if ('error' in verified) return verified
    const matched = matchAudiences(verified.token, { wanted, own })
    if ('error' in matched) return matched
    const gone = invalidation(verified.token, text, { find, now: now() })
    if (gone !== undefined) return { error: gone }
    return { user: withAuthenticatedGroup(tokenUser(verified.token)), audiences: matched.audiences }
  }
  const reasonsOrUser = async (
    token: string,
    wanted: readonly string[],
    use: TokenUse,
  ): Promise<Checked | readonly string[]> => {
    const first = check(token, wanted)
    if (!('error' in first)) return first
    const reasons = first.error === INVALID_TOKEN ? [] : [first.error]
    const audiences = wanted.length === 0 ? own : own.filter(audience => wanted.includes(audience))
    if (audiences.length === 0) return reasons
    for (const other of others) {
      const outcome = await other.authenticate(token, use)
      if (outcome === undefined) continue
      if ('user' in outcome) return { user: withAuthenticatedGroup(outcome.user), audiences }
      reasons.push(outcome.error)
    }
    return reasons
  }
  return {
    audiences: own,
    check,
    async authenticate(token, audiences, use) {
      const result = await reasonsOrUser(token, audiences, use)
      return isReasons(result) ? { error: result.join(', ') || INVALID_TOKEN } : result
    },
    async review(token, audiences) {
      const result = await reasonsOrUser(token, audiences, { isRead: true })
      if (!isReasons(result)) return result
      // Upstream asks several authenticators and lists what each of them said.
      const said = [INVALID_TOKEN, ...result]
      return { error: said.length === 1 ? INVALID_TOKEN : `[${said.join(', ')}]` }
    },
    async issue({ bound, node, ...request }) {
      const claim = bound === undefined ? {} : boundClaim(bound)
      const audiences = request.audiences.length === 0 ? own : request.audiences
      return tokens.sign({
        ...request,
        audiences,
        ...(node === undefined ? {} : { node }),
        ...claim,
      })
    },
  }
}

const isReasons = (result: Checked | readonly string[]): result is readonly string[] =>
  Array.isArray(result)

type BoundReference = NonNullable<Parameters<TokenService['issue']>[0]['bound']>

const BOUND_CLAIMS: Readonly<Record<string, 'pod' | 'secret' | 'node'>> = {
  Pod: 'pod',
  Secret: 'secret',
  Node: 'node',
}

function boundClaim({ kind, name, uid }: BoundReference): Record<string, unknown> {
  const claim = BOUND_CLAIMS[kind]
  return claim === undefined ? {} : { [claim]: { name, uid } }
}

type Find = (resource: string, namespace: string, name: string) => KubeObject | undefined

interface World {
  readonly find: Find
  readonly now: Date
}

const INVALIDATED = 'service account token has been invalidated'

/** Why a well-signed token is worth nothing any more: an object it stands on is gone or another one. */
function invalidation(token: VerifiedToken, text: string, world: World): string | undefined {
  const { legacySecret, namespace, node, pod, secret, serviceAccount } = token
  const { name, uid } = serviceAccount
  const account = world.find('serviceaccounts', namespace, name)
  if (account === undefined) return `serviceaccounts ${JSON.stringify(name)} not found`
  if (isDeleted(account, world.now)) return `service account ${namespace}/${name} has been deleted`
  if (account.metadata.uid !== uid) {
    return `service account UID (${account.metadata.uid}) does not match claim (${uid})`
  }
  if (legacySecret !== undefined) {
    return secretHolds(world.find('secrets', namespace, legacySecret), text, world.now)
      ? undefined
      : INVALIDATED
  }
  if (secret !== undefined) {
    const found = world.find('secrets', namespace, secret.name)
    const gone = boundInvalidation('secret', found, secret.uid, world.now)
    if (gone !== undefined) return gone
  }
  if (pod !== undefined) {
    return boundInvalidation('pod', world.find('pods', namespace, pod.name), pod.uid, world.now)
  }
  // The node of a pod is information; only a token bound to the node itself stands on it.
  if (node === undefined) return undefined
  return boundInvalidation('node', world.find('nodes', '', node.name), node.uid ?? '', world.now)
}

function boundInvalidation(
  kind: string,
  found: KubeObject | undefined,
  uid: string,
  now: Date,
): string | undefined {
  if (found === undefined || isDeleted(found, now)) return INVALIDATED
  if (found.metadata.uid === uid) return undefined
  return `${kind} UID (${found.metadata.uid}) does not match service account ${kind} ref claim (${uid})`
}

/** The Secret must still hold this very token: that is how a token without an end is revoked. */
function secretHolds(secret: KubeObject | undefined, token: string, now: Date): boolean {
  if (secret === undefined || isDeleted(secret, now)) return false
  const data: unknown = secret.data
  const held = typeof data === 'object' && data !== null && 'token' in data ? data.token : undefined
  if (typeof held !== 'string') return false
  const stored = Buffer.from(held, 'base64')
  const given = Buffer.from(token, 'utf8')
  return stored.length === given.length && timingSafeEqual(stored, given)
}

function isDeleted({ metadata }: KubeObject, now: Date): boolean {
  const { deletionTimestamp } = metadata
  if (deletionTimestamp === undefined) return false
  return Date.parse(deletionTimestamp) < now.getTime() - DELETION_LEEWAY_MS
}

/** Ref: apiserver/pkg/authentication/serviceaccount/util.go UserInfo */
function tokenUser({ id, namespace, node, pod, serviceAccount }: VerifiedToken): UserInfo {
  const prefix = 'authentication.kubernetes.io'
  const extra: Record<string, readonly string[]> = {}
  if (pod !== undefined) {
    extra[`${prefix}/pod-name`] = [pod.name]
    extra[`${prefix}/pod-uid`] = [pod.uid]
  }
  if (id !== undefined) extra[CREDENTIAL_ID] = [`JTI=${id}`]
  if (node !== undefined) extra[`${prefix}/node-name`] = [node.name]
  if (node?.uid !== undefined) extra[`${prefix}/node-uid`] = [node.uid]
  return {
    name: subjectName(namespace, serviceAccount.name),
    uid: serviceAccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  }
}
