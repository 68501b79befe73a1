// The groups that are served: here, as the registry has them, and by extension servers. After a change all but the groups
// it concerns are the same objects as before, so that what is made of a group can be kept beside it.
// Called by discovery.ts and openapi.ts. Ref: apiserver/pkg/endpoints/discovery/aggregated/handler.go

import type { JsonObject } from '@podless/apimachinery'
import { ApiServices, type RemoteService } from '../aggregation/api-services.ts'
import type { Priority } from '../aggregation/priorities.ts'
import type { Registry } from '../registry.ts'
import type { Resource } from '../resource.ts'

export interface ServedGroup {
  readonly name: string
  /** Most preferred first. */
  readonly versions: readonly string[]
  /** By version, in the order of their names. */
  readonly resources: ReadonlyMap<string, readonly Resource[]>
  /** By version, what extension servers say of theirs: APIVersionDiscoveries. */
  readonly remotes: ReadonlyMap<string, JsonObject>
  /** Of the version that has the highest one of a group. */
  readonly priority: number
}

/** What a group is made of. */
interface Members {
  readonly resources: readonly Resource[]
  readonly remotes: readonly RemoteService[]
  readonly discoveries: readonly JsonObject[]
  /** Of the versions, in the order in which the members name them first. */
  readonly priorities: readonly Priority[]
}

const NOBODY: Members = { resources: [], remotes: [], discoveries: [], priorities: [] }

export class ServedGroups {
  readonly #registry: Registry
  readonly #services: ApiServices
  #generations = ''
  #groups: ReadonlyMap<string, ServedGroup> = new Map()
  #members: ReadonlyMap<string, Members> = new Map()

  constructor(registry: Registry, services = new ApiServices()) {
    this.#registry = registry
    this.#services = services
  }

  /** All groups by name, which is empty for the core group's, most preferred first. The same map until something changes. */
  all(): ReadonlyMap<string, ServedGroup> {
    const generations = `${this.#registry.generation} ${this.#services.generation}`
    if (this.#generations !== generations) this.#update(generations)
    return this.#groups
  }

  #update(generations: string): void {
    const members = this.#membersByName()
    const groups: ServedGroup[] = []
    for (const [name, now] of members) {
      const known = this.#groups.get(name)
      const isKnown = known !== undefined && areSame(this.#members.get(name) ?? NOBODY, now)
      groups.push(isKnown ? known : servedGroup(name, now))
    }
    this.#generations = generations
    this.#groups = new Map(groups.sort(byPriority).map(group => [group.name, group]))
    this.#members = members
  }

  #membersByName(): Map<string, Members> {
    const services = this.#services
    const remotes = Map.groupBy(services.remotes(), ({ gv }) => gv.group)
    const resources = Map.groupBy(this.#registry.all(), ({ gvr }) => gvr.group)
    const members = new Map<string, Members>()
    for (const name of new Set([...resources.keys(), ...remotes.keys()])) {
      const theirs = remotes.get(name) ?? []
      const ours = (resources.get(name) ?? []).filter(
        ({ gvr }) => services.remote(gvr) === undefined,
      )
      members.set(name, {
        resources: ours,
        remotes: theirs,
        discoveries: theirs.map(remote => services.documents(remote).discovery),
        priorities: versionsOf(ours, theirs).map(version =>
          services.priority({ group: name, version }),
        ),
      })
    }
    return members
  }
}

function versionsOf(resources: readonly Resource[], remotes: readonly RemoteService[]): string[] {
  return [
    ...new Set([
      ...resources.map(({ gvr }) => gvr.version),
      ...remotes.map(({ gv }) => gv.version),
    ]),
  ]
}

/** Resources and documents are never changed, so the same ones say the same. */
const areSame = (before: Members, after: Members): boolean =>
  areEqual(before.resources, after.resources) &&
  areEqual(before.discoveries, after.discoveries) &&
  areEqual(before.priorities.map(textOf), after.priorities.map(textOf))

const textOf = ({ group, version }: Priority): string => `${group} ${version}`

const areEqual = (before: readonly unknown[], after: readonly unknown[]): boolean =>
  before.length === after.length && before.every((one, i) => one === after[i])

function servedGroup(name: string, members: Members): ServedGroup {
  const { remotes, discoveries, priorities } = members
  const resources = Map.groupBy(members.resources, ({ gvr }) => gvr.version)
  for (const list of resources.values())
    list.sort((a, b) => (a.gvr.resource < b.gvr.resource ? -1 : 1))
  const versions = versionsOf(members.resources, remotes)
  const priority = new Map(versions.map((version, i) => [version, priorities[i]?.version ?? 0]))
  return {
    name,
    versions: versions.sort(
      (a, b) => (priority.get(b) ?? 0) - (priority.get(a) ?? 0) || byVersionName(a, b),
    ),
    resources,
    remotes: new Map(
      remotes.flatMap(({ gv }, i) => {
        const discovery = discoveries[i]
        return discovery === undefined ? [] : [[gv.version, discovery]]
      }),
    ),
    priority: Math.max(...priorities.map(({ group }) => group)),
  }
}

const byPriority = (a: ServedGroup, b: ServedGroup): number =>
  b.priority - a.priority || (a.name < b.name ? -1 : 1)

const VERSION = /^v(\d+)(?:(alpha|beta)(\d+))?$/
const STABILITY: Readonly<Record<string, number>> = { alpha: 1, beta: 2 }

/** GA before beta before alpha, higher numbers first. Ref: apimachinery/pkg/version/helpers.go CompareKubeAwareVersionStrings */
function byVersionName(a: string, b: string): number {
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
