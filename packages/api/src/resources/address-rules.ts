// What must hold of IP addresses and ranges of them that objects name. Called by the rules of networking, discovery and
// storage kinds. Ref: apimachinery/pkg/util/validation/ip.go, kubernetes/pkg/apis/core/validation ValidateEndpointIP

import { BlockList, isIP } from 'node:net'
import { type FieldError, invalidValue } from '@podless/apimachinery'

const NOT_AN_IP = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
const NOT_A_CIDR = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'
const NOT_AN_INTERFACE =
  'must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)'
const FAMILY_BITS = { 4: 32, 6: 128 } as const

export interface Cidr {
  readonly address: string
  readonly family: 'ipv4' | 'ipv6'
  readonly bits: number
}

/** Numbers of an address without the zeros before them, which some take for octal. */
const withoutZeros = (text: string): string =>
  text.includes(':') ? text : text.replace(/\b0+(?=\d)/g, '')

const isMapped = (text: string): boolean => text.includes(':') && inBlock('::ffff:0:0', 96, text)

/** Why a text is no address; empty when it is. */
export function addressProblems(text: string): string[] {
  if (isIP(withoutZeros(text)) === 0 || text.includes('%')) return [NOT_AN_IP]
  if (isIP(text) === 0) return ['must not have leading 0s']
  return isMapped(text) ? ['must not be an IPv4-mapped IPv6 address'] : []
}

/** Why a text is no address as it is to be written in newer kinds: in the one canonical form. */
export function canonicalAddressProblems(text: string): string[] {
  const problems = addressProblems(text)
  if (problems.length > 0) return problems
  const canonical = canonicalAddress(text)
  return text === canonical ? [] : [`must be in canonical form (${JSON.stringify(canonical)})`]
}

function canonicalAddress(text: string): string {
  if (!text.includes(':')) return text
  return new URL(`http://[${text}]/`).hostname.slice(1, -1)
}

/** The range that a text names, with zeros before numbers or bits beyond it ignored. */
export function parseCidr(text: string): Cidr | undefined {
  const [written = '', length = '', more] = text.split('/')
  const address = withoutZeros(written)
  const version = isIP(address)
  if (version !== 4 && version !== 6) return undefined
  const bits = Number(length)
  const fits = /^[0-9]+$/.test(length) && bits <= FAMILY_BITS[version]
  if (!fits || more !== undefined) return undefined
  return { address, family: version === 6 ? 'ipv6' : 'ipv4', bits }
}

/** Why a text is no range; empty when it is. */
export function cidrProblems(text: string): string[] {
  const cidr = parseCidr(text)
  if (cidr === undefined) return [NOT_A_CIDR]
  if (text !== `${cidr.address}/${cidr.bits}`) {
    return ['must not have leading 0s in IP or prefix length']
  }
  if (isMapped(cidr.address)) return ['must not have an IPv4-mapped IPv6 address']
  return hasBitsBeyond(cidr) ? ['must not have bits set beyond the prefix length'] : []
}

/** Why a text is no range as it is to be written in newer kinds. */
export function canonicalCidrProblems(text: string): string[] {
  const problems = cidrProblems(text)
  const cidr = parseCidr(text)
  if (problems.length > 0 || cidr === undefined) return problems
  const canonical = `${canonicalAddress(cidr.address)}/${cidr.bits}`
  return text === canonical ? [] : [`must be in canonical form (${JSON.stringify(canonical)})`]
}

/**
 * Why a text is no address of an interface with the length of its network: `10.9.8.7/24`.
 * Ref: apimachinery/pkg/util/validation IsValidInterfaceAddress
 */
export function interfaceAddressProblems(text: string): string[] {
  const cidr = parseCidr(text)
  if (cidr === undefined) return [NOT_AN_INTERFACE]
  const canonical = `${canonicalAddress(cidr.address)}/${cidr.bits}`
  return text === canonical ? [] : [`must be in canonical form (${JSON.stringify(canonical)})`]
}

function hasBitsBeyond({ address, family, bits }: Cidr): boolean {
  const groups = bytesOf(address, family)
  return groups.some((byte, index) => {
    const kept = Math.min(8, Math.max(0, bits - index * 8))
    return (byte & (0xff >> kept)) !== 0
  })
}

function bytesOf(address: string, family: Cidr['family']): number[] {
  if (family === 'ipv4') return address.split('.').map(Number)
  const [head = '', tail] = canonicalAddress(address).split('::')
  const words = (part: string | undefined) =>
    (part ?? '') === '' ? [] : (part ?? '').split(':').map(word => Number.parseInt(word, 16))
  const [first, last] = [words(head), words(tail)]
  const zeros = new Array<number>(8 - first.length - last.length).fill(0)
  return [...first, ...zeros, ...last].flatMap(word => [word >> 8, word & 0xff])
}

/** Whether a range holds all of another. */
export function contains(whole: Cidr, part: Cidr): boolean {
  if (whole.family !== part.family || part.bits < whole.bits) return false
  return inBlock(whole.address, whole.bits, part.address)
}

function inBlock(network: string, bits: number, address: string): boolean {
  const block = new BlockList()
  block.addSubnet(network, bits, network.includes(':') ? 'ipv6' : 'ipv4')
  return block.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
}

const SPECIAL: readonly (readonly [blocks: readonly [string, number][], why: string])[] = [
  [
    [
      ['127.0.0.0', 8],
      ['::1', 128],
    ],
    'may not be in the loopback range (127.0.0.0/8, ::1/128)',
  ],
  [
    [
      ['169.254.0.0', 16],
      ['fe80::', 10],
    ],
    'may not be in the link-local range (169.254.0.0/16, fe80::/10)',
  ],
  [
    [
      ['224.0.0.0', 24],
      ['ff02::', 16],
    ],
    'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)',
  ],
]

/** Addresses that traffic cannot be sent to from elsewhere. `address` is one. */
export function endpointAddressErrors(address: string, path: string): FieldError[] {
  const isUnspecified = canonicalAddress(address) === '::' || address === '0.0.0.0'
  const unspecified = isUnspecified
    ? [invalidValue(path, address, `may not be unspecified (${address})`)]
    : []
  const special = SPECIAL.filter(([blocks]) =>
    blocks.some(([network, bits]) => {
      const sameFamily = network.includes(':') === address.includes(':')
      return sameFamily && inBlock(network, bits, address)
    }),
  )
  return [...unspecified, ...special.map(([, why]) => invalidValue(path, address, why))]
}
