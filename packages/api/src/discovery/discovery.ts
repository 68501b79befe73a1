// /api, /apis and what is below them, legacy and aggregated, as views of the registry: never written by hand.
// Called by pages.ts; rebuilt when the registry's generation changes.
// Ref: apiserver/pkg/endpoints/discovery/{group,version,root}.go, apiserver/pkg/endpoints/discovery/aggregated

import { createHash } from 'node:crypto'
import {
  apiVersionOf,
  type GroupVersion,
  type JsonObject,
  type JsonValue,
} from '@podless/apimachinery'
import type { Registry } from '../registry.ts'
import type { Resource, Subresource } from '../resource.ts'

interface ServedGroup {
  readonly name: string
  /** Most preferred first. */
  readonly versions: readonly string[]
  readonly resources: ReadonlyMap<string, readonly Resource[]>
}

export class Discovery {
  readonly #registry: Registry
  readonly #address: () => string
  #generation = -1
  #groups: ReadonlyMap<string, ServedGroup> = new Map()
  #aggregated = new Map<string, { etag: string; body: string }>()

  /** `address` is HOST:PORT as clients reach the server. */
  constructor(registry: Registry, address: () => string) {
    this.#registry = registry
    this.#address = address
  }

  /** GET /api */
  versions(): JsonObject {
    return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: this.#addresses() }
  }

