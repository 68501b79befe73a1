// The addresses of the API servers over one store: each keeps a key of its own alive, and one that died loses it.
// Used by kubernetes-endpoints.ts; calls storage. The layout is kube-apiserver's.
// Ref: kubernetes/pkg/controlplane/reconcilers/lease.go storageLeases

import { addInt64, type JsonNumber, type KubeObject } from '@podless/apimachinery'
import { encodeObject, type Storage, StorageError } from '@podless/storage'

export const LEASES_PREFIX = '/registry/masterleases/'
/** Half as long again as the time between two writes: one may be late. Ref: MasterEndpointReconcilerTTL */
const LEASE_SECONDS = 15

/** The key of one server's lease. */
export const leaseKey = (address: string): string => LEASES_PREFIX + address

/** Every server that lives, in the order of their keys. */
export function leaseHolders({ cacher }: Storage): string[] {
  return Array.from(cacher.list(LEASES_PREFIX), ({ key }) => key.slice(LEASES_PREFIX.length))
}

/** Says that this server lives, for another while. Upstream counts the generation up, so that it is a change. */
export async function renewLease(storage: Storage, address: string): Promise<void> {
  const write = (generation: JsonNumber): Buffer => {
    const lease: KubeObject = {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { generation },
      subsets: [{ addresses: [{ ip: address }] }],
    }
    return encodeObject(lease)
  }
  await storage.update(
    leaseKey(address),
    current => write(addInt64(current?.object.metadata.generation ?? 0, 1)),
    { ttlSeconds: LEASE_SECONDS },
  )
}

/** Says that this server goes. */
export async function endLease(storage: Storage, address: string): Promise<void> {
  try {
    await storage.remove(leaseKey(address))
  } catch (error) {
    if (!(error instanceof StorageError && error.code === 'notFound')) throw error
  }
}
