// IP addresses and CIDR ranges. Called by registry.ts. Ref: apiserver/pkg/cel/library/{ip,cidr}.go,
// Go net/netip

import { isIPv6 } from 'node:net'
import { type CelType, CIDR, IP } from '../cel-type.ts'
import type { Library } from '../function.ts'
import { CelError, CelOpaque, type CelValue, noSuchOverload } from '../value.ts'

/** An address as its 32 or 128 bits. */
class Address extends CelOpaque {
  readonly type: CelType = IP
  readonly bits: bigint
  readonly width: 32 | 128

  constructor(bits: bigint, width: 32 | 128) {
    super()
    this.bits = bits
    this.width = width
  }

  equals(other: CelOpaque): boolean {
    return other instanceof Address && other.bits === this.bits && other.width === this.width
  }

  override costSize(): number {
    return Math.ceil(this.width / 8)
  }

  override toString(): string {
    return this.width === 32 ? printIPv4(this.bits) : printIPv6(this.bits)
  }

  /** The top `length` bits. */
  prefix(length: number): bigint {
    return this.bits >> BigInt(this.width - length)
  }
}

class Range extends CelOpaque {
  readonly type: CelType = CIDR
  readonly address: Address
  readonly length: number

  constructor(address: Address, length: number) {
    super()
    this.address = address
    this.length = length
  }

  equals(other: CelOpaque): boolean {
    return (
      other instanceof Range && other.length === this.length && other.address.equals(this.address)
    )
  }

  override costSize(): number {
    return Math.ceil(this.length / 8)
  }

  override toString(): string {
    return `${this.address}/${this.length}`
  }

  contains(address: Address): boolean {
    if (address.width !== this.address.width) return false
    return address.prefix(this.length) === this.address.prefix(this.length)
  }
}

function printIPv4(bits: bigint): string {
  return [24n, 16n, 8n, 0n].map(shift => (bits >> shift) & 255n).join('.')
}

