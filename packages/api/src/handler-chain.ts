// The order of everything a request goes through. It is the security model, so it is written once, top to bottom.
// server.ts calls it with an Incoming and gets a Reply, always; verbs/* and pages.ts do the work.
// Ref: apiserver/pkg/server/config.go DefaultBuildHandlerChain

import { randomUUID } from 'node:crypto'
import {
  badRequest,
  methodNotSupported,
  negotiate,
  notFound,
  ParseError,
  parseGoDurationMs,
  StatusError,
} from '@podless/apimachinery'
import type { Audit, AuditedRequest } from './audit/audit.ts'
import type { Authenticator } from './auth/authenticate.ts'
import { authorizationError } from './auth/authorize.ts'
import { impersonate } from './auth/impersonate.ts'
import type { RequestContext, ServerState } from './context.ts'
import { methodNotAllowed, statusOf, unknownResource } from './errors.ts'
import { type Incoming, jsonReply, NOT_FOUND, type Reply } from './exchange.ts'
import type { Pages } from './pages.ts'
import { type RequestInfo, requestInfo } from './request-info.ts'
import type { AuthorizationRequest, Resource, Subresource, UserInfo } from './resource.ts'
import { encodeValue } from './respond.ts'
import { isRouted, verbFor } from './verbs/verb.ts'
import { Warnings } from './warnings.ts'

export interface ChainState extends ServerState {
  readonly authenticator: Authenticator
  readonly pages: Pages
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
  const flow: Flow = { info, auditId, audited, warn: text => warnings.add(text) }
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
  readonly auditId: string
  readonly audited: AuditedRequest | undefined
  readonly warn: (text: string) => void
}

/** Panic guard: an unexpected error is logged with its stack, and the client sees none of it. */
async function guarded(state: ChainState, request: Incoming, flow: Flow): Promise<Reply> {
  const { info, auditId } = flow
  try {
    return await serve(state, request, flow)
  } catch (error) {
    const status = statusOf(error)
    if (!(error instanceof StatusError)) {
      state.log.error('request failed unexpectedly', error, {
        auditId,
        verb: info.verb,
        path: info.path,
      })
    }
    return negotiatedStatus(status, request)
  }
}

/** An error in the format that the client reads, or in JSON where there is none to agree on. */
function negotiatedStatus(error: StatusError, request: Incoming): Reply {
  const plain = statusReply(error)
  try {
    const media = negotiate(request.header('accept'), {
      protobuf: true,
      transforms: false,
      pretty: queryOf(request.target).get('pretty'),
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
  const { info, warn, audited } = flow
  const authenticated = await state.authenticator.authenticate(request) // 401
  audited?.authenticated(authenticated)
  const user = impersonate(authenticated, request, state.services.authorizer) // 403
  authorize(state, user, flow) // 403, before a body is read
  if (!info.isResource) return await state.pages.serve(request, info, user)
  const served = lookup(state, info) // 404
  if (served === undefined) return NOT_FOUND
  if (served.resource.deprecationWarning !== undefined) warn(served.resource.deprecationWarning)
  const verb = verbFor(info, served.subresource, served.resource)
  if (verb === undefined) {
    if (served.resource.crd !== undefined) throw methodNotSupported(served.resource.gvr, info.verb)
    const routed = isRouted(info, served.subresource, served.resource)
    throw routed ? methodNotAllowed() : unknownResource() // 405, 404
  }
  const query = queryOf(request.target)
  checkTimeout(query, info)
  return await verb({
    server: state,
    request,
    info,
    ...served,
    user,
    query,
    warn,
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
        name: info.name,
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

function isOutOfScope(
  resource: Resource,
  { namespace, name, resource: plural }: RequestInfo,
): boolean {
  // A Namespace is in itself alone: below another one, rights in that one would reach it.
  const isOwnNamespace = plural === 'namespaces' && name === namespace
  if (!resource.namespaced) return namespace !== '' && !isOwnNamespace
  return namespace === '' && name !== ''
}

const BROKEN_ESCAPE = /%(?![0-9a-fA-F]{2})/

/** The query as Go's url.ParseQuery reads it: a pair with a broken escape or a semicolon is dropped. */
function queryOf(target: string): URLSearchParams {
  const cut = target.indexOf('?')
  if (cut < 0) return new URLSearchParams()
  const text = target.slice(cut + 1)
  if (!BROKEN_ESCAPE.test(text) && !text.includes(';')) return new URLSearchParams(text)
  const pairs = text.split('&').filter(pair => !BROKEN_ESCAPE.test(pair) && !pair.includes(';'))
  return new URLSearchParams(pairs.join('&'))
}

/** Ref: apiserver/pkg/endpoints/filters/request_deadline.go */
function checkTimeout(query: URLSearchParams, info: RequestInfo): void {
  const text = query.get('timeout')
  if (text === null || text === '' || info.verb === 'watch') return
  try {
    parseGoDurationMs(text)
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    throw badRequest(`invalid timeout specified in the request URL - ${error.message}`)
  }
}

/** A Status as an answer, with the headers some reasons carry. */
export function statusReply(error: StatusError): Reply {
  const reply = jsonReply(error.code, error.body)
  const retry = error.body.details?.retryAfterSeconds
  return retry === undefined ? reply : { ...reply, headers: { 'retry-after': String(retry) } }
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
