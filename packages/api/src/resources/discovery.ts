// The group discovery.k8s.io: EndpointSlices. Read by resources/index.ts.
// Ref: kubernetes/pkg/apis/discovery/validation, kubernetes/pkg/apis/discovery/v1/defaults.go

import { isIP } from 'node:net'
import {
  duplicate,
  type FieldError,
  immutableField,
  invalidValue,
  isDns1123Label,
  isDns1123Subdomain,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
  tooMany,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, column, formatFirst, NAME, textColumn } from './columns.ts'
import {
  fillDefaults,
  fillEmpty,
  numberAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from './reading.ts'

const ADDRESS_TYPES = ['IPv4', 'IPv6', 'FQDN']
const PROTOCOLS = ['SCTP', 'TCP', 'UDP']
const ENDPOINTS_MAX = 1000
const PORTS_MAX = 20_000
const ADDRESSES_MAX = 100
const ADDRESSES_SHOWN = 3
const PORTS_SHOWN = 3

const ADDRESS_SENTENCE: Readonly<Record<string, string>> = {
  IPv4: 'must be a valid IPv4 address',
  IPv6: 'must be a valid IPv6 address',
}

function addressErrors(address: string, type: string, path: string): FieldError[] {
  if (type === 'FQDN') {
    return isDns1123Subdomain(address).map(text => invalidValue(path, address, text))
  }
  const family = type === 'IPv6' ? 6 : 4
  if (isIP(address) === family) return []
  return [invalidValue(path, address, ADDRESS_SENTENCE[type] ?? 'must be a valid IP address')]
}

function endpointErrors(endpoint: JsonObject, type: string, path: string): FieldError[] {
  const addresses = textsAt(endpoint, 'addresses')
  const errors: FieldError[] = []
  if (addresses.length === 0) {
    errors.push(required(`${path}.addresses`, 'must contain at least 1 address'))
  } else if (addresses.length > ADDRESSES_MAX) {
    errors.push(tooMany(`${path}.addresses`, addresses.length, ADDRESSES_MAX))
  }
  addresses.forEach((address, index) => {
    errors.push(...addressErrors(address, type, `${path}.addresses[${index}]`))
  })
  const hostname = valueAt(endpoint, 'hostname')
  if (typeof hostname === 'string') {
    for (const text of isDns1123Label(hostname)) {
      errors.push(invalidValue(`${path}.hostname`, hostname, text))
    }
  }
  return errors
}

function portErrors(obj: KubeObject): FieldError[] {
  const ports = objectsAt(obj, 'ports')
  const errors = ports.length > PORTS_MAX ? [tooMany('ports', ports.length, PORTS_MAX)] : []
  const names = new Set<string>()
  ports.forEach((port, index) => {
    const path = `ports[${index}]`
    const name = textAt(port, 'name')
    if (name !== '') {
      errors.push(...isDns1123Label(name).map(text => invalidValue(`${path}.name`, name, text)))
    }
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name))
    names.add(name)
    const protocol = textAt(port, 'protocol')
    if (protocol === '') errors.push(required(`${path}.protocol`))
    else if (!PROTOCOLS.includes(protocol)) {
      errors.push(notSupported(`${path}.protocol`, protocol, PROTOCOLS))
    }
  })
  return errors
}

function errors(obj: KubeObject): FieldError[] {
  const type = textAt(obj, 'addressType')
  if (type === '') return [required('addressType')]
  if (!ADDRESS_TYPES.includes(type)) return [notSupported('addressType', type, ADDRESS_TYPES)]
  const endpoints = objectsAt(obj, 'endpoints')
  const found = portErrors(obj)
  if (endpoints.length > ENDPOINTS_MAX) {
    found.push(tooMany('endpoints', endpoints.length, ENDPOINTS_MAX))
  }
  endpoints.forEach((endpoint, index) => {
    found.push(...endpointErrors(endpoint, type, `endpoints[${index}]`))
  })
  return found
}

function formatPorts(obj: KubeObject): string {
  const ports = objectsAt(obj, 'ports')
  if (ports.length === 0) return '<unset>'
  const texts = ports.map(port => String(numberAt(port, 'port') ?? '*'))
  return formatFirst(texts, PORTS_SHOWN)
}

function formatAddresses(obj: KubeObject): string {
  const all = objectsAt(obj, 'endpoints').flatMap(endpoint => textsAt(endpoint, 'addresses'))
  return all.length === 0 ? '<unset>' : formatFirst(all, ADDRESSES_SHOWN)
}

const endpointSlices = builtin({
  group: 'discovery.k8s.io',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  strategy: {
    hasGeneration: true,
    default: obj => {
      for (const port of objectsAt(obj, 'ports')) {
        fillDefaults(port, { name: '' })
        fillEmpty(port, { protocol: 'TCP' })
      }
    },
    validate: errors,
    validateUpdate: (obj, old) => [
      ...errors(obj),
      ...immutableField(obj.addressType, old.addressType, 'addressType'),
    ],
  },
  columns: [
    NAME,
    textColumn('AddressType', 'addressType', 'What its addresses are.'),
    column('Ports', 'The first ports.', formatPorts),
    column('Endpoints', 'The first addresses.', formatAddresses),
    AGE,
  ],
})

export const discoveryResources: readonly Resource[] = [endpointSlices]
