// The groups that are served, of the registry's resources. After a change all but the groups it concerns are the same
// objects as before, so that what is made of a group can be kept beside it.
// Called by discovery.ts and openapi.ts. Ref: apiserver/pkg/endpoints/discovery/aggregated/handler.go

import type { Registry } from '../registry.ts'
import type { Resource } from '../resource.ts'

export interface ServedGroup {
  readonly name: string
  /** Most preferred first. */
  readonly versions: readonly string[]
  /** By version, in the order of their names. */
  readonly resources: ReadonlyMap<string, readonly Resource[]>
}

export class ServedGroups {
  readonly #registry: Registry
  #generation = -1
  #groups: ReadonlyMap<string, ServedGroup> = new Map()
  #members: ReadonlyMap<string, readonly Resource[]> = new Map()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  /** All groups by name, which is empty for the core group's. The same map until something changes. */
  all(): ReadonlyMap<string, ServedGroup> {
    if (this.#generation !== this.#registry.generation) this.#update()
    return this.#groups
  }

  #update(): void {
    const members = Map.groupBy(this.#registry.all(), ({ gvr }) => gvr.group)
    const groups = new Map<string, ServedGroup>()
    for (const [name, resources] of members) {
      const known = this.#groups.get(name)
      const isKnown = known !== undefined && areSame(this.#members.get(name) ?? [], resources)
      groups.set(name, isKnown ? known : servedGroup(name, resources))
    }
    this.#generation = this.#registry.generation
    this.#groups = groups
    this.#members = members
  }
}

/** Resources are never changed, so the same ones say the same. */
const areSame = (before: readonly Resource[], after: readonly Resource[]): boolean =>
  before.length === after.length && before.every((resource, i) => resource === after[i])

function servedGroup(name: string, members: readonly Resource[]): ServedGroup {
  const resources = Map.groupBy(members, ({ gvr }) => gvr.version)
  for (const list of resources.values())
    list.sort((a, b) => (a.gvr.resource < b.gvr.resource ? -1 : 1))
  return { name, versions: [...resources.keys()].sort(byVersionPriority), resources }
}

const VERSION = /^v(\d+)(?:(alpha|beta)(\d+))?$/
const STABILITY: Readonly<Record<string, number>> = { alpha: 1, beta: 2 }

/** GA before beta before alpha, higher numbers first. Ref: apimachinery/pkg/version/helpers.go CompareKubeAwareVersionStrings */
function byVersionPriority(a: string, b: string): number {
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
