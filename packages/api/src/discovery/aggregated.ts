// The aggregated documents of /api and /apis, put together from one piece for each group. Pieces live as long as their
// group, so after a CRD changes only its group is written anew.
// Called by discovery.ts. Ref: apiserver/pkg/endpoints/discovery/aggregated/{handler,etag}.go

import { createHash } from 'node:crypto'
import type { JsonObject, JsonValue } from '@podless/apimachinery'
import type { Resource, Subresource } from '../resource.ts'
import { isForeign, offeredVerbs, subresourcesOf } from './offered.ts'
import type { ServedGroup } from './served-groups.ts'

export interface AggregatedDocument {
  /** Quoted; changes with what the document says. */
  readonly etag: string
  /** Put together for each client that has not got it: the pieces are kept, not their sum. */
  readonly bytes: () => Buffer
}

interface Piece {
  readonly bytes: Buffer
  readonly digest: Buffer
}

const HEAD = Buffer.from(
  '{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[',
)
const COMMA = Buffer.from(',')
const END = Buffer.from(']}\n')

/** The APIGroupDiscoveryList of these groups, in their order. */
export function aggregatedDocument(groups: readonly ServedGroup[]): AggregatedDocument {
  const pieces = groups.map(pieceOf)
  const hash = createHash('sha256')
  for (const { digest } of pieces) hash.update(digest)
  const bytes = (): Buffer => {
    const items = pieces.flatMap(({ bytes }, i) => (i === 0 ? [bytes] : [COMMA, bytes]))
    return Buffer.concat([HEAD, ...items, END])
  }
  return { etag: `"${hash.digest('hex').toUpperCase()}"`, bytes }
}

const pieces = new WeakMap<ServedGroup, Piece>()

function pieceOf(group: ServedGroup): Piece {
  const known = pieces.get(group)
  if (known !== undefined) return known
  const bytes = Buffer.from(JSON.stringify(aggregatedGroup(group)))
  const made = { bytes, digest: createHash('sha256').update(bytes).digest() }
  pieces.set(group, made)
  return made
}

function aggregatedGroup({ name, versions, resources, remotes }: ServedGroup): JsonObject {
  return {
    metadata: name === '' ? {} : { name },
    versions: versions.map(
      version =>
        remotes.get(version) ?? {
          version,
          resources: (resources.get(version) ?? []).map(resource => aggregatedResource(resource)),
          freshness: 'Current',
        },
    ),
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
