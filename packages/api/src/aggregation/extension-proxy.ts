// Passes a request on to the extension server of its group version, with who asks, and its answer back as it comes.
// Called by handler-chain.ts once the user may do what is asked; calls extension-servers.ts.
// Ref: kube-aggregator/pkg/apiserver/handler_proxy.go, apimachinery/pkg/util/proxy/upgradeaware.go

import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import type { RequestInfo } from '../request/request-info.ts'
import type { UserInfo } from '../resource.ts'
import { type Incoming, type Reply, textReply } from '../serving/exchange.ts'
import type { ApiServices, RemoteService } from './api-services.ts'
import {
  type ExtensionServers,
  ExtensionUnreachable,
  identityHeaders,
} from './extension-servers.ts'

/** Lists of resources are asked for by every client, and an extension server is to have them ready. */
const DISCOVERY_MS = 5000

/** What concerns one connection only, what this server has checked already, and what nobody but it may say. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization'],
  ...['te', 'trailer', 'transfer-encoding', 'upgrade', 'http2-settings', 'expect'],
  ...['authorization', 'content-length', 'host', 'x-forwarded-for'],
])
const OWN_PREFIXES = [':', 'x-remote-', 'impersonate-']

/** Of an answer: what concerns its connection only. */
const HOP_HEADERS: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate'],
  ...['trailer', 'transfer-encoding', 'upgrade', 'content-type'],
])

export interface Passed {
  readonly request: Incoming
  readonly user: UserInfo
  readonly auditId: string
}

export class ExtensionProxy {
  readonly #services: ApiServices
  readonly #servers: ExtensionServers

  constructor(services: ApiServices, servers: ExtensionServers) {
    this.#services = services
    this.#servers = servers
  }

  /** The extension server that answers such a request; undefined for this one. */
  serverFor(info: RequestInfo): RemoteService | undefined {
    if (info.isResource) return this.#services.remote(info)
    const parts = info.path.split('/')
    // Of ['', 'apis', GROUP, VERSION], or below /openapi/v3.
    const at = parts[1] === 'openapi' && parts[2] === 'v3' ? 3 : 1
    const [root, group, version] = parts.slice(at)
    if (root !== 'apis' || group === undefined || version === undefined) return undefined
    return this.#services.remote({ group, version })
  }

  /** What the server answers, or 503. */
  async pass(remote: RemoteService, passed: Passed): Promise<Reply> {
    if (!remote.isAvailable) return failed('service unavailable')
    const addresses = this.#servers.resolve(remote)
    if ('error' in addresses) return failed('service unavailable')
    const { request } = passed
    const { method, target } = request
    const body = method === 'GET' || method === 'HEAD' ? undefined : await request.body()
    const stop = new AbortController()
    const leave = (): void => stop.abort(request.signal.reason)
    if (request.signal.aborted) leave()
    else request.signal.addEventListener('abort', leave, { once: true })
    const timer = isDiscovery(target) ? setTimeout(() => stop.abort(), DISCOVERY_MS) : undefined
    try {
      const headers = requestHeaders(passed, body)
      const call = { method, path: target, headers, body, signal: stop.signal }
      return replyOf(await this.#servers.openAt(addresses, remote, call))
    } catch (error) {
      if (request.signal.aborted) throw request.signal.reason
      if (error instanceof ExtensionUnreachable) return failed(error.message)
      throw error
    } finally {
      clearTimeout(timer)
    }
  }
}

/** /apis/GROUP/VERSION and nothing below it. */
function isDiscovery(target: string): boolean {
  const [path = ''] = target.split('?')
  return path.split('/').filter(part => part !== '').length === 3
}

const failed = (why: string): Reply => ({
  ...textReply(503, `${why}\n`),
  headers: { 'x-content-type-options': 'nosniff' },
})

function requestHeaders({ request, user, auditId }: Passed, body?: Buffer): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {}
  const named = new Set(
    (request.header('connection') ?? '').split(',').map(name => name.trim().toLowerCase()),
  )
  for (const [name, values] of request.headersWithPrefix('')) {
    if (OWN_HEADERS.has(name) || named.has(name)) continue
    if (OWN_PREFIXES.some(prefix => name.startsWith(prefix))) continue
    headers[name] = [...values]
  }
  const before = request.header('x-forwarded-for')
  const { remoteAddress } = request
  return {
    ...headers,
    'x-forwarded-for': before === undefined ? remoteAddress : `${before}, ${remoteAddress}`,
    'audit-id': auditId,
    ...(body === undefined ? {} : { 'content-length': body.length }),
    ...identityHeaders(user),
  }
}

function replyOf(response: IncomingMessage): Reply {
  const { statusCode: code = 502, headers } = response
  if (code >= 300 && code <= 399 && headers.location !== undefined) {
    response.destroy()
    return textReply(502, 'the backend attempted to redirect this request, which is not permitted')
  }
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (HOP_HEADERS.has(name) || value === undefined) continue
    kept[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return {
    code,
    contentType: headers['content-type'] ?? 'text/plain; charset=utf-8',
    headers: kept,
    body: { type: 'piped', source: response },
  }
}
