// Namespaces: each gets a `default` ServiceAccount and the CA's ConfigMap, and a deleted one is emptied before it goes.
// Ref: kubernetes/pkg/controller/namespace/deletion/namespaced_resources_deleter.go, pkg/controller/serviceaccount,
// pkg/controller/certificates/rootcacertpublisher

import type { JsonObject, KubeObject } from '@podless/apimachinery'
import { inBatches } from '../batches.ts'
import type { Log } from '../log.ts'
import { prefixOf } from '../objects/stored-form.ts'
import type { Resource } from '../resource.ts'
import { timestamp } from '../writing/write.ts'
import { type Condition, setCondition } from './condition.ts'
import { type Loop, startLoop } from './loop.ts'
import type { Objects } from './objects.ts'

const CONTENT_LEFT_RETRY_MS = 200
const SPEC_FINALIZER = 'kubernetes'
const ROOT_CA_NAME = 'kube-root-ca.crt'
const DEFAULT_ACCOUNT = 'default'
const ROOT_CA_NOTE =
  "The bundle that verifies this API server; it is kept equal to the server's own and changes to it are undone."

export interface NamespaceControllerOptions {
  readonly objects: Objects
  readonly namespaces: Resource
  readonly serviceAccounts: Resource
  readonly configMaps: Resource
  /** PEM of the CA that signs the serving certificate. */
  readonly rootCa: () => string
  readonly log: Log
}

export function startNamespaceController(options: NamespaceControllerOptions): Loop {
  const { objects, namespaces, serviceAccounts, configMaps, log } = options
  const content = new Set([prefixOf(serviceAccounts, ''), prefixOf(configMaps, '')])
  const loop = startLoop({
    name: 'namespace',
    cacher: objects.storage.cacher,
    prefixes: [prefixOf(namespaces, ''), ...content],
    keysOf: ({ type, object }) => {
      const { namespace, name, kind } = object.header
      if (kind === 'Namespace') return type === 'DELETED' ? [] : [name]
      const isOurs = name === (kind === 'ConfigMap' ? ROOT_CA_NAME : DEFAULT_ACCOUNT)
      return isOurs && type !== 'ADDED' ? [namespace] : []
    },
    reconcile: async name => {
      if (!(await reconcile(options, name))) loop.enqueue(name, CONTENT_LEFT_RETRY_MS)
    },
    log,
  })
  return loop
}

/** False when content is left and it has to be asked again. */
async function reconcile(options: NamespaceControllerOptions, name: string): Promise<boolean> {
  const { objects, namespaces } = options
  const namespace = objects.get(namespaces, '', name)
  if (namespace === undefined) return true
  if (namespace.metadata.deletionTimestamp === undefined) {
    await provide(options, name)
    return true
  }
  return await empty(options, namespace)
}

async function provide(
  { objects, serviceAccounts, configMaps, rootCa }: NamespaceControllerOptions,
  namespace: string,
): Promise<void> {
  if (objects.get(serviceAccounts, namespace, DEFAULT_ACCOUNT) === undefined) {
    await objects.create(serviceAccounts, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: DEFAULT_ACCOUNT, namespace },
    })
  }
  const data = { 'ca.crt': rootCa() }
  const existing = objects.get(configMaps, namespace, ROOT_CA_NAME)
  if (existing === undefined) {
    const annotations = { 'kubernetes.io/description': ROOT_CA_NOTE }
    await objects.create(configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: ROOT_CA_NAME, namespace, annotations },
      data,
    })
  } else if ((existing.data as JsonObject | undefined)?.['ca.crt'] !== data['ca.crt']) {
    await objects.change(configMaps, namespace, ROOT_CA_NAME, live => {
      live.data = data
    })
  }
}

