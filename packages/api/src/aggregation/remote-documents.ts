// What an extension server says that it serves: asked of itself, in the form of aggregated discovery, which servers that
// know only the older one are translated to. Called by remote-services.ts; calls extension-servers.ts.
// Ref: kube-aggregator/pkg/apiserver/handler_discovery.go, apiserver/pkg/endpoints/installer.go

import type { IncomingMessage } from 'node:http'
import { isObject, type JsonObject, parseExact } from '@podless/apimachinery'
import { PRIVILEGED_GROUP } from '../auth/authorize.ts'
import { objectsAt, textAt, textsAt } from '../resources/reading.ts'
import type { RemoteDocuments, RemoteService } from './api-services.ts'
import { type ExtensionServers, identityHeaders } from './extension-servers.ts'

/** A server with hundreds of kinds has a document of some hundred KiB. */
const DOCUMENT_BYTES_MAX = 8 * 1024 * 1024

const AGGREGATED = ['v2', 'v2beta1']
  .map(version => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`)
  .join(',')

/** The system asks: it may see everything. */
const SYSTEM = { name: 'system:kube-aggregator', groups: [PRIVILEGED_GROUP] }

/** A document and the head of the answer that brought it. */
interface Fetched {
  readonly code: number
  readonly contentType: string
  readonly body: JsonObject
}

/** Asks one server for its documents. */
export class RemoteReader {
  readonly #servers: ExtensionServers

  constructor(servers: ExtensionServers) {
    this.#servers = servers
  }

  /** The code of the answer to what every extension server must answer. Throws ExtensionUnreachable. */
  async probe(remote: RemoteService, signal: AbortSignal): Promise<number> {
    const response = await this.#open(remote, pathOf(remote), 'application/json', signal)
    response.resume()
    return response.statusCode ?? 0
  }

  /** Throws when the server answers something that is no discovery. */
  async documents(remote: RemoteService, signal: AbortSignal): Promise<RemoteDocuments> {
    const discovery = await this.#discovery(remote, signal)
    const { body } = await this.#get(remote, '/openapi/v3', 'application/json', signal)
    const url = textAt(body, ['paths', pathOf(remote).slice(1), 'serverRelativeURL'])
    const openApiHash = new URLSearchParams(url.split('?')[1] ?? '').get('hash')
    return { discovery, ...(openApiHash === null ? {} : { openApiHash }) }
  }

  async #discovery(remote: RemoteService, signal: AbortSignal): Promise<JsonObject> {
    const { group, version } = remote.gv
    const root = await this.#get(remote, '/apis', AGGREGATED, signal)
    if (root.code === 200 && root.contentType.includes('as=APIGroupDiscoveryList')) {
      const found = objectsAt(root.body, 'items')
        .filter(item => textAt(item, 'metadata.name') === group)
        .flatMap(item => objectsAt(item, 'versions'))
        .find(entry => entry.version === version)
      return current(version, objectsAt(found, 'resources'))
    }
    const list = await this.#get(remote, pathOf(remote), 'application/json', signal)
    if (list.code !== 200) throw new Error(`no discovery of ${pathOf(remote)}: ${list.code}`)
    return current(version, aggregatedResources(objectsAt(list.body, 'resources')))
  }

  async #get(
    remote: RemoteService,
    path: string,
    accept: string,
    signal: AbortSignal,
  ): Promise<Fetched> {
    const response = await this.#open(remote, path, accept, signal)
    const text = await readText(response)
    const body = response.statusCode === 200 ? parseExact(text) : {}
    return {
      code: response.statusCode ?? 0,
      contentType: response.headers['content-type'] ?? '',
      body: isObject(body) ? body : {},
    }
  }

  async #open(
    remote: RemoteService,
    path: string,
    accept: string,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const headers = { accept, ...identityHeaders(SYSTEM) }
    return await this.#servers.open(remote, { method: 'GET', path, headers, signal })
  }
}

export const pathOf = ({ gv }: RemoteService): string => `/apis/${gv.group}/${gv.version}`

const current = (version: string, resources: readonly JsonObject[]): JsonObject => ({
  version,
  ...(resources.length === 0 ? {} : { resources: [...resources] }),
  freshness: 'Current',
})

/** The entries of an APIResourceList, with subresources in their place. */
function aggregatedResources(list: readonly JsonObject[]): JsonObject[] {
  const parents = new Map<string, JsonObject>()
  for (const entry of list) {
    const name = textAt(entry, 'name')
    if (!name.includes('/')) parents.set(name, aggregatedResource(name, entry))
  }
  for (const entry of list) {
    const [name = '', ...rest] = textAt(entry, 'name').split('/')
    if (rest.length === 0) continue
    const orphan: JsonObject = { resource: name, responseKind: {}, scope: scopeOf(entry) }
    const parent = parents.get(name) ?? orphan
    parents.set(name, parent)
    parent.subresources = [
      ...objectsAt(parent, 'subresources'),
      {
        subresource: rest.join('/'),
        responseKind: textAt(entry, 'kind') === '' ? {} : kindOf(entry),
        verbs: [...textsAt(entry, 'verbs')],
      },
    ]
  }
  return [...parents.values()]
}

function aggregatedResource(resource: string, entry: JsonObject): JsonObject {
  const names = (field: string): JsonObject =>
    entry[field] === undefined ? {} : { [field]: [...textsAt(entry, field)] }
  return {
    resource,
    responseKind: kindOf(entry),
    scope: scopeOf(entry),
    singularResource: textAt(entry, 'singularName'),
    verbs: [...textsAt(entry, 'verbs')],
    ...names('shortNames'),
    ...names('categories'),
  }
}

const scopeOf = (entry: JsonObject): string =>
  entry.namespaced === true ? 'Namespaced' : 'Cluster'

const kindOf = (entry: JsonObject): JsonObject => ({
  group: textAt(entry, 'group'),
  version: textAt(entry, 'version'),
  kind: textAt(entry, 'kind'),
})

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > DOCUMENT_BYTES_MAX) throw new Error(`more than ${DOCUMENT_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
