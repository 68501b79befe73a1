// Keeps an APIService for each group version that is served here: those of built-in groups from the start on, those of CRDs
// as they come and go. Objects that somebody else made, or took over, stay as they are.
// Started by start-loops.ts; bootstrap.ts writes those of built-in groups in one go.
// Ref: kube-aggregator/pkg/controllers/autoregister/autoregister_controller.go

import {
  equalJson,
  type GroupVersion,
  type JsonObject,
  type KubeObject,
} from '@podless/apimachinery'
import { setCondition } from '../controllers/condition.ts'
import { type Loop, startLoop } from '../controllers/loop.ts'
import type { NewObject, Objects } from '../controllers/objects.ts'
import type { Log } from '../log.ts'
import { prefixOf } from '../objects/stored-form.ts'
import type { Registry } from '../registry.ts'
import type { Resource } from '../resource.ts'
import { LOCAL_CONDITION } from '../resources/apiregistration.ts'
import { objectsAt, textAt } from '../resources/reading.ts'
import { timestamp } from '../writing/write.ts'
import { usualPriority } from './priorities.ts'

const MANAGED = 'kube-aggregator.kubernetes.io/automanaged'

/** `onstart`: put right at each start, and a user's from then on. `true`: put right always. */
type Managed = 'onstart' | 'true'

interface Wanted {
  readonly gv: GroupVersion
  readonly managed: Managed
}

/** By name, the APIServices that what is served asks for. */
function wantedServices(registry: Registry): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>()
  for (const { gvr, crd } of registry.all()) {
    const { group, version } = gvr
    const name = `${version}.${group}`
    if (group === 'apiregistration.k8s.io' || wanted.has(name)) continue
    wanted.set(name, { gv: { group, version }, managed: crd === undefined ? 'onstart' : 'true' })
  }
  return wanted
}

function specOf({ group, version }: GroupVersion): JsonObject {
  const priority = usualPriority({ group, version })
  return {
    ...(group === '' ? {} : { group }),
    groupPriorityMinimum: priority.group,
    version,
    versionPriority: priority.version,
  }
}

function localService(name: string, { gv, managed }: Wanted, now: Date): NewObject {
  return {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name, labels: { [MANAGED]: managed } },
    spec: specOf(gv),
    status: { conditions: setCondition([], LOCAL_CONDITION, timestamp(now)) },
  }
}

/** The APIServices of what is served before any CRD is read. */
export function builtinServices(registry: Registry, now: Date): NewObject[] {
  return [...wantedServices(registry)].map(([name, wanted]) => localService(name, wanted, now))
}

/** CRDs often come many at once. */
const SETTLE_MS = 10

/** Follows the registry and the stored APIServices. To be started when every stored CRD is served. */
export function startLocalServices(objects: Objects, registry: Registry, log: Log): Loop {
  const resource = registry.builtin('apiregistration.k8s.io', 'apiservices')
  const prefix = prefixOf(resource, '')
  let wanted = wantedServices(registry)
  /** Those of built-in groups that have been put right since the start. */
  const settled = new Set<string>()
  const loop = startLoop({
    name: 'local-apiservices',
    cacher: objects.storage.cacher,
    prefixes: [prefix],
    reconcile: async key => {
      const name = key.slice(prefix.length)
      if (name === '') follow()
      else if (!settled.has(name)) await reconcile(objects, resource, name, wanted.get(name))
      if (wanted.get(name)?.managed === 'onstart') settled.add(name)
    },
    log,
  })
  const enqueue = (name: string): void => loop.enqueue(`${prefix}${name}`)
  const follow = (): void => {
    const before = wanted
    wanted = wantedServices(registry)
    for (const name of before.keys()) if (!wanted.has(name)) enqueue(name)
    for (const name of wanted.keys()) if (!before.has(name)) enqueue(name)
  }
  for (const name of wanted.keys()) enqueue(name)
  registry.onChange(() => loop.enqueue(prefix, SETTLE_MS))
  return loop
}

async function reconcile(
  objects: Objects,
  resource: Resource,
  name: string,
  want: Wanted | undefined,
): Promise<void> {
  const found = objects.get(resource, '', name)
  if (found === undefined) {
    if (want !== undefined) await objects.create(resource, localService(name, want, objects.now()))
  } else if (isManaged(found)) {
    if (want === undefined) {
      if (!isDefined(objects, found)) {
        await objects.delete(resource, { name, uid: found.metadata.uid })
      }
    } else if (!isRight(found, want)) {
      await objects.change(resource, '', name, live => putRight(live, want))
    }
  }
}

/** Whether a stored CRD has this version: another server may serve it before this one does. */
function isDefined(objects: Objects, service: KubeObject): boolean {
  const [group, version] = [textAt(service, 'spec.group'), textAt(service, 'spec.version')]
  const crds = objects.registry.builtin('apiextensions.k8s.io', 'customresourcedefinitions')
  for (const { header } of objects.storage.cacher.list(prefixOf(crds, ''))) {
    if (!header.name.endsWith(`.${group}`)) continue
    const versions = objectsAt(objects.get(crds, '', header.name), 'spec.versions')
    if (versions.some(entry => entry.name === version && entry.served === true)) return true
  }
  return false
}

function isManaged({ metadata }: KubeObject): boolean {
  const label = metadata.labels?.[MANAGED]
  return label === 'onstart' || label === 'true'
}

const isRight = ({ spec }: KubeObject, { gv }: Wanted): boolean => equalJson(spec ?? {}, specOf(gv))

function putRight(live: KubeObject, { gv, managed }: Wanted): void {
  if (!isManaged(live)) return
  live.spec = specOf(gv)
  live.metadata.labels = { ...live.metadata.labels, [MANAGED]: managed }
}
