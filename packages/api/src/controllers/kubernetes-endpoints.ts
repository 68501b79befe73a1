// Endpoints and EndpointSlice of the Service default/kubernetes: where the API servers over this store are reached.
// Started by api-server.ts; calls master-leases.ts for which servers live.
// Ref: kubernetes/pkg/controlplane/controller/kubernetesservice, kubernetes/pkg/controlplane/reconcilers

import { isIP } from 'node:net'
import {
  addInt64,
  equalJson,
  type JsonObject,
  type JsonValue,
  type KubeObject,
} from '@podless/apimachinery'
import type { Log } from '../log.ts'
import { keyOf } from '../objects/stored-form.ts'
import type { Resource } from '../resource.ts'
import { endpointAddressErrors } from '../resources/address-rules.ts'
import { objectsAt, textAt } from '../resources/reading.ts'
import { startLoop } from './loop.ts'
import { endLease, LEASES_PREFIX, leaseHolders, leaseKey, renewLease } from './master-leases.ts'
import type { NewObject, Objects } from './objects.ts'

const NAMESPACE = 'default'
const NAME = 'kubernetes'
/** Whoever mirrors Endpoints leaves these alone; here it also tells them from what somebody else has made. */
const SKIP_MIRROR = 'endpointslice.kubernetes.io/skip-mirror'
const SERVICE_NAME = 'kubernetes.io/service-name'
/** Ref: kubernetes/pkg/controlplane/instance.go DefaultEndpointReconcilerInterval */
const RENEW_MS = 10_000
const RENEW = 'renew'
const COMPARE = 'compare'

export interface KubernetesEndpointsOptions {
  readonly objects: Objects
  /** HOST:PORT of this server, as clients reach it. */
  readonly advertised: string
  readonly log: Log
  /** Between two signs of life; ten seconds unless given. */
  readonly renewMs?: number
}

export interface KubernetesEndpoints {
  /** Resolves when the objects are as they should be. */
  idle(): Promise<void>
  /** Takes this server out of them, and stops. */
  close(): Promise<void>
}

/**
 * Keeps the two objects in line with the servers that live. This one is among them when it is reached at an IP that such
 * objects may hold; otherwise it only takes out who died.
 */
export function startKubernetesEndpoints(options: KubernetesEndpointsOptions): KubernetesEndpoints {
  const { objects, log, renewMs = RENEW_MS } = options
  const { storage } = objects
  const { endpoints, slices } = kindsOf(objects)
  const place = placeOf(options.advertised)
  const own = place === undefined ? undefined : leaseKey(place.address)
  const loop = startLoop({
    name: 'kubernetes-endpoints',
    cacher: storage.cacher,
    prefixes: [LEASES_PREFIX, ...[endpoints, slices].map(kind => keyOf(kind, NAMESPACE, NAME))],
    keysOf: ({ type, object }) => (type === 'DELETED' && object.key === own ? [RENEW] : [COMPARE]),
    reconcile: async key => {
      if (key === RENEW && place !== undefined) {
        await renewLease(storage, place.address)
        loop.enqueue(RENEW, renewMs)
      }
      await compare(objects, place)
    },
    log,
  })
  loop.enqueue(place === undefined ? COMPARE : RENEW)
  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    await loop.close()
    if (place === undefined) return
    try {
      await endLease(storage, place.address)
      await compare(objects, undefined)
    } catch (error) {
      // Its lease ends by itself, and whoever lives takes it out then.
      log.error('this server stays in the Endpoints of default/kubernetes', error)
    }
  }
  return {
    idle: () => loop.idle(),
    close: () => {
      closed ??= close()
      return closed
    },
  }
}

function kindsOf({ registry }: Objects): { endpoints: Resource; slices: Resource } {
  return {
    endpoints: registry.builtin('', 'endpoints'),
    slices: registry.builtin('discovery.k8s.io', 'endpointslices'),
  }
}

interface Place {
  readonly address: string
  readonly port: number
}

/** Where HOST:PORT is, when that is an IP that traffic can be sent to from elsewhere: no name and no loopback. */
function placeOf(advertised: string): Place | undefined {
  const { hostname, port } = new URL(`https://${advertised}`)
  const address = hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(address) === 0 || endpointAddressErrors(address, '').length > 0) return undefined
  return { address, port: port === '' ? 443 : Number(port) }
}

