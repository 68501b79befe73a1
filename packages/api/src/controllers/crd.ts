// CRDs at work: a watch event, not a request, decides names, makes the resource served and its conditions true, and on
// deletion removes the instances first. A restart and a second replica take the same path.
// Calls crd-names.ts and ../resource-from-crd.ts. Ref: apiextensions-apiserver/pkg/controller/{status,establish,finalizer}

import { crdApproval, equalJson, type JsonObject, type KubeObject } from '@podless/apimachinery'
import type { CacheEvent, StoredObject } from '@podless/storage'
import type { ConversionCaller } from '../custom/conversion-webhook.ts'
import { CompiledSchemas, type CrdSpec, resourcesFromCrd } from '../custom/resource-from-crd.ts'
import type { Log } from '../log.ts'
import { decodeStored, keyOf, prefixOf } from '../objects/stored-form.ts'
import type { Resource } from '../resource.ts'
import { timestamp } from '../writing/write.ts'
import { type Condition, setCondition } from './condition.ts'
import { acceptNames, type CrdNames } from './crd-names.ts'
import { type Loop, startLoop } from './loop.ts'
import type { Objects } from './objects.ts'

interface CrdStatus extends JsonObject {
  conditions?: Condition[] | null
  acceptedNames?: CrdNames
  storedVersions?: string[]
}

export const CRD_CLEANUP_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io'
const APPROVED = 'KubernetesAPIApprovalPolicyConformant'
/** How soon to look again at instances that their finalizers still hold. */
const INSTANCES_LEFT_RETRY_MS = 200

const statusOf = (crd: KubeObject): CrdStatus => (crd.status ?? {}) as CrdStatus
const conditionsOf = (crd: KubeObject): readonly Condition[] => statusOf(crd).conditions ?? []
const isTrue = (crd: KubeObject, type: string): boolean =>
  conditionsOf(crd).some(condition => condition.type === type && condition.status === 'True')

/** What others of its group have to know of a CRD. */
interface NamesHeld {
  readonly names: CrdNames | undefined
  readonly isAccepted: boolean
}

const namesHeld = (crd: KubeObject): NamesHeld => ({
  names: statusOf(crd).acceptedNames,
  isAccepted: isTrue(crd, 'NamesAccepted'),
})

/** Starts the loop. `crds` is the resource of CRDs themselves, `caller` reaches the webhooks that convert. */
export function startCrdController(
  objects: Objects,
  crds: Resource,
  caller: ConversionCaller,
  log: Log,
): Loop {
  const controller = new CrdController(objects, crds, caller)
  const loop = startLoop({
    name: 'crd',
    cacher: objects.storage.cacher,
    prefixes: [prefixOf(crds, '')],
    keysOf: event => controller.keysOf(event),
    tracksDeletions: true,
    reconcile: async name => {
      if (await controller.reconcile(name)) return
      loop.enqueue(name, INSTANCES_LEFT_RETRY_MS)
    },
    log,
  })
  return loop
}

class CrdController {
  readonly #objects: Objects
  readonly #crds: Resource
  readonly #caller: ConversionCaller
  readonly #schemas = new CompiledSchemas()
  /** Group -> CRD -> the names it has, as the last event told: a thousand CRDs are not read again for each change. */
  readonly #names = new Map<string, Map<string, NamesHeld>>()
  readonly #served = new Set<string>()

  constructor(objects: Objects, crds: Resource, caller: ConversionCaller) {
    this.#objects = objects
    this.#crds = crds
    this.#caller = caller
  }

