// Everything that is no API object: health, version, discovery, OpenAPI, metrics, token issuer documents.
// Called by handler-chain.ts once the user may see the path. Ref: apiserver/pkg/server/{healthz,routes}

import type { GroupVersion, JsonObject } from '@podless/apimachinery'
import type { AggregatedDocument } from '../discovery/aggregated.ts'
import type { Discovery } from '../discovery/discovery.ts'
import type { OpenApi } from '../discovery/openapi.ts'
import { methodNotAllowed, unknownResource } from '../errors.ts'
import type { RequestInfo } from '../request/request-info.ts'
import type { UserInfo } from '../resource.ts'
import { type Incoming, NOT_FOUND, type Reply, textReply } from '../serving/exchange.ts'
import type { VmPages } from '../vm/vm-pages.ts'
import { apiDocumentReply } from './api-document.ts'
import type { Health } from './health.ts'
import type { Metrics } from './metrics.ts'
import { versionInfo } from './version.ts'
import { Web } from './web.ts'

export interface PagesOptions {
  readonly discovery: Discovery
  readonly openApi: OpenApi
  readonly health: Health
  readonly metrics: Metrics
  /** /.well-known/openid-configuration and /openid/v1/jwks. */
  readonly issuer: { configuration(): string; jwks(): string }
  /** /podless/v1: what VMs of a mesh ask for. */
  readonly vms: VmPages
}

type Page = (request: Incoming, query: URLSearchParams) => Reply | Promise<Reply>

const AGGREGATED_TYPE = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export class Pages {
  readonly #options: PagesOptions
  readonly #pages: ReadonlyMap<string, Page>

  constructor(options: PagesOptions) {
    this.#options = options
    const { discovery, health, metrics, issuer } = options
    const web = new Web({ paths: () => this.#paths(), issuer })
    this.#pages = new Map<string, Page>([
      ['/version', () => indentedReply(versionInfo())],
      ['/api', this.#root('core', () => discovery.versions())],
      ['/apis', this.#root('groups', () => discovery.groupList())],
      ['/metrics', () => ({ ...textReply(200, metrics.render()), contentType: PROMETHEUS_TYPE })],
      ['/openapi/v2', request => options.openApi.v2(request)],
      ['/openapi/v3', () => options.openApi.root()],
      ...Web.paths.map((path): [string, Page] => [path, request => web.reply(request)]),
      ...health
        .paths()
        .map((path): [string, Page] => [path, (_request, query) => health.reply(path, query)]),
    ])
  }

  async serve(request: Incoming, info: RequestInfo, user: UserInfo): Promise<Reply> {
    const path = withoutTrailingSlashes(info.path)
    const cut = request.target.indexOf('?')
    const query = new URLSearchParams(cut < 0 ? '' : request.target.slice(cut + 1))
    const page = this.#pages.get(path) ?? this.#below(path)
    if (page === undefined) return (await this.#options.vms.serve(path, request, user)) ?? NOT_FOUND
    if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed()
    return await page(request, query)
  }

  /** Paths with a variable part. */
  #below(path: string): Page | undefined {
    const { discovery, openApi, health } = this.#options
    const parts = path.slice(1).split('/')
    if (parts[0] === 'openapi' && parts[1] === 'v3')
      return request => openApi.groupVersion(request, parts.slice(2).join('/'))
    if (parts[0] === 'api' && parts.length === 2)
      return resourceListPage(discovery, { group: '', version: parts[1]! })
    if (parts[0] === 'apis' && parts.length === 2) {
      const group = discovery.group(parts[1]!)
      return group === undefined
        ? undefined
        : (request, query) => apiDocumentReply(request, query, group)
    }
    if (parts[0] === 'apis' && parts.length === 3) {
      const [, group = '', version = ''] = parts
      if (discovery.group(group) === undefined) return undefined
      return resourceListPage(discovery, { group, version })
    }
    return health.single(path)
  }

  #root(root: 'core' | 'groups', legacy: () => JsonObject): Page {
    return (request, query) =>
      wantsAggregated(request.header('accept') ?? '')
        ? aggregatedReply(request, this.#options.discovery.aggregated(root))
        : withVary(apiDocumentReply(request, query, legacy()))
  }

  #paths(): string[] {
    const served = this.#options.discovery.groupVersions()
    const groups = served.filter(({ group }) => group !== '')
    return [
      ...this.#pages.keys(),
      '/openapi/v3/',
      '/api/v1',
      ...new Set(groups.map(({ group }) => `/apis/${group}`)),
      ...groups.map(({ group, version }) => `/apis/${group}/${version}`),
    ].sort()
  }
}

/** A pattern would try every slash of a long row anew. The root keeps its own. */
function withoutTrailingSlashes(path: string): string {
  let end = path.length
  while (end > 1 && path[end - 1] === '/') end -= 1
  return path.slice(0, end)
}

/** The first media type that we know decides, as clients list what they prefer first. */
function wantsAggregated(accept: string): boolean {
  for (const part of accept.split(',')) {
    const text = part.replaceAll(' ', '')
    if (!text.startsWith('application/json')) continue
    if (text.includes('as=APIGroupDiscoveryList')) {
      if (text.includes('v=v2;') || text.endsWith('v=v2')) return true
      continue
    }
    return false
  }
  return false
}

const withVary = (reply: Reply): Reply => ({
  ...reply,
  headers: { ...reply.headers, vary: 'Accept' },
})

function aggregatedReply(request: Incoming, { etag, bytes }: AggregatedDocument): Reply {
  const isKnown = request.header('if-none-match') === etag
  return {
    code: isKnown ? 304 : 200,
    contentType: AGGREGATED_TYPE,
    headers: { etag, vary: 'Accept', 'cache-control': 'public' },
    body: { type: 'bytes', bytes: isKnown ? '' : bytes() },
  }
}

/** 404 where a group has no such version. */
function resourceListPage(discovery: Discovery, gv: GroupVersion): Page {
  return (request, query) => {
    const list = discovery.resourceList(gv)
    if (list === undefined) throw unknownResource()
    return apiDocumentReply(request, query, list)
  }
}

/** JSON for people, whatever they accept. */
function indentedReply(value: JsonObject): Reply {
  const bytes = JSON.stringify(value, undefined, 2)
  return { code: 200, contentType: 'application/json', body: { type: 'bytes', bytes } }
}
