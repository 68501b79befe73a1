// What must hold of a NetworkPolicy. Called by networking.ts, which reads CIDRs of other kinds with it too.
// Ref: kubernetes/pkg/apis/networking/validation ValidateNetworkPolicySpec

import { BlockList, isIP } from 'node:net'
import {
  type FieldError,
  forbiddenField,
  invalidValue,
  isPortName,
  isPortNumber,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
  validateLabelSelector,
} from '@podless/apimachinery'
import { numberAt, objectAt, objectsAt, textAt, textsAt, valueAt } from './reading.ts'

const POLICY_TYPES = ['Egress', 'Ingress']
const PROTOCOLS = ['SCTP', 'TCP', 'UDP']
const SIDES = { ingress: 'from', egress: 'to' } as const
export const NOT_A_CIDR = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'

interface Cidr {
  readonly address: string
  readonly family: 'ipv4' | 'ipv6'
  readonly bits: number
}

/** Undefined when the text is no CIDR. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', length = '', more] = text.split('/')
  const version = isIP(address)
  const bits = Number(length)
  const fits = /^[0-9]+$/.test(length) && bits <= (version === 6 ? 128 : 32)
  if (version === 0 || !fits || more !== undefined) return undefined
  return { address, family: version === 6 ? 'ipv6' : 'ipv4', bits }
}

export function policyErrors(obj: KubeObject): FieldError[] {
  const errors = validateLabelSelector(valueAt(obj, 'spec.podSelector') ?? {}, 'spec.podSelector')
  for (const [list, side] of Object.entries(SIDES)) {
    objectsAt(obj, `spec.${list}`).forEach((rule, index) => {
      const path = `spec.${list}[${index}]`
      for (const [at, port] of objectsAt(rule, 'ports').entries())
        errors.push(...portErrors(port, `${path}.ports[${at}]`))
      for (const [at, peer] of objectsAt(rule, side).entries())
        errors.push(...peerErrors(peer, `${path}.${side}[${at}]`))
    })
  }
  const types = textsAt(obj, 'spec.policyTypes')
  if (types.length > 2) {
    const detail = 'may not specify more than two policyTypes'
    return [...errors, invalidValue('spec.policyTypes', [...types], detail)]
  }
  types.forEach((type, index) => {
    if (POLICY_TYPES.includes(type)) return
    errors.push(notSupported(`spec.policyTypes[${index}]`, type, POLICY_TYPES))
  })
  return errors
}

function portErrors(entry: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  const protocol = textAt(entry, 'protocol')
  if (protocol !== '' && !PROTOCOLS.includes(protocol))
    errors.push(notSupported(`${path}.protocol`, protocol, PROTOCOLS))
  const { port } = entry
  if (typeof port === 'number')
    errors.push(...isPortNumber(port).map(text => invalidValue(`${path}.port`, port, text)))
  if (typeof port === 'string')
    errors.push(...isPortName(port).map(text => invalidValue(`${path}.port`, port, text)))
  return [...errors, ...endPortErrors(entry, `${path}.endPort`)]
}

function endPortErrors(entry: JsonObject, path: string): FieldError[] {
  const end = numberAt(entry, 'endPort')
  if (end === undefined) return []
  const { port } = entry
  if (typeof port === 'string')
    return [invalidValue(path, end, 'may not be specified when `port` is non-numeric')]
  if (typeof port !== 'number')
    return [invalidValue(path, end, 'may not be specified when `port` is not specified')]
  const errors = isPortNumber(end).map(text => invalidValue(path, end, text))
  return end < port
    ? [invalidValue(path, end, 'must be greater than or equal to `port`'), ...errors]
    : errors
}

function peerErrors(peer: JsonObject, path: string): FieldError[] {
  const { podSelector, namespaceSelector, ipBlock } = peer
  const errors = [
    ...validateLabelSelector(podSelector, `${path}.podSelector`),
    ...validateLabelSelector(namespaceSelector, `${path}.namespaceSelector`),
  ]
  if (ipBlock !== undefined) errors.push(...blockErrors(objectAt(peer, 'ipBlock'), path))
  if (podSelector === undefined && namespaceSelector === undefined && ipBlock === undefined) {
    errors.push(required(path, 'must specify a peer'))
  }
  if (ipBlock !== undefined && (podSelector !== undefined || namespaceSelector !== undefined)) {
    errors.push(forbiddenField(path, 'may not specify both ipBlock and another peer'))
  }
  return errors
}

function blockErrors(block: JsonObject, path: string): FieldError[] {
  const text = textAt(block, 'cidr')
  if (text === '') return [required(`${path}.ipBlock.cidr`)]
  const whole = parseCidr(text)
  if (whole === undefined) return [invalidValue(`${path}.ipBlock.cidr`, text, NOT_A_CIDR)]
  return textsAt(block, 'except').flatMap((except, index) => {
    const at = `${path}.ipBlock.except[${index}]`
    const part = parseCidr(except)
    if (part === undefined) return [invalidValue(at, except, NOT_A_CIDR)]
    const isInside = part.bits > whole.bits && contains(whole, part)
    return isInside ? [] : [invalidValue(at, except, 'must be a strict subset of `cidr`')]
  })
}

function contains(whole: Cidr, { address, family }: Cidr): boolean {
  const block = new BlockList()
  block.addSubnet(whole.address, whole.bits, whole.family)
  return family === whole.family && block.check(address, family)
}