  /** A change of one CRD may free or take names that others of its group want. */
  keysOf({ type, object }: CacheEvent): string[] {
    const crd = decodeStored(object, this.#crds)
    const own = crd.metadata.name ?? ''
    const { group } = crd.spec as CrdSpec
    // Serving follows the event in the same tick; only names and conditions wait for the queue.
    this.#serve(type === 'DELETED' ? undefined : crd, object)
    const before = this.#names.get(group)?.get(own)
    const now = type === 'DELETED' ? undefined : namesHeld(crd)
    this.#hold(group, own, now)
    // Names that are what they were free nothing and take nothing.
    if (before !== undefined && now !== undefined && equalJson(before.names, now.names))
      return [own]
    const waiting = [...(this.#names.get(group) ?? [])].filter(
      ([name, { isAccepted }]) => name !== own && !isAccepted,
    )
    return [own, ...waiting.map(([name]) => name)]
  }

  /** False when instances are left and it has to be asked again. */
  async reconcile(name: string): Promise<boolean> {
    const crd = this.#objects.get(this.#crds, '', name)
    if (crd === undefined) return true
    await this.#acceptNames(crd)
    if (crd.metadata.deletionTimestamp === undefined) return true
    if (!(crd.metadata.finalizers ?? []).includes(CRD_CLEANUP_FINALIZER)) return true
    return await this.#cleanUp(crd)
  }

  #serve(crd: KubeObject | undefined, stored: StoredObject): void {
    const { name } = stored.header
    if (crd !== undefined && isTrue(crd, 'Established')) {
      this.#served.add(name)
      this.#objects.registry.replace(name, this.#resources(crd, stored))
    } else if (this.#served.delete(name)) this.#objects.registry.replace(name, [])
  }

  #resources(crd: KubeObject, stored: StoredObject): Resource[] {
    return resourcesFromCrd(crd, {
      load: () => decodeStored(stored, this.#crds),
      schemas: this.#schemas,
      caller: this.#caller,
    })
  }

  #hold(group: string, name: string, held: NamesHeld | undefined): void {
    const ofGroup = this.#names.get(group) ?? new Map<string, NamesHeld>()
    if (held === undefined) ofGroup.delete(name)
    else ofGroup.set(name, held)
    if (ofGroup.size === 0) this.#names.delete(group)
    else this.#names.set(group, ofGroup)
  }

  async #acceptNames(crd: KubeObject): Promise<void> {
    const spec = crd.spec as CrdSpec
    const name = crd.metadata.name ?? ''
    const others = [...(this.#names.get(spec.group) ?? [])].flatMap(([other, { names }]) =>
      other === name ? [] : (names ?? []),
    )
    const accept = (live: KubeObject): void => {
      const now = timestamp(this.#objects.now())
      const status = statusOf(live)
      const verdict = acceptNames((live.spec as CrdSpec).names, status.acceptedNames, others)
      let conditions = setCondition(status.conditions ?? [], verdict.namesAccepted, now)
      conditions = setCondition(conditions, established(conditions, verdict.namesAccepted), now)
      const approval = crdApproval(live)
      if (approval !== undefined)
        conditions = setCondition(conditions, { type: APPROVED, ...approval }, now)
      live.status = { ...status, conditions, acceptedNames: verdict.acceptedNames }
    }
    // Most of the time nothing changes, and finding that out must not read a large object twice more.
    const accepted = { ...crd }
    accept(accepted)
    if (!equalJson(accepted.status, crd.status))
      await this.#objects.change(this.#crds, '', name, accept)
  }

  async #cleanUp(crd: KubeObject): Promise<boolean> {
    const name = crd.metadata.name ?? ''
    await this.#terminating(name, IN_PROGRESS)
    const outcome = await this.#removeInstances(crd)
    if (outcome === undefined) return false
    await this.#terminating(name, outcome, live => {
      live.metadata.finalizers = (live.metadata.finalizers ?? []).filter(
        text => text !== CRD_CLEANUP_FINALIZER,
      )
    })
    return true
  }

  /** What became of the instances; undefined when some are left. */
  async #removeInstances(crd: KubeObject): Promise<Outcome | undefined> {
    const stored = this.#objects.storage.cacher.get(keyOf(this.#crds, '', crd.metadata.name ?? ''))
    if (stored === undefined) return COMPLETED
    const [resource] = this.#resources({ ...crd, spec: allServed(crd.spec as CrdSpec) }, stored)
    if (resource === undefined || !isTrue(crd, 'Established')) return NEVER_ESTABLISHED
    // Where a CRD takes the name of a built-in resource, the objects under its prefix are not its instances.
    const overlaps = this.#objects.registry
      .all()
      .some(other => other.crd === undefined && other.keyPrefix === resource.keyPrefix)
    if (overlaps) return OVERLAPPING
    return (await this.#deleteInstances(resource)) ? COMPLETED : undefined
  }

  /** True when none is left. */
  async #deleteInstances(resource: Resource): Promise<boolean> {
    const instances = [...this.#objects.list(resource)]
    await Promise.all(
      instances
        .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
        .map(({ metadata }) =>
          this.#objects.delete(resource, { ...metadata, name: metadata.name ?? '' }),
        ),
    )
    const { backend, cacher } = this.#objects.storage
    await cacher.waitFresh(await backend.revision())
    return cacher.count(prefixOf(resource, '')) === 0
  }

  async #terminating(
    name: string,
    outcome: Outcome,
    also: (live: KubeObject) => void = () => undefined,
  ): Promise<void> {
    await this.#objects.change(this.#crds, '', name, live => {
      const now = timestamp(this.#objects.now())
      const conditions = setCondition(conditionsOf(live), { type: 'Terminating', ...outcome }, now)
      live.status = { ...statusOf(live), conditions }
      also(live)
    })
  }
}

/** How far the removal of a CRD's instances is. Ref: controller/finalizer/crd_finalizer.go */
interface Outcome {
  readonly status: 'True' | 'False'
  readonly reason: string
  readonly message: string
}

const IN_PROGRESS: Outcome = {
  status: 'True',
  reason: 'InstanceDeletionInProgress',
  message: 'CustomResource deletion is in progress',
}
const NEVER_ESTABLISHED: Outcome = {
  status: 'False',
  reason: 'NeverEstablished',
  message: 'resource was never established',
}
const OVERLAPPING: Outcome = {
  status: 'False',
  reason: 'OverlappingBuiltInResource',
  message: 'instances overlap with built-in resources in storage',
}
const COMPLETED: Outcome = {
  status: 'False',
  reason: 'InstanceDeletionCompleted',
  message: 'removed all instances',
}

const allServed = (spec: CrdSpec): CrdSpec => ({
  ...spec,
  versions: spec.versions.map(version => ({ ...version, served: true })),
})

/** Once established, always established. */
function established(conditions: readonly Condition[], namesAccepted: Condition): Condition {
  const before = conditions.find(({ type }) => type === 'Established')
  if (before?.status === 'True') return before
  return namesAccepted.status === 'True'
    ? {
        type: 'Established',
        status: 'True',
        reason: 'InitialNamesAccepted',
        message: 'the initial names have been accepted',
      }
    : {
        type: 'Established',
        status: 'False',
        reason: 'NotAccepted',
        message: 'not all names are accepted',
      }
}
