// podless vm list: each VM with its health, when it was last seen, and when its credentials end.
// Calls vm-objects.ts and istiod-presence.ts.

import type { VmRecord } from '@podless/api'
import { type OutputFormat, printJson, printLines, table } from '../output.ts'
import { openServer } from '../server-client.ts'
import { istiodIsPresent } from './istiod-presence.ts'
import { isEntryOf, listEntries, listVms, type WorkloadEntry } from './vm-objects.ts'

export interface ListOptions {
  readonly data: string
  readonly kubeconfig?: string
  readonly namespace?: string
  readonly output: OutputFormat
}

export interface VmStatus {
  readonly namespace: string
  readonly name: string
  readonly group: string
  readonly address: string | undefined
  /**
   * healthy and unhealthy by the probe; connected without one; gone; never when it has not joined; unknown when there is
   * no istiod to tell.
   */
  readonly health: 'connected' | 'gone' | 'healthy' | 'never' | 'unhealthy' | 'unknown'
  /** When it was last connected, or renewed its token; now while it is connected. */
  readonly lastSeen: string | undefined
  readonly tokenExpires: string | undefined
  /** Known from the first renewal after the agent got it. */
  readonly certificateExpires: string | undefined
}

export async function list(options: ListOptions): Promise<void> {
  const client = await openServer(options)
  try {
    const vms = await listVms(client, options.namespace)
    const entries = await listEntries(client, options.namespace)
    const hasIstiod = await istiodIsPresent(client)
    const now = new Date()
    const statuses = vms.map(vm => {
      const entry = entries.find(one => isEntryOf(vm, one))
      return vmStatus(vm, { entry, hasIstiod, now })
    })
    if (options.output === 'json') printJson({ vms: statuses })
    else printLines(statuses.length === 0 ? [NONE] : table([HEADER, ...statuses.map(rowOf(now))]))
  } finally {
    client.close()
  }
}

const NONE = 'no VMs yet; podless vm add NAME adds one'
const HEADER = 'NAMESPACE NAME GROUP ADDRESS HEALTH SEEN TOKEN CERTIFICATE'.split(' ')

export interface Seen {
  readonly entry: WorkloadEntry | undefined
  /** False when nobody keeps the entry up to date. */
  readonly hasIstiod: boolean
  readonly now: Date
}

/** What the VM's Secret and its WorkloadEntry say together. */
export function vmStatus(vm: VmRecord, { entry, hasIstiod, now }: Seen): VmStatus {
  const { connectedAt, disconnectedAt } = connectionOf(entry)
  const isConnected = connectedAt !== undefined && disconnectedAt === undefined
  const seen = [vm.joined, vm.renewed, connectedAt, disconnectedAt]
  const times = seen.filter(time => time !== undefined).map(time => Date.parse(time))
  const latest = isConnected && hasIstiod ? now.getTime() : Math.max(...times)
  return {
    namespace: vm.namespace,
    name: vm.name,
    group: vm.group,
    address: entry?.spec.address ?? vm.address,
    health: isConnected && !hasIstiod ? 'unknown' : healthOf(vm, entry, isConnected),
    lastSeen: Number.isFinite(latest) ? new Date(latest).toISOString() : undefined,
    tokenExpires: vm.tokenExpires,
    certificateExpires: vm.certificateExpires,
  }
}

function connectionOf(entry: WorkloadEntry | undefined): {
  connectedAt: string | undefined
  disconnectedAt: string | undefined
} {
  const annotations = entry?.metadata.annotations ?? {}
  return {
    connectedAt: annotations['istio.io/connectedAt'],
    disconnectedAt: annotations['istio.io/disconnectedAt'],
  }
}

function healthOf(
  vm: VmRecord,
  entry: WorkloadEntry | undefined,
  isConnected: boolean,
): VmStatus['health'] {
  if (entry === undefined) return vm.joined === undefined ? 'never' : 'gone'
  if (!isConnected) return 'gone'
  const healthy = entry.status?.conditions?.find(({ type }) => type === 'Healthy')
  if (healthy !== undefined) return healthy.status === 'True' ? 'healthy' : 'unhealthy'
  const isProbed = entry.metadata.annotations?.['proxy.istio.io/health-checks-enabled'] === 'true'
  return isProbed ? 'unhealthy' : 'connected'
}

const rowOf =
  (now: Date) =>
  (vm: VmStatus): string[] => [
    vm.namespace,
    vm.name,
    vm.group,
    vm.address ?? '-',
    vm.health,
    vm.lastSeen === undefined ? '-' : `${span(now, new Date(vm.lastSeen))} ago`,
    until(now, vm.tokenExpires),
    until(now, vm.certificateExpires),
  ]

function until(now: Date, time: string | undefined): string {
  if (time === undefined) return '-'
  const end = new Date(time)
  return end > now ? `in ${span(end, now)}` : 'expired'
}

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
]

/** A length of time in its largest unit, such as 23h. */
function span(to: Date, from: Date): string {
  const seconds = Math.max(0, Math.round((to.getTime() - from.getTime()) / 1000))
  const unit = UNITS.find(([, size]) => seconds >= 2 * size)
  return unit === undefined ? `${seconds}s` : `${Math.floor(seconds / unit[1])}${unit[0]}`
}