async function empty(
  { objects, namespaces }: NamespaceControllerOptions,
  namespace: KubeObject,
): Promise<boolean> {
  const name = namespace.metadata.name ?? ''
  const finalizers = (namespace.spec as { finalizers?: string[] } | undefined)?.finalizers ?? []
  if (!finalizers.includes(SPEC_FINALIZER)) return true
  const left = await deleteContent(objects, name)
  await objects.change(namespaces, '', name, live => {
    if (live.metadata.uid !== namespace.metadata.uid) return
    const now = timestamp(objects.now())
    const status = (live.status ?? {}) as JsonObject & { conditions?: Condition[] }
    const conditions = deletionConditions(left).reduce<Condition[]>(
      (all, condition) => setCondition(all, condition, now),
      status.conditions ?? [],
    )
    live.status = { ...status, phase: 'Terminating', conditions }
    if (left.length === 0)
      live.spec = {
        ...(live.spec as JsonObject),
        finalizers: finalizers.filter(text => text !== SPEC_FINALIZER),
      }
  })
  return left.length === 0
}

interface LeftOver {
  readonly resource: Resource
  readonly count: number
  readonly finalizers: ReadonlyMap<string, number>
}

/** Deletes everything in the namespace that can be told to go; what its finalizers hold is left over. */
async function deleteContent(objects: Objects, namespace: string): Promise<LeftOver[]> {
  const stored = storedResources(objects)
  for (const resource of stored) {
    const targets = [...objects.list(resource, namespace)].filter(
      obj => obj.metadata.deletionTimestamp === undefined,
    )
    await inBatches(targets, ({ metadata: { name = '', uid } }) =>
      objects.delete(resource, { namespace, name, uid }, 'Background'),
    )
  }
  const { backend, cacher } = objects.storage
  await cacher.waitFresh(await backend.revision())
  return stored.flatMap(resource => leftOver(objects, resource, namespace))
}

/** One resource for each key prefix: versions and views share theirs. */
function storedResources({ registry }: Objects): Resource[] {
  const byPrefix = new Map<string, Resource>()
  for (const resource of registry.all()) {
    if (resource.namespaced && resource.create === undefined)
      byPrefix.set(resource.keyPrefix, resource)
  }
  return [...byPrefix.values()]
}

function leftOver(objects: Objects, resource: Resource, namespace: string): LeftOver[] {
  const finalizers = new Map<string, number>()
  let count = 0
  for (const { metadata } of objects.list(resource, namespace)) {
    count += 1
    for (const name of metadata.finalizers ?? [])
      finalizers.set(name, (finalizers.get(name) ?? 0) + 1)
  }
  return count === 0 ? [] : [{ resource, count, finalizers }]
}

/** Ref: kubernetes/pkg/controller/namespace/deletion/status_condition_utils.go */
function deletionConditions(left: readonly LeftOver[]): Condition[] {
  const remaining = left.map(
    ({ resource, count }) =>
      `${resource.gvr.resource}.${resource.gvr.group} has ${count} resource instances`,
  )
  const holding = left.flatMap(({ finalizers }) =>
    [...finalizers].map(([name, count]) => `${name} in ${count} resource instances`),
  )
  const condition = (
    type: string,
    texts: readonly string[],
    reasons: [string, string],
    intro: string,
    done: string,
  ): Condition =>
    texts.length > 0
      ? { type, status: 'True', reason: reasons[0], message: `${intro}: ${texts.join(', ')}` }
      : { type, status: 'False', reason: reasons[1], message: done }
  return [
    condition(
      'NamespaceDeletionDiscoveryFailure',
      [],
      ['DiscoveryFailed', 'ResourcesDiscovered'],
      '',
      'All resources successfully discovered',
    ),
    condition(
      'NamespaceDeletionGroupVersionParsingFailure',
      [],
      ['GroupVersionParsingFailed', 'ParsedGroupVersions'],
      '',
      'All legacy kube types successfully parsed',
    ),
    condition(
      'NamespaceDeletionContentFailure',
      [],
      ['ContentDeletionFailed', 'ContentDeleted'],
      '',
      'All content successfully deleted, may be waiting on finalization',
    ),
    condition(
      'NamespaceContentRemaining',
      remaining,
      ['SomeResourcesRemain', 'ContentRemoved'],
      'Some resources are remaining',
      'All content successfully removed',
    ),
    condition(
      'NamespaceFinalizersRemaining',
      holding,
      ['SomeFinalizersRemain', 'ContentHasNoFinalizers'],
      'Some content in the namespace has finalizers remaining',
      'All content-preserving finalizers finished',
    ),
  ]
}