/** Writes what is not as it should be. Without a place of its own a server leaves alone what is not the servers'. */
async function compare(objects: Objects, place: Place | undefined): Promise<void> {
  const { endpoints } = kindsOf(objects)
  // From here on the cache shows what this server itself has just written, its lease above all.
  await objects.storage.get(keyOf(endpoints, NAMESPACE, NAME))
  const existing = objects.get(endpoints, NAMESPACE, NAME)
  const isOurs = existing?.metadata.labels?.[SKIP_MIRROR] === 'true'
  if (place === undefined && !isOurs) return
  const subsets = wantedSubsets(existing, place, leaseHolders(objects.storage))
  if (!isOurs || !equalJson(existing?.subsets ?? [], subsets)) {
    await writeEndpoints(objects, existing, subsets)
  }
  await keepSlice(objects, subsets)
}

const addressesOf = (subset: JsonObject | undefined): string[] =>
  objectsAt(subset, 'addresses').map(address => textAt(address, 'ip'))

/** One subset with the addresses of all servers. Ports are this server's when it is alone, and else stay. */
function wantedSubsets(
  existing: KubeObject | undefined,
  place: Place | undefined,
  holders: readonly string[],
): JsonObject[] {
  const own = place === undefined || holders.includes(place.address) ? [] : [place.address]
  const servers = [...holders, ...own].sort()
  const [subset, ...more] = objectsAt(existing, 'subsets')
  const isAlone = place !== undefined && servers.length === 1
  const ports =
    place === undefined || (subset?.ports !== undefined && more.length === 0 && !isAlone)
      ? subset?.ports
      : [{ name: 'https', port: place.port, protocol: 'TCP' }]
  if (servers.length === 0 || ports === undefined) return []
  const isSame = more.length === 0 && equalJson(addressesOf(subset).sort(), servers)
  const addresses = isSame ? subset?.addresses : undefined
  return [{ addresses: addresses ?? servers.map(ip => ({ ip })), ports }]
}

async function writeEndpoints(
  objects: Objects,
  existing: KubeObject | undefined,
  subsets: JsonObject[],
): Promise<void> {
  const { endpoints } = kindsOf(objects)
  const fill = (obj: KubeObject): void => {
    obj.metadata.labels = { ...obj.metadata.labels, [SKIP_MIRROR]: 'true' }
    if (subsets.length === 0) delete obj.subsets
    else obj.subsets = subsets
  }
  if (existing !== undefined) {
    await objects.change(endpoints, NAMESPACE, NAME, fill)
    return
  }
  const made: NewObject = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name: NAME, namespace: NAMESPACE },
  }
  fill(made)
  await objects.create(endpoints, made)
}

interface SliceContent extends JsonObject {
  addressType: string
  endpoints: JsonValue
  ports: JsonValue
}

/** The slice of the same addresses: those of one family, which is IPv4 unless all are of the other. */
function sliceContent([subset]: readonly JsonObject[]): SliceContent {
  if (subset === undefined) return { addressType: 'IPv4', endpoints: null, ports: null }
  const all = addressesOf(subset)
  const family = all.every(address => isIP(address) === 6) ? 6 : 4
  return {
    addressType: `IPv${family}`,
    endpoints: all
      .filter(address => isIP(address) === family)
      .map(address => ({ addresses: [address], conditions: { ready: true } })),
    ports: subset.ports ?? null,
  }
}

async function keepSlice(objects: Objects, subsets: readonly JsonObject[]): Promise<void> {
  const { slices } = kindsOf(objects)
  const content = sliceContent(subsets)
  const labels = { [SERVICE_NAME]: NAME }
  const partsOf = (slice: KubeObject): JsonValue => [
    slice.metadata.labels ?? {},
    slice.endpoints ?? null,
    slice.ports ?? null,
  ]
  const existing = objects.get(slices, NAMESPACE, NAME)
  if (existing?.addressType === content.addressType) {
    if (equalJson(partsOf(existing), [labels, content.endpoints, content.ports])) return
    await objects.change(slices, NAMESPACE, NAME, live => {
      Object.assign(live, content)
      live.metadata.labels = labels
      live.metadata.generation = addInt64(live.metadata.generation ?? 0, 1)
    })
    return
  }
  // What its addresses are cannot change.
  if (existing !== undefined) {
    await objects.delete(slices, { namespace: NAMESPACE, name: NAME, uid: existing.metadata.uid })
  }
  await objects.create(slices, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: NAME, namespace: NAMESPACE, labels, generation: 1 },
    ...content,
  })
}
