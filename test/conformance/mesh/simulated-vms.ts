// A program that is many VMs to istiod: each keeps an ADS stream open, as Istio's agent does, and comes again when it is
// cut. SIGTERM lets all leave in good order. Started by vm-fleet.ts with what it needs as JSON.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AdsAccess, type AdsNode, AdsStream } from './ads-stream.ts'

export interface SimulatedVms {
  readonly access: AdsAccess
  readonly namespace: string
  /** The WorkloadGroup they join. */
  readonly group: string
  readonly serviceAccount: string
  /** One a VM. */
  readonly addresses: readonly string[]
}

const RECONNECT_MS = 200

/** What an agent of a VM tells of itself. Ref: istio/pkg/model/proxy.go NodeMetadata */
function nodeOf(vms: SimulatedVms, address: string): AdsNode {
  const { namespace, group, serviceAccount, access } = vms
  const name = `${group}-${address}`
  return {
    id: `sidecar~${address}~${name}.${namespace}~${namespace}.svc.cluster.local`,
    metadata: {
      NAME: name,
      NAMESPACE: namespace,
      SERVICE_ACCOUNT: serviceAccount,
      CLUSTER_ID: access.clusterId,
      AUTO_REGISTER_GROUP: group,
      INSTANCE_IPS: address,
      LABELS: { app: group },
      // Its presence makes istiod expect health reports.
      PROXY_CONFIG: { readinessProbe: { httpGet: { path: '/' } } },
    },
  }
}

async function keepConnected(vms: SimulatedVms, address: string, stop: AbortSignal): Promise<void> {
  const node = nodeOf(vms, address)
  while (!stop.aborted) {
    const stream = new AdsStream(vms.access, node)
    const leave = (): void => void stream.close().catch(() => undefined)
    stop.addEventListener('abort', leave)
    await stream.closed
    stop.removeEventListener('abort', leave)
    if (!stop.aborted) await sleep(RECONNECT_MS)
  }
}

const vms = JSON.parse(process.argv[2] ?? '') as SimulatedVms
const stop = new AbortController()
void once(process, 'SIGTERM').then(() => stop.abort())
await Promise.all(vms.addresses.map(address => keepConnected(vms, address, stop.signal)))
