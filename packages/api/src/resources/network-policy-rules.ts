// What must hold of a NetworkPolicy. Called by networking.ts; calls address-rules.ts.
// Ref: kubernetes/pkg/apis/networking/validation ValidateNetworkPolicySpec

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
import { cidrProblems, contains, parseCidr } from './address-rules.ts'
import { numberAt, objectAt, objectsAt, textAt, textsAt, valueAt } from './reading.ts'

const POLICY_TYPES = ['Ingress', 'Egress']
const PROTOCOLS = ['TCP', 'UDP', 'SCTP']
const SIDES = { ingress: 'from', egress: 'to' } as const

/** Everything wrong with a NetworkPolicy. */
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
    ? [invalidValue(path, port, 'must be greater than or equal to `port`'), ...errors]
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
  const problems = cidrProblems(text)
  const whole = parseCidr(text)
  const errors = problems.map(problem => invalidValue(`${path}.ipBlock.cidr`, text, problem))
  if (whole === undefined) return errors
  const excepts = textsAt(block, 'except').flatMap((except, index) => {
    const at = `${path}.ipBlock.except[${index}]`
    const wrong = cidrProblems(except).map(problem => invalidValue(at, except, problem))
    const part = parseCidr(except)
    if (part === undefined) return wrong
    const isInside = part.bits > whole.bits && contains(whole, part)
    const detail = 'must be a strict subset of `cidr`'
    return isInside ? wrong : [...wrong, invalidValue(at, except, detail)]
  })
  return [...errors, ...excepts]
}
