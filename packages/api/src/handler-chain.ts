// The order of everything a request goes through. It is the security model, so it is written once, top to bottom.
// server.ts calls it with an Incoming and gets a Reply, always; verbs/* and pages.ts do the work.
// Ref: apiserver/pkg/server/config.go DefaultBuildHandlerChain

import { randomUUID } from 'node:crypto'
import { methodNotSupported, negotiate, notFound, StatusError } from '@podless/apimachinery'
import type { ExtensionProxy } from './aggregation/extension-proxy.ts'
import type { Audit, AuditedRequest } from './audit/audit.ts'
import type { Authenticator } from './auth/authenticate.ts'
import { authorizationError } from './auth/authorize.ts'
import { impersonate } from './auth/impersonate.ts'
import type { RequestContext, ServerState } from './context.ts'
import { methodNotAllowed, statusOf, unknownResource } from './errors.ts'
import { encodeValue } from './objects/respond.ts'
import type { Pages } from './pages/pages.ts'
import { deadlineOf, inTime } from './request/deadline.ts'
import { type RequestInfo, requestInfo } from './request/request-info.ts'
import { queryOf } from './request/url-query.ts'
import type { UserConnections } from './request/user-connections.ts'
import { isProbe, TOO_MANY, type UserLimits } from './request/user-limits.ts'
import { Warnings } from './request/warnings.ts'
import type { AuthorizationRequest, Resource, Subresource, UserInfo } from './resource.ts'
import { type Incoming, NOT_FOUND, type Reply, textReply } from './serving/exchange.ts'
import { isRouted, needsNamespace, verbFor } from './verbs/verb.ts'

export interface ChainState extends ServerState {
  readonly authenticator: Authenticator
  readonly pages: Pages
  readonly proxy: ExtensionProxy
  readonly limits: UserLimits
  readonly connections: UserConnections
  /** Absent when nothing is audited. */
  readonly audit?: Audit | undefined
}

/** Upstream's limit on an id that a client brings; a longer or odd one is replaced. */
const AUDIT_ID = /^[\x21-\x7e]{1,64}$/

function auditIdOf(request: Incoming): string {
  const given = request.header('audit-id')
  return given !== undefined && AUDIT_ID.test(given) ? given : randomUUID()
}

/** Answers one request. Whatever goes wrong becomes a Status; nothing is thrown. */
export async function handle(state: ChainState, request: Incoming): Promise<Reply> {
  const started = performance.now()
  const auditId = auditIdOf(request)
  const info = requestInfo(request.method, request.target)
  const warnings = new Warnings()
  const audited = state.audit?.begin(request, info, auditId)
  const query = queryOf(request.target)
  const flow: Flow = { info, query, auditId, audited, warn: text => warnings.add(text) }
  const answer = await guarded(state, audited?.request ?? request, flow)
  const reply = audited === undefined ? answer : audited.answered(answer)
  observe(state, info, reply, performance.now() - started)
  const told = warnings.headers()
  return {
    ...reply,
    headers: { 'audit-id': auditId, ...reply.headers },
    ...(told.length === 0 ? {} : { warnings: told }),
  }
}

/** What goes along with a request. */
interface Flow {
  readonly info: RequestInfo
  readonly query: URLSearchParams
  readonly auditId: string
  readonly audited: AuditedRequest | undefined
  readonly warn: (text: string) => void
}

/** Panic guard: an unexpected error is logged with its stack, and the client sees none of it. */
async function guarded(state: ChainState, request: Incoming, flow: Flow): Promise<Reply> {
  const { info, auditId, audited } = flow
  try {
    if (info.verb === 'watch') return await serve(state, request, flow)
    const limitMs = deadlineOf(flow.query) // 400
    return await inTime(request, limitMs, () => serve(state, request, flow)) // 504
  } catch (error) {
    const status = statusOf(error)
    if (!(error instanceof StatusError)) {
      if (status.code === 500) audited?.failed()
      state.log.error('request failed unexpectedly', error, {
        auditId,
        verb: info.verb,
        path: info.path,
      })
    }
    return negotiatedStatus(status, request, flow.query)
  }
}

/** An error in the format that the client reads, or in JSON where there is none to agree on. */
function negotiatedStatus(error: StatusError, request: Incoming, query: URLSearchParams): Reply {
  const plain = statusReply(error)
  try {
    const media = negotiate(request.header('accept'), {
      protobuf: true,
      transforms: false,
      pretty: query.get('pretty'),
      userAgent: request.header('user-agent'),
    })
    const bytes = encodeValue(error.body, media)
    return { ...plain, contentType: media.contentType, body: { type: 'bytes', bytes } }
  } catch (notAcceptable) {
    if (!(notAcceptable instanceof StatusError)) throw notAcceptable
    return plain
  }
}

async function serve(state: ChainState, request: Incoming, flow: Flow): Promise<Reply> {
  const authenticated = await state.authenticator.authenticate(request) // 401
  flow.audited?.authenticated(authenticated)
  if (!isAdmitted(state, request, flow.info, authenticated)) return { ...TOO_MANY, isLast: true } // 429
  const user = impersonate(authenticated, request, state.services.authorizer) // 403
  return await state.limits.within(user, flow.info, () => serveUser(state, request, flow, user)) // 429
}

