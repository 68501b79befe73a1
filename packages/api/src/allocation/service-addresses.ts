// ClusterIP allocation from one range, and the node ports. What is taken is read from the Services themselves, so nothing
// else is stored.
// Called by the Service strategy through Services; fed by the cache. Ref: kubernetes/pkg/registry/core/service/ipallocator

import { BlockList, isIP } from 'node:net'
import { isObject, type KubeObject } from '@podless/apimachinery'
import type { ServiceAddresses } from '../resource.ts'
import { freeNumber, staticSizeOf } from './free-number.ts'
import { NodePortAllocator } from './node-ports.ts'

interface Range {
  readonly base: number
  readonly size: number
  readonly text: string
}

const STATIC_SHARE = { min: 16, max: 256, step: 16 }
/** The network, the `kubernetes` Service's address and the broadcast are nobody's. */
const NEVER_GIVEN = 3

export class ClusterIpAllocator implements ServiceAddresses {
  readonly #range: Range
  readonly #random: (below: number) => number
  /** Address -> the uid of the Service that holds it, from its allocation on. */
  readonly #taken = new Map<string, string>()
  readonly #reserved = new Set<string>()
  readonly nodePorts: NodePortAllocator

  /** `cidr` is IPv4. `random` returns integers below its argument. */
  constructor(cidr: string, random: (below: number) => number) {
    this.#range = parseRange(cidr)
    this.#random = random
    this.nodePorts = new NodePortAllocator(random)
    this.#reserved.add(formatIp(this.#range.base))
    this.#reserved.add(formatIp(this.#range.base + this.#range.size - 1))
  }

  /** The whole range, as CIDR. */
  get range(): string {
    const { base, size } = this.#range
    return `${formatIp(base)}/${32 - Math.log2(size)}`
  }

  /** The address of the `kubernetes` Service: the first of the range. */
  get serverAddress(): string {
    return formatIp(this.#range.base + 1)
  }

  allocate(family: 'IPv4' | 'IPv6', ip?: string, holder = ''): { ip: string } | { error: string } {
    if (family === 'IPv6') return { error: 'IPv6 is not configured on this cluster' }
    if (ip !== undefined) return this.#take(ip, holder)
    const free = this.#free()
    if (free === undefined) return { error: 'range is full' }
    this.#taken.set(free, holder)
    return { ip: free }
  }

  release(ip: string, holder = ''): void {
    if (this.#taken.get(ip) === holder) this.#taken.delete(ip)
  }

  /** A Service as stored, or gone; `previous` is what it was before. */
  apply(service: KubeObject, deleted: boolean, previous?: KubeObject): void {
    this.nodePorts.apply(service, deleted, previous)
    const uid = service.metadata.uid ?? ''
    const held = addressesOf(service)
    const given = previous === undefined ? [] : addressesOf(previous)
    for (const ip of given) if (!held.includes(ip)) this.release(ip, uid)
    for (const ip of held) {
      if (deleted) this.release(ip, uid)
      else this.#taken.set(ip, uid)
    }
  }

  #take(ip: string, holder: string): { ip: string } | { error: string } {
    if (!inRange(this.#range, ip)) {
      return { error: 'the provided network does not match the current range' }
    }
    if (this.#taken.has(ip) || this.#reserved.has(ip))
      return { error: 'provided IP is already allocated' }
    this.#taken.set(ip, holder)
    return { ip }
  }

  #free(): string | undefined {
    const { base, size } = this.#range
    const staticSize = Math.max(0, staticSizeOf(size, STATIC_SHARE) - 1)
    const range = { first: base + 2, size: size - NEVER_GIVEN, staticSize }
    const free = freeNumber(range, value => this.#isFree(formatIp(value)), this.#random)
    return free === undefined ? undefined : formatIp(free)
  }

  #isFree(ip: string): boolean {
    return !this.#taken.has(ip) && !this.#reserved.has(ip)
  }
}

function addressesOf(service: KubeObject): string[] {
  if (!isObject(service.spec)) return []
  const { clusterIP, clusterIPs } = service.spec
  const all = Array.isArray(clusterIPs) ? clusterIPs : [clusterIP]
  return all.filter((ip): ip is string => typeof ip === 'string' && isIP(ip) !== 0)
}

function parseRange(cidr: string): Range {
  const [address = '', bits = ''] = cidr.split('/')
  const length = Number(bits)
  if (isIP(address) !== 4 || !Number.isInteger(length) || length < 8 || length > 30) {
    throw new RangeError(
      `the service range ${JSON.stringify(cidr)} is not an IPv4 CIDR between /8 and /30, such as 10.96.0.0/12`,
    )
  }
  const size = 2 ** (32 - length)
  return { base: Math.floor(parseIp(address) / size) * size, size, text: cidr }
}

function inRange({ text }: Range, ip: string): boolean {
  const [address = '', bits = ''] = text.split('/')
  const block = new BlockList()
  block.addSubnet(address, Number(bits))
  return isIP(ip) === 4 && block.check(ip)
}

const parseIp = (ip: string): number =>
  ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
const formatIp = (value: number): string =>
  [24, 16, 8, 0].map(shift => Math.floor(value / 2 ** shift) % 256).join('.')
