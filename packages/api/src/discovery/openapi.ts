// OpenAPI v3 per group version and v2 on request, as views of the registry. Nothing is built for groups nobody asks about.
// Called by pages.ts; calls openapi-paths.ts, openapi-schemas.ts and openapi-v2.ts. Ref: kube-openapi/pkg/{handler3,builder3}

import { createHash } from 'node:crypto'
import { type GroupVersion, type JsonObject, notAcceptable } from '@podless/apimachinery'
import { versionInfo } from '../pages/version.ts'
import type { Registry } from '../registry.ts'
import type { Resource } from '../resource.ts'
import { type Incoming, jsonReply, type Reply, textReply } from '../serving/exchange.ts'
import { byVersionPriority } from './discovery.ts'
import { pathsOf } from './openapi-paths.ts'
import { schemaName, schemasOf } from './openapi-schemas.ts'
import { definitionsToV2, pathsToV2 } from './openapi-v2.ts'

interface Document {
  readonly resources: string
  readonly hash: string
  readonly bytes: string
}

const BEARER_TOKEN: JsonObject = {
  type: 'apiKey',
  description: 'Bearer Token authentication',
  name: 'authorization',
  in: 'header',
}

const pathOf = ({ group, version }: GroupVersion): string =>
  group === '' ? `api/${version}` : `apis/${group}/${version}`

export class OpenApi {
  readonly #registry: Registry
  /** Weakly held: a document that nobody asks for again is dropped and rebuilt on demand. */
  readonly #documents = new Map<string, WeakRef<Document>>()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  /** GET /openapi/v3 */
  root(): Reply {
    const paths: JsonObject = {}
    for (const [path, resources] of this.#byPath()) {
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${fingerprint(resources)}` }
    }
    return jsonReply(200, { paths })
  }

  /** GET /openapi/v3/api/v1 and the like. */
  groupVersion(request: Incoming, path: string): Reply {
    const resources = this.#byPath().get(path)
    if (resources === undefined) return textReply(404, '404 page not found\n')
    const document = this.#document(path, resources)
    const etag = `"${document.hash}"`
    if (request.header('if-none-match') === etag) {
      return {
        code: 304,
        contentType: 'application/json',
        headers: { etag },
        body: { type: 'bytes', bytes: '' },
      }
    }
    return {
      code: 200,
      contentType: 'application/json',
      headers: { etag, vary: 'Accept' },
      body: { type: 'bytes', bytes: document.bytes },
    }
  }

  /** GET /openapi/v2: built anew each time, for the few clients that still ask. JSON only. */
  v2(request: Incoming): Reply {
    const accept = request.header('accept') ?? '*/*'
    if (!/json|\*\/\*/.test(accept))
      throw notAcceptable('only the following media types are accepted: application/json')
    const definitions: JsonObject = {}
    const paths: JsonObject = {}
    for (const resources of this.#byPath().values()) {
      const custom = new Set(resources.filter(({ crd }) => crd !== undefined).map(schemaName))
      Object.assign(
        definitions,
        definitionsToV2(schemasOf(resources), name => custom.has(name)),
      )
      Object.assign(paths, pathsToV2(pathsOf(resources)))
    }
    return jsonReply(200, {
      swagger: '2.0',
      info: info(),
      paths,
      definitions,
      securityDefinitions: { BearerToken: BEARER_TOKEN },
      security: [{ BearerToken: [] }],
    })
  }

  #byPath(): ReadonlyMap<string, readonly Resource[]> {
    const byPath = new Map<string, Resource[]>()
    const all = [...this.#registry.all()].sort((a, b) =>
      a.gvr.group < b.gvr.group
        ? -1
        : a.gvr.group > b.gvr.group
          ? 1
          : byVersionPriority(a.gvr.version, b.gvr.version),
    )
    for (const resource of all) {
      const path = pathOf(resource.gvr)
      const list = byPath.get(path) ?? []
      byPath.set(path, list)
      list.push(resource)
    }
    return byPath
  }

  #document(path: string, resources: readonly Resource[]): Document {
    const hash = fingerprint(resources)
    const known = this.#documents.get(path)?.deref()
    if (known?.hash === hash) return known
    const bytes = JSON.stringify({
      openapi: '3.0.0',
      info: info(),
      paths: pathsOf(resources),
      components: {
        schemas: schemasOf(resources),
        securitySchemes: { BearerToken: BEARER_TOKEN },
      },
    })
    const made: Document = { resources: path, hash, bytes }
    this.#documents.set(path, new WeakRef(made))
    return made
  }
}

const info = (): JsonObject => ({ title: 'Kubernetes', version: String(versionInfo().gitVersion) })

const resourceHashes = new WeakMap<Resource, string>()

/** Changes whenever one of the resources does; cheap, as it must not build the document. */
function fingerprint(resources: readonly Resource[]): string {
  const hash = createHash('sha512')
  for (const resource of resources) hash.update(hashOf(resource))
  return hash.digest('hex').toUpperCase()
}

function hashOf(resource: Resource): string {
  const known = resourceHashes.get(resource)
  if (known !== undefined) return known
  // A CRD's edition stands for its schema, which would have to be read and printed.
  const { gvr, names, namespaced, subresources, edition = '' } = resource
  const text = JSON.stringify([
    versionInfo().gitVersion,
    gvr,
    names,
    namespaced,
    [...subresources.keys()],
    edition,
  ])
  const made = createHash('sha512').update(text).digest('hex')
  resourceHashes.set(resource, made)
  return made
}