/** Who shows a token, or another one than before, is known only now: a connection may be one too many for them. */
function isAdmitted(
  { connections }: ChainState,
  { connection }: Incoming,
  info: RequestInfo,
  user: UserInfo,
): boolean {
  return connection === undefined || isProbe(info) || connections.admits(connection, user)
}

async function serveUser(
  state: ChainState,
  request: Incoming,
  flow: Flow,
  user: UserInfo,
): Promise<Reply> {
  const { info, query, warn, auditId } = flow
  authorize(state, user, flow) // 403, before a body is read
  const elsewhere = state.proxy.serverFor(info)
  if (elsewhere !== undefined) return await state.proxy.pass(elsewhere, { request, user, auditId })
  if (!info.isResource) return await state.pages.serve(request, info, user)
  const served = lookup(state, info) // 404
  if (served === undefined) return NOT_FOUND
  if (served.resource.deprecationWarning !== undefined) warn(served.resource.deprecationWarning)
  const isHead = request.method === 'HEAD' && served.resource.crd === undefined
  const verb = isHead ? undefined : verbFor(info, served.subresource, served.resource)
  if (verb === undefined) {
    if (served.resource.crd !== undefined) throw methodNotSupported(served.resource.gvr, info.verb)
    const routed = isRouted(info, served.subresource, served.resource)
    throw routed ? methodNotAllowed() : unknownResource() // 405, 404
  }
  return await verb({
    server: state,
    request,
    info,
    ...served,
    user,
    query,
    warn,
    annotate: (key, value) => flow.audited?.annotate(key, value),
  } satisfies RequestContext)
}

function authorize(state: ChainState, user: UserInfo, { info, audited }: Flow): void {
  const attributes: AuthorizationRequest = info.isResource
    ? {
        user,
        verb: info.verb,
        group: info.group,
        version: info.version,
        resource: info.resource,
        subresource: info.subresource,
        name: info.name === '' ? info.selectedName : info.name,
        namespace: info.namespace,
      }
    : { user, verb: info.verb, path: info.path }
  const { allowed, reason } = state.services.authorizer.authorize(attributes)
  audited?.decided(user, allowed, reason)
  if (!allowed) throw authorizationError(attributes, reason)
}

interface Served {
  readonly resource: Resource
  readonly subresource: Subresource | undefined
}

/** Undefined where no group version answers, or a CRD's would but does not serve this. */
function lookup({ registry }: ChainState, info: RequestInfo): Served | undefined {
  const resource = registry.lookup(info)
  if (resource === undefined) {
    if (registry.hasBuiltin(info)) throw unknownResource()
    return undefined
  }
  if (isOutOfScope(resource, info)) {
    if (resource.crd === undefined) throw unknownResource()
    return undefined
  }
  if (info.subresource === '') return { resource, subresource: undefined }
  const subresource = resource.subresources.get(info.subresource)
  if (subresource === undefined || (info.rest.length > 0 && subresource.type !== 'node')) {
    throw resource.crd === undefined ? unknownResource() : notFound(resource.gvr, info.name)
  }
  return { resource, subresource }
}

function isOutOfScope(resource: Resource, info: RequestInfo): boolean {
  const { namespace, name, resource: plural } = info
  // A Namespace is in itself alone: below another one, rights in that one would reach it.
  const isOwnNamespace = plural === 'namespaces' && name === namespace
  if (!resource.namespaced) return namespace !== '' && !isOwnNamespace
  if (name !== '') return namespace === ''
  return resource.crd !== undefined && needsNamespace(info, resource)
}

/**
 * A Status as an answer, with the headers some reasons carry, for who accepts no format of ours.
 * Ref: apiserver/pkg/endpoints/handlers/responsewriters/writers.go WriteRawJSON
 */
function statusReply(error: StatusError): Reply {
  const reply = textReply(error.code, JSON.stringify(error.body, undefined, 2))
  const retry = error.body.details?.retryAfterSeconds
  const headers = retry === undefined ? {} : { 'retry-after': String(retry) }
  return { ...reply, contentType: 'application/json', headers }
}

/** Words of requests that the metrics repeat; every other one would be a label that a client made up, and stays. */
const MEASURED_VERBS: ReadonlySet<string> = new Set([
  ...['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'],
  ...['head', 'post', 'put', 'options'],
])
const NOWHERE = { group: '', version: '', resource: '' }

function observe(state: ChainState, info: RequestInfo, reply: Reply, elapsedMs: number): void {
  const served = info.isResource ? state.registry.lookup(info) : undefined
  const { group, version, resource } = served?.gvr ?? NOWHERE
  state.metrics.request({
    verb: MEASURED_VERBS.has(info.verb) ? info.verb : 'other',
    group,
    version,
    resource,
    subresource: served?.subresources.has(info.subresource) === true ? info.subresource : '',
    code: reply.code,
    seconds: elapsedMs / 1000,
  })
  state.log.debug('request', {
    verb: info.verb,
    path: info.path,
    code: reply.code,
    ms: Math.round(elapsedMs),
  })
}
