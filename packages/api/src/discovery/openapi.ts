// OpenAPI v3 per group version and v2 on request, as views of the registry. Nothing is built for groups nobody asks about.
// Called by pages.ts; calls openapi-paths.ts, openapi-schemas.ts, openapi-v2.ts and document-reply.ts.
// Ref: kube-openapi/pkg/{handler,handler3,builder3}

import { createHash } from 'node:crypto'
import { encodeOpenApiV2, type GroupVersion, type JsonObject } from '@podless/apimachinery'
import { ApiServices } from '../aggregation/api-services.ts'
import { versionInfo } from '../pages/version.ts'
import type { Resource } from '../resource.ts'
import { type Incoming, type Reply, textReply } from '../serving/exchange.ts'
import { documentReply } from './document-reply.ts'
import { pathsOf } from './openapi-paths.ts'
import { schemaName, schemasOf } from './openapi-schemas.ts'
import { definitionsToV2, pathsToV2 } from './openapi-v2.ts'
import type { ServedGroups } from './served-groups.ts'

interface Document {
  readonly hash: string
  readonly bytes: Buffer | string
}

const JSON_FORM = { subtypes: ['json'], contentType: 'application/json' }
/** Clients ask by the old name, with an @ that no media type may have, and are answered by the new one. */
const MESSAGE = 'com.github.proto-openapi.spec.v2.v1.0+protobuf'
const MESSAGE_FORM = {
  subtypes: [MESSAGE, 'com.github.proto-openapi.spec.v2@v1.0+protobuf'],
  contentType: `application/${MESSAGE}`,
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
  readonly #groups: ServedGroups
  readonly #services: ApiServices
  /** Of one state of the groups. */
  readonly #paths = new WeakMap<object, ReadonlyMap<string, readonly Resource[]>>()
  /** Weakly held: a document that nobody asks for again is dropped and rebuilt on demand. */
  readonly #documents = new Map<string, WeakRef<Document>>()

  /** `services` are those that the groups were made with. */
  constructor(groups: ServedGroups, services = new ApiServices()) {
    this.#groups = groups
    this.#services = services
  }

  /** GET /openapi/v3. */
  root(): Reply {
    const paths: JsonObject = {}
    for (const [path, resources] of this.#byPath()) {
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${fingerprint(resources)}` }
    }
    for (const remote of this.#services.remotes()) {
      const { openApiHash: hash } = this.#services.documents(remote)
      const path = pathOf(remote.gv)
      if (hash !== undefined)
        paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }
    }
    return { ...textReply(200, JSON.stringify({ paths })), contentType: JSON_FORM.contentType }
  }

  /** GET /openapi/v3/api/v1 and the like. */
  groupVersion(request: Incoming, path: string): Reply {
    const resources = this.#byPath().get(path)
    if (resources === undefined) return textReply(404, '')
    const hash = fingerprint(resources)
    const bytes = () => this.#cached(path, hash, () => JSON.stringify(v3Document(resources)))
    return documentReply(request, `"${hash}"`, [{ ...JSON_FORM, bytes }])
  }

  /** GET /openapi/v2, in JSON or as the message that Go clients ask for: each is built when somebody wants it. */
  v2(request: Incoming): Reply {
    const groups = [...this.#byPath().values()]
    const hash = hashOf(groups.map(fingerprint))
    const json = () => this.#cached('v2', hash, () => JSON.stringify(v2Document(groups)))
    const message = () =>
      this.#cached('v2 message', hash, () => encodeOpenApiV2(v2Document(groups)))
    return documentReply(request, `"${hash}"`, [
      { ...JSON_FORM, bytes: json },
      { ...MESSAGE_FORM, bytes: message },
    ])
  }

  /** The resources of each group version, in the order of groups and of their versions' priority. */
  #byPath(): ReadonlyMap<string, readonly Resource[]> {
    const groups = this.#groups.all()
    const known = this.#paths.get(groups)
    if (known !== undefined) return known
    const made = new Map<string, readonly Resource[]>()
    for (const group of [...groups.values()].sort((a, b) => (a.name < b.name ? -1 : 1)))
      for (const version of group.versions) {
        const resources = group.resources.get(version)
        if (resources !== undefined) made.set(pathOf({ group: group.name, version }), resources)
      }
    this.#paths.set(groups, made)
    return made
  }

  #cached(key: string, hash: string, build: () => Buffer | string): Buffer | string {
    const known = this.#documents.get(key)?.deref()
    if (known?.hash === hash) return known.bytes
    const made: Document = { hash, bytes: build() }
    this.#documents.set(key, new WeakRef(made))
    return made.bytes
  }
}

const info = (): JsonObject => ({ title: 'Kubernetes', version: String(versionInfo().gitVersion) })

function v3Document(resources: readonly Resource[]): JsonObject {
  return {
    openapi: '3.0.0',
    info: info(),
    paths: pathsOf(resources),
    components: {
      schemas: schemasOf(resources),
      securitySchemes: { BearerToken: BEARER_TOKEN },
    },
  }
}

/** All group versions in one, as v2 has it. */
function v2Document(groups: readonly (readonly Resource[])[]): JsonObject {
  const definitions: JsonObject = {}
  const paths: JsonObject = {}
  for (const resources of groups) {
    const custom = new Set(resources.filter(({ crd }) => crd !== undefined).map(schemaName))
    Object.assign(
      definitions,
      definitionsToV2(schemasOf(resources), name => custom.has(name)),
    )
    Object.assign(paths, pathsToV2(pathsOf(resources)))
  }
  return {
    swagger: '2.0',
    info: info(),
    paths,
    definitions,
    securityDefinitions: { BearerToken: BEARER_TOKEN },
    security: [{ BearerToken: [] }],
  }
}

const fingerprints = new WeakMap<readonly Resource[], string>()

/** Changes whenever one of the resources does; cheap, as it must not build the document. */
function fingerprint(resources: readonly Resource[]): string {
  const known = fingerprints.get(resources)
  if (known !== undefined) return known
  const made = hashOf(resources.map(describe))
  fingerprints.set(resources, made)
  return made
}

/** A CRD's edition stands for its schema, which would have to be read and printed. */
function describe({ gvr, names, namespaced, subresources, edition = '' }: Resource): string {
  const { gitVersion } = versionInfo()
  return JSON.stringify([gitVersion, gvr, names, namespaced, [...subresources.keys()], edition])
}

function hashOf(texts: readonly string[]): string {
  const hash = createHash('sha512')
  for (const text of texts) hash.update(text)
  return hash.digest('hex').toUpperCase()
}
