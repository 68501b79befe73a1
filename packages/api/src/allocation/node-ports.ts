// Node ports of Services: no node of ours forwards them, but clients read and compare them. What is taken is read from
// the Services themselves. Called by the Service strategy; fed by service-addresses.ts.
// Ref: kubernetes/pkg/registry/core/service/portallocator

import { isObject, type KubeObject } from '@podless/apimachinery'
import type { NodePorts } from '../resource.ts'
import { freeNumber, staticSizeOf } from './free-number.ts'

/** Ref: kubernetes/pkg/kubeapiserver/options/options.go DefaultServiceNodePortRange */
const SIZE = 2_768
const STATIC_SIZE = staticSizeOf(SIZE, { min: 16, max: 128, step: 32 })
const RANGE = { first: 30_000, size: SIZE, staticSize: STATIC_SIZE }

export class NodePortAllocator implements NodePorts {
  readonly #random: (below: number) => number
  /** Port -> the uid of the Service that holds it, from its allocation on. */
  readonly #taken = new Map<number, string>()

  /** `random` returns integers below its argument. */
  constructor(random: (below: number) => number) {
    this.#random = random
  }

  allocate(holder: string, port?: number): { port: number } | { error: string } {
    const isFree = (free: number): boolean => !this.#taken.has(free)
    const chosen = port ?? freeNumber(RANGE, isFree, this.#random)
    if (chosen === undefined) return { error: 'range is full' }
    const last = RANGE.first + RANGE.size - 1
    if (chosen < RANGE.first || chosen > last)
      return {
        error: `provided port is not in the valid range. The range of valid ports is ${RANGE.first}-${last}`,
      }
    const other = this.#taken.get(chosen)
    // A Service may have one number for several protocols.
    if (other !== undefined && other !== holder)
      return { error: 'provided port is already allocated' }
    this.#taken.set(chosen, holder)
    return { port: chosen }
  }

  release(port: number, holder: string): void {
    if (this.#taken.get(port) === holder) this.#taken.delete(port)
  }

  /** A Service as stored, or gone; `previous` is what it was before. */
  apply(service: KubeObject, deleted: boolean, previous?: KubeObject): void {
    const uid = service.metadata.uid ?? ''
    const held = nodePortsOf(service)
    const given = previous === undefined ? [] : nodePortsOf(previous)
    for (const port of given) if (!held.includes(port)) this.release(port, uid)
    for (const port of held) {
      if (deleted) this.release(port, uid)
      else this.#taken.set(port, uid)
    }
  }
}

/** The numbers a Service has on nodes, for its ports and for its health check. */
export function nodePortsOf(service: KubeObject): number[] {
  if (!isObject(service.spec)) return []
  const { ports, healthCheckNodePort } = service.spec
  const all = (Array.isArray(ports) ? ports : []).map(port => isObject(port) && port.nodePort)
  return [...all, healthCheckNodePort].filter(
    (port): port is number => typeof port === 'number' && port > 0,
  )
}
