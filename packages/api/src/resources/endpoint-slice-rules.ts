// What must hold of an EndpointSlice. Called by discovery.ts. Ref: kubernetes/pkg/apis/discovery/validation

import {
  duplicate,
  equalJson,
  type FieldError,
  invalidValue,
  isDns1123Label,
  isDns1123Subdomain,
  isLabelValue,
  isQualifiedName,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
  tooMany,
} from '@podless/apimachinery'
import {
  addressProblems,
  canonicalAddressProblems,
  endpointAddressErrors,
} from './address-rules.ts'
import { objectsAt, textAt, textsAt, valueAt } from './reading.ts'

const ADDRESS_TYPES = ['FQDN', 'IPv4', 'IPv6']
const PROTOCOLS = ['SCTP', 'TCP', 'UDP']
const ENDPOINTS_MAX = 1000
const PORTS_MAX = 20_000
const ADDRESSES_MAX = 100
const HINTS_MAX = 8

/** Everything wrong with a slice; endpoints that an update leaves alone may stay as they are. */
export function sliceErrors(obj: KubeObject, old?: KubeObject): FieldError[] {
  const type = textAt(obj, 'addressType')
  const errors =
    type === ''
      ? [required('addressType')]
      : ADDRESS_TYPES.includes(type)
        ? []
        : [notSupported('addressType', type, ADDRESS_TYPES)]
  const isKept = old !== undefined && equalJson(obj.endpoints ?? null, old.endpoints ?? null)
  return [...errors, ...portErrors(obj), ...(isKept ? [] : endpointsErrors(obj, type))]
}

function endpointsErrors(obj: KubeObject, type: string): FieldError[] {
  const endpoints = objectsAt(obj, 'endpoints')
  if (endpoints.length > ENDPOINTS_MAX) {
    return [tooMany('endpoints', endpoints.length, ENDPOINTS_MAX)]
  }
  return endpoints.flatMap((endpoint, index) =>
    endpointErrors(endpoint, type, `endpoints[${index}]`),
  )
}

function endpointErrors(endpoint: JsonObject, type: string, path: string): FieldError[] {
  const addresses = textsAt(endpoint, 'addresses')
  const at = `${path}.addresses`
  const errors: FieldError[] = []
  if (addresses.length === 0) errors.push(required(at, 'must contain at least 1 address'))
  else if (addresses.length > ADDRESSES_MAX) {
    errors.push(tooMany(at, addresses.length, ADDRESSES_MAX))
  }
  addresses.forEach((address, index) => {
    errors.push(...addressErrors(address, type, at, index))
  })
  const hints = [
    ...hintErrors(endpoint, `${path}.hints`, 'forZones', isLabelValue),
    ...hintErrors(endpoint, `${path}.hints`, 'forNodes', isDns1123Subdomain),
  ]
  return [
    ...errors,
    ...nameErrors(endpoint, 'nodeName', path, isDns1123Subdomain),
    ...nameErrors(endpoint, 'hostname', path, isDns1123Label),
    ...hints,
  ]
}

function nameErrors(
  endpoint: JsonObject,
  field: string,
  path: string,
  check: (name: string) => string[],
): FieldError[] {
  const name = valueAt(endpoint, field)
  if (typeof name !== 'string') return []
  return check(name).map(text => invalidValue(`${path}.${field}`, name, text))
}

function addressErrors(address: string, type: string, path: string, index: number): FieldError[] {
  const at = `${path}[${index}]`
  if (type === 'FQDN') return domainErrors(address, at)
  if (type !== 'IPv4' && type !== 'IPv6') return []
  const problems = type === 'IPv4' ? addressProblems(address) : canonicalAddressProblems(address)
  if (problems.length > 0) return problems.map(text => invalidValue(at, address, text))
  const isOther = address.includes(':') !== (type === 'IPv6')
  // NOTE: upstream names the list here, and the item in what follows.
  const other = isOther ? [invalidValue(path, address, `must be an ${type} address`)] : []
  return [...other, ...endpointAddressErrors(address, at)]
}

/** Ref: apimachinery/pkg/util/validation IsFullyQualifiedDomainName */
function domainErrors(written: string, path: string): FieldError[] {
  if (written === '') return [required(path)]
  const name = written.endsWith('.') ? written.slice(0, -1) : written
  const problems = isDns1123Subdomain(name)
  if (problems.length > 0) return [invalidValue(path, name, problems.join(','))]
  if (name.includes('.')) return []
  const detail = 'should be a domain with at least two segments separated by dots'
  return [invalidValue(path, name, detail)]
}

function hintErrors(
  endpoint: JsonObject,
  path: string,
  field: string,
  check: (name: string) => string[],
): FieldError[] {
  const names = objectsAt(endpoint, ['hints', field]).map(hint => textAt(hint, 'name'))
  if (names.length > HINTS_MAX) return [tooMany(`${path}.${field}`, names.length, HINTS_MAX)]
  return names.flatMap((name, index) => {
    const at = `${path}.${field}[${index}].name`
    const repeated = names.indexOf(name) < index ? [duplicate(at, name)] : []
    return [...repeated, ...check(name).map(text => invalidValue(at, name, text))]
  })
}

function portErrors(obj: KubeObject): FieldError[] {
  const ports = objectsAt(obj, 'ports')
  if (ports.length > PORTS_MAX) return [tooMany('ports', ports.length, PORTS_MAX)]
  const names = ports.map(port => textAt(port, 'name'))
  const firsts = new Map(names.map((name, index) => [name, index] as const).reverse())
  return ports.flatMap((port, index) => {
    const path = `ports[${index}]`
    const name = names[index] ?? ''
    const problems = name === '' ? [] : isDns1123Label(name)
    const errors = problems.map(text => invalidValue(`${path}.name`, name, text))
    if (firsts.get(name) !== index) errors.push(duplicate(`${path}.name`, name))
    const protocol = textAt(port, 'protocol')
    if (protocol === '') errors.push(required(`${path}.protocol`))
    else if (!PROTOCOLS.includes(protocol)) {
      errors.push(notSupported(`${path}.protocol`, protocol, PROTOCOLS))
    }
    const application = valueAt(port, 'appProtocol')
    if (typeof application !== 'string') return errors
    const at = `${path}.appProtocol`
    return [
      ...errors,
      ...isQualifiedName(application).map(text => invalidValue(at, application, text)),
    ]
  })
}