/** Lower case, and the first longest run of at least two zero groups becomes `::`. */
function printIPv6(bits: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    Number((bits >> BigInt(112 - i * 16)) & 0xffffn),
  )
  let [start, length] = [-1, 1]
  for (let i = 0; i < 8; i++) {
    let end = i
    while (groups[end] === 0) end++
    if (end - i > length) [start, length] = [i, end - i]
  }
  const hex = (part: readonly number[]) => part.map(group => group.toString(16)).join(':')
  if (start < 0) return hex(groups)
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`
}

function readIPv4(text: string): bigint | string {
  const fields = text.split('.')
  const odd = /[^0-9.]/.exec(text)
  if (odd !== null) return `unexpected character (at ${JSON.stringify(text.slice(odd.index))})`
  const stray = /^\.|\.(?=\.)|\.$/.exec(text)
  if (stray !== null) {
    const at = stray.index + (text[stray.index + 1] === '.' && stray.index > 0 ? 1 : 0)
    return `IPv4 field must have at least one digit (at ${JSON.stringify(text.slice(at))})`
  }
  if (fields.some(field => field.length > 1 && field.startsWith('0'))) {
    return 'IPv4 field has octet with leading zero'
  }
  if (fields.some(field => Number(field) > 255)) return 'IPv4 field has value >255'
  if (fields.length !== 4) return `IPv4 address too ${fields.length < 4 ? 'short' : 'long'}`
  return fields.reduce((bits, field) => (bits << 8n) | BigInt(field), 0n)
}

function readIPv6(text: string): bigint | undefined {
  if (!isIPv6(text)) return undefined
  const dotted = /[0-9.]+$/.exec(text)?.[0]
  let plain = text
  if (dotted?.includes('.') === true) {
    const bits = readIPv4(dotted)
    if (typeof bits === 'string') return undefined
    const tail = `${(bits >> 16n).toString(16)}:${(bits & 0xffffn).toString(16)}`
    plain = text.slice(0, -dotted.length) + tail
  }
  const [head, tail] = plain.split('::') as [string, string | undefined]
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = new Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0')
  const groups = tail === undefined ? front : [...front, ...zeros, ...back]
  return groups.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n)
}

/** Go's netip.ParseAddr; the error is its text without the name of the function. */
function readAddress(text: string): Address | string {
  const separator = /[.:%]/.exec(text)?.[0]
  if (separator === '.') {
    const bits = readIPv4(text)
    return typeof bits === 'string' ? bits : new Address(bits, 32)
  }
  if (separator === '%') return 'missing IPv6 address'
  if (separator === undefined) return 'unable to parse IP'
  const bits = readIPv6(text)
  return bits === undefined ? 'unable to parse IP' : new Address(bits, 128)
}

const isMapped = (address: Address) => address.width === 128 && address.prefix(96) === 0xffffn

function readIP(text: string): Address | CelError {
  const quoted = JSON.stringify(text)
  const zone = text.includes(':') ? text.indexOf('%') : -1
  const address = readAddress(zone < 0 ? text : text.slice(0, zone))
  if (typeof address === 'string') {
    const why = `ParseAddr(${quoted}): ${address}`
    return new CelError(`IP Address ${quoted} parse error during conversion from string: ${why}`)
  }
  if (zone >= 0) return new CelError(`IP address ${quoted} with zone value is not allowed`)
  if (isMapped(address)) return new CelError(`IPv4-mapped IPv6 address ${quoted} is not allowed`)
  return address
}

function readRange(text: string): Range | CelError {
  const quoted = JSON.stringify(text)
  const slash = text.lastIndexOf('/')
  if (slash < 0) return badRange(`netip.ParsePrefix(${quoted}): no '/'`)
  const address = readAddress(text.slice(0, slash))
  if (typeof address === 'string') {
    const inner = JSON.stringify(text.slice(0, slash))
    return badRange(`netip.ParsePrefix(${quoted}): ParseAddr(${inner}): ${address}`)
  }
  const bits = text.slice(slash + 1)
  if (!/^(0|[1-9][0-9]*)$/.test(bits)) {
    return badRange(`netip.ParsePrefix(${quoted}): bad bits after slash: ${JSON.stringify(bits)}`)
  }
  if (Number(bits) > address.width) {
    return badRange(`netip.ParsePrefix(${quoted}): prefix length out of range`)
  }
  if (isMapped(address)) return badRange(`IPv4-mapped IPv6 address ${quoted} is not allowed`, false)
  return new Range(address, Number(bits))
}

/** Upstream wraps most of these errors twice. */
function badRange(why: string, wrapped = true): CelError {
  const prefix = 'network address parse error during conversion from string: '
  return new CelError(prefix + (wrapped ? prefix : '') + why)
}

function masked(range: Range): Range {
  const free = BigInt(range.address.width - range.length)
  const address = new Address((range.address.bits >> free) << free, range.address.width)
  return new Range(address, range.length)
}

function containsIP(range: Range, other: string | Address): CelValue {
  const address = typeof other === 'string' ? readIP(other) : other
  return address instanceof CelError ? noSuchOverload() : range.contains(address)
}

function containsRange(range: Range, other: string | Range): CelValue {
  const inner = typeof other === 'string' ? readRange(other) : other
  if (inner instanceof CelError) return inner
  return range.length <= inner.length && range.contains(inner.address)
}

/** Whether an address lies in a range written as its top bits. */
function within(v4: readonly [bits: bigint, length: number], v6: readonly [bigint, number]) {
  return (address: Address): CelValue => {
    const [bits, length] = address.width === 32 ? v4 : v6
    return address.prefix(length) === bits
  }
}

const isUnspecified = within([0n, 32], [0n, 128])
const isLoopback = within([127n, 8], [1n, 128])
const isLinkLocalUnicast = within([0xa9fen, 16], [0x3fan, 10])
const isLinkLocalMulticast = within([0xe00000n, 24], [0xff02n, 16])
const isMulticast = within([0xen, 4], [0xffn, 8])

function isGlobalUnicast(address: Address): CelValue {
  if (address.width === 32 && address.bits === 0xffffffffn) return false
  return ![isUnspecified, isLoopback, isMulticast, isLinkLocalUnicast].some(test => test(address))
}

const print = (value: Address | Range) => value.toString()

export const NETWORK: Library = {
  ip: {
    string_to_ip: ['(string) -> net.IP', readIP],
    cidr_ip: ['net.CIDR.() -> net.IP', (range: Range) => range.address],
  },
  isIP: { is_ip: ['(string) -> bool', (text: string) => !(readIP(text) instanceof CelError)] },
  'ip.isCanonical': {
    ip_is_canonical: [
      '(string) -> bool',
      (text: string) => {
        const address = readIP(text)
        return address instanceof CelError ? address : address.toString() === text
      },
    ],
  },
  family: {
    ip_family: ['net.IP.() -> int', (address: Address) => (address.width === 32 ? 4n : 6n)],
  },
  isUnspecified: { ip_is_unspecified: ['net.IP.() -> bool', isUnspecified] },
  isLoopback: { ip_is_loopback: ['net.IP.() -> bool', isLoopback] },
  isLinkLocalMulticast: { ip_is_link_local_multicast: ['net.IP.() -> bool', isLinkLocalMulticast] },
  isLinkLocalUnicast: { ip_is_link_local_unicast: ['net.IP.() -> bool', isLinkLocalUnicast] },
  isGlobalUnicast: { ip_is_global_unicast: ['net.IP.() -> bool', isGlobalUnicast] },
  cidr: { string_to_cidr: ['(string) -> net.CIDR', readRange] },
  isCIDR: {
    is_cidr: ['(string) -> bool', (text: string) => !(readRange(text) instanceof CelError)],
  },
  containsIP: {
    cidr_contains_ip_string: ['net.CIDR.(string) -> bool', containsIP],
    cidr_contains_ip_ip: ['net.CIDR.(net.IP) -> bool', containsIP],
  },
  containsCIDR: {
    cidr_contains_cidr_string: ['net.CIDR.(string) -> bool', containsRange],
    cidr_contains_cidr: ['net.CIDR.(net.CIDR) -> bool', containsRange],
  },
  prefixLength: {
    cidr_prefix_length: ['net.CIDR.() -> int', (range: Range) => BigInt(range.length)],
  },
  masked: { cidr_masked: ['net.CIDR.() -> net.CIDR', masked] },
  string: {
    ip_to_string: ['(net.IP) -> string', print],
    cidr_to_string: ['(net.CIDR) -> string', print],
  },
}
