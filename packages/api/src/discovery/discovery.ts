// /api, /apis and what is below them, legacy and aggregated, as views of the registry: never written by hand.
// Called by pages.ts; calls served-groups.ts and aggregated.ts. Ref: apiserver/pkg/endpoints/discovery/{group,version,root}.go

import { createHash } from 'node:crypto'
import { apiVersionOf, type GroupVersion, type JsonObject } from '@podless/apimachinery'
import type { Resource, Subresource } from '../resource.ts'
import { type AggregatedDocument, aggregatedDocument } from './aggregated.ts'
import { isForeign, offeredVerbs, subresourcesOf } from './offered.ts'
import type { ServedGroup, ServedGroups } from './served-groups.ts'

export class Discovery {
  readonly #groups: ServedGroups
  readonly #address: () => string
  /** Of one state of the groups: another one has documents of its own. */
  readonly #aggregated = new WeakMap<object, Map<string, AggregatedDocument>>()

  /** `address` is HOST:PORT as clients reach the server. */
  constructor(groups: ServedGroups, address: () => string) {
    this.#groups = groups
    this.#address = address
  }

  /** GET /api */
  versions(): JsonObject {
    return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: this.#addresses() }
  }

  /** GET /apis */
  groupList(): JsonObject {
    const groups = [...this.#groups.all().values()].filter(({ name }) => name !== '')
    return {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: groups.map(apiGroup),
    }
  }

  /** GET /apis/GROUP, undefined when nothing is served there. */
  group(name: string): JsonObject | undefined {
    const group = this.#groups.all().get(name)
    return group === undefined
      ? undefined
      : { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(group) }
  }

  /** GET /api/v1 and /apis/GROUP/VERSION, undefined when nothing is served there. */
  resourceList(gv: GroupVersion): JsonObject | undefined {
    const resources = this.#groups.all().get(gv.group)?.resources.get(gv.version)
    if (resources === undefined) return undefined
    return {
      kind: 'APIResourceList',
      ...(gv.group === '' ? {} : { apiVersion: 'v1' }),
      groupVersion: apiVersionOf(gv),
      resources: resources.flatMap(legacyEntries),
    }
  }

  /** The aggregated document of /api ('core') or /apis. */
  aggregated(root: 'core' | 'groups'): AggregatedDocument {
    const groups = this.#groups.all()
    const documents = this.#aggregated.get(groups) ?? new Map<string, AggregatedDocument>()
    this.#aggregated.set(groups, documents)
    const known = documents.get(root)
    if (known !== undefined) return known
    const wanted = [...groups.values()].filter(({ name }) => (name === '') === (root === 'core'))
    const made = aggregatedDocument(wanted)
    documents.set(root, made)
    return made
  }

  /** Served group versions in discovery order. */
  groupVersions(): readonly GroupVersion[] {
    return [...this.#groups.all().values()].flatMap(({ name, versions }) =>
      versions.map(version => ({ group: name, version })),
    )
  }

  #addresses(): JsonObject[] {
    return [{ clientCIDR: '0.0.0.0/0', serverAddress: this.#address() }]
  }
}

function apiGroup({ name, versions }: ServedGroup): JsonObject {
  const entries = versions.map(version => ({
    groupVersion: apiVersionOf({ group: name, version }),
    version,
  }))
  return { name, versions: entries, preferredVersion: entries[0]! }
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

const kindOf = (sub: Subresource, resource: Resource): string =>
  isForeign(sub) ? sub.gvk.kind : resource.names.kind

/** Ref: apiserver/pkg/endpoints/discovery/storageversionhash.go: base64 of the first 8 bytes of a SHA-256. */
function storageVersionHash({ gvr, storageVersion, names }: Resource): string {
  const text = `${gvr.group}/${storageVersion}/${names.kind}`
  return createHash('sha256').update(text).digest().subarray(0, 8).toString('base64')
}