  /** GET /apis */
  groupList(): JsonObject {
    const groups = [...this.#served().values()].filter(({ name }) => name !== '')
    return {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: groups.map(group => this.#apiGroup(group)),
    }
  }

  /** GET /apis/GROUP, undefined when nothing is served there. */
  group(name: string): JsonObject | undefined {
    const group = this.#served().get(name)
    return group === undefined
      ? undefined
      : { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(group) }
  }

  /** GET /api/v1 and /apis/GROUP/VERSION, undefined when nothing is served there. */
  resourceList(gv: GroupVersion): JsonObject | undefined {
    const resources = this.#served().get(gv.group)?.resources.get(gv.version)
    if (resources === undefined) return undefined
    return {
      kind: 'APIResourceList',
      ...(gv.group === '' ? {} : { apiVersion: 'v1' }),
      groupVersion: apiVersionOf(gv),
      resources: resources.flatMap(legacyEntries),
    }
  }

  /** The aggregated document of /api ('core') or /apis, with its ETag. */
  aggregated(root: 'core' | 'groups'): { etag: string; body: string } {
    const served = this.#served()
    const known = this.#aggregated.get(root)
    if (known !== undefined) return known
    const groups = [...served.values()].filter(({ name }) => (name === '') === (root === 'core'))
    const body = JSON.stringify({
      kind: 'APIGroupDiscoveryList',
      apiVersion: 'apidiscovery.k8s.io/v2',
      metadata: {},
      items: groups.map(aggregatedGroup),
    })
    const etag = `"${createHash('sha256').update(body).digest('hex').toUpperCase()}"`
    const made = { etag, body }
    this.#aggregated.set(root, made)
    return made
  }

  /** Served group versions in discovery order. */
  groupVersions(): readonly GroupVersion[] {
    return [...this.#served().values()].flatMap(({ name, versions }) =>
      versions.map(version => ({ group: name, version })),
    )
  }

  #addresses(): JsonObject[] {
    return [{ clientCIDR: '0.0.0.0/0', serverAddress: this.#address() }]
  }

  /** Upstream lists server addresses for its own groups only, not for those of CRDs. */
  #apiGroup(group: ServedGroup): JsonObject {
    const isCustom = [...group.resources.values()].every(list =>
      list.every(({ crd }) => crd !== undefined),
    )
    return isCustom
      ? apiGroup(group)
      : { ...apiGroup(group), serverAddressByClientCIDRs: this.#addresses() }
  }

  #served(): ReadonlyMap<string, ServedGroup> {
    if (this.#generation !== this.#registry.generation) {
      this.#groups = groupResources(this.#registry.all())
      this.#generation = this.#registry.generation
      this.#aggregated = new Map()
    }
    return this.#groups
  }
}

function groupResources(all: readonly Resource[]): ReadonlyMap<string, ServedGroup> {
  const byGroup = new Map<string, Map<string, Resource[]>>()
  for (const resource of all) {
    const versions = byGroup.get(resource.gvr.group) ?? new Map<string, Resource[]>()
    byGroup.set(resource.gvr.group, versions)
    const list = versions.get(resource.gvr.version) ?? []
    versions.set(resource.gvr.version, list)
    list.push(resource)
  }
  const groups = new Map<string, ServedGroup>()
  for (const [name, resources] of byGroup) {
    for (const list of resources.values())
      list.sort((a, b) => (a.gvr.resource < b.gvr.resource ? -1 : 1))
    groups.set(name, { name, versions: [...resources.keys()].sort(byVersionPriority), resources })
  }
  return groups
}

const VERSION = /^v(\d+)(?:(alpha|beta)(\d+))?$/
const STABILITY: Readonly<Record<string, number>> = { alpha: 1, beta: 2 }

/** GA before beta before alpha, higher numbers first. Ref: apimachinery/pkg/version/helpers.go CompareKubeAwareVersionStrings */
export function byVersionPriority(a: string, b: string): number {
  const [x, y] = [VERSION.exec(a), VERSION.exec(b)]
  if (x === null || y === null) {
    if (x === null && y === null) return a < b ? -1 : 1
    return x === null ? 1 : -1
  }
  const rank = (match: RegExpExecArray): number[] => [
    STABILITY[match[2] ?? ''] ?? 3,
    Number(match[1]),
    Number(match[3] ?? 0),
  ]
  const [p, q] = [rank(x), rank(y)]
  return q[0]! - p[0]! || q[1]! - p[1]! || q[2]! - p[2]!
}

function apiGroup({ name, versions }: ServedGroup): JsonObject {
  const entries = versions.map(version => ({
    groupVersion: apiVersionOf({ group: name, version }),
    version,
  }))
  return { name, versions: entries, preferredVersion: entries[0]! }
}

/** Ref: apiextensions-apiserver/pkg/apiserver/customresource_discovery_controller.go */
function offeredVerbs({ verbs, isTerminating }: Resource): string[] {
  return verbs.filter(
    verb => isTerminating !== true || !['patch', 'create', 'update'].includes(verb),
  )
}

function legacyEntries(resource: Resource): JsonObject[] {
  const { names, namespaced, gvr } = resource
  const main: JsonObject = {
    name: gvr.resource,
    singularName: names.singular,
    namespaced,
    kind: names.kind,
    verbs: offeredVerbs(resource),
    ...(names.shortNames === undefined ? {} : { shortNames: [...names.shortNames] }),
    ...(names.categories === undefined ? {} : { categories: [...names.categories] }),
    ...(resource.verbs.includes('watch')
      ? { storageVersionHash: storageVersionHash(resource) }
      : {}),
  }
  return [
    main,
    ...subresourcesOf(resource).map(([name, sub]) => ({
      name: `${gvr.resource}/${name}`,
      singularName: '',
      namespaced,
      ...(isForeign(sub) && sub.gvk.group !== gvr.group
        ? { group: sub.gvk.group, version: sub.gvk.version }
        : {}),
      kind: kindOf(sub, resource),
      verbs: [...sub.verbs],
    })),
  ]
}

type WithGvk = Subresource & { gvk: NonNullable<Extract<Subresource, { type: 'virtual' }>['gvk']> }

const isForeign = (sub: Subresource): sub is WithGvk =>
  sub.type !== 'stored' && sub.gvk !== undefined
const kindOf = (sub: Subresource, resource: Resource): string =>
  isForeign(sub) ? sub.gvk.kind : resource.names.kind

/** By name, but a CRD lists status before scale, as upstream does. */
function subresourcesOf(resource: Resource): [string, Subresource][] {
  const entries = [...resource.subresources]
  return resource.crd === undefined ? entries.sort(([a], [b]) => (a < b ? -1 : 1)) : entries
}

/** Ref: apiserver/pkg/endpoints/discovery/storageversionhash.go: base64 of the first 8 bytes of a SHA-256. */
function storageVersionHash({ gvr, storageVersion, names }: Resource): string {
  const text = `${gvr.group}/${storageVersion}/${names.kind}`
  return createHash('sha256').update(text).digest().subarray(0, 8).toString('base64')
}

function aggregatedGroup({ name, versions, resources }: ServedGroup): JsonObject {
  return {
    metadata: name === '' ? {} : { name },
    versions: versions.map(version => ({
      version,
      resources: (resources.get(version) ?? []).map(resource => aggregatedResource(resource)),
      freshness: 'Current',
    })),
  }
}

function aggregatedResource(resource: Resource): JsonObject {
  const { names, namespaced, gvr } = resource
  const subresources: JsonValue[] = subresourcesOf(resource).map(([name, sub]) => ({
    subresource: name,
    responseKind: responseKind(sub, resource),
    verbs: [...sub.verbs],
  }))
  return {
    resource: gvr.resource,
    responseKind: ownKind(resource),
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: names.singular,
    verbs: offeredVerbs(resource),
    ...(names.shortNames === undefined ? {} : { shortNames: [...names.shortNames] }),
    ...(names.categories === undefined ? {} : { categories: [...names.categories] }),
    ...(subresources.length === 0 ? {} : { subresources }),
  }
}

/** Upstream leaves group and version of its own kinds empty, and names those of CRDs. */
function ownKind({ crd, gvr, names }: Resource): JsonObject {
  return crd === undefined
    ? { group: '', version: '', kind: names.kind }
    : { group: gvr.group, version: gvr.version, kind: names.kind }
}

function responseKind(sub: Subresource, resource: Resource): JsonObject {
  return isForeign(sub)
    ? { group: sub.gvk.group, version: sub.gvk.version, kind: sub.gvk.kind }
    : ownKind(resource)
}
