// Endpoints: the older list of what stands behind a Service, written by hand for what has no pods. Part of core.ts.
// Ref: kubernetes/pkg/apis/core/validation ValidateEndpointsCreate

import { isIP } from 'node:net'
import {
  type FieldError,
  invalidValue,
  isDns1123Label,
  isDns1123Subdomain,
  isObject,
  isPortNumber,
  type KubeObject,
  required,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { addressProblems, endpointAddressErrors } from './address-rules.ts'
import { builtin } from './builtin.ts'
import { AGE, column, formatFirst, NAME } from './columns.ts'
import { oneOf } from './container-rules.ts'
import { fillEmpty, numberAt, objectsAt, textAt } from './reading.ts'

const ENDPOINTS_SHOWN = 3

function formatEndpoints(obj: KubeObject): string {
  const all = objectsAt(obj, 'subsets').flatMap(subset => {
    const addresses = objectsAt(subset, 'addresses').map(address => textAt(address, 'ip'))
    const ports = objectsAt(subset, 'ports').map(port => numberAt(port, 'port'))
    if (ports.length === 0) return addresses
    return ports.flatMap(port =>
      addresses.map(ip => (isIP(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`)),
    )
  })
  return formatFirst(all, ENDPOINTS_SHOWN)
}

const PROTOCOLS = ['SCTP', 'TCP', 'UDP']
const NAMES = [
  ['hostname', isDns1123Label],
  ['nodeName', isDns1123Subdomain],
] as const

function endpointsErrors(obj: KubeObject): FieldError[] {
  return objectsAt(obj, 'subsets').flatMap((subset, index) => {
    const path = `subsets[${index}]`
    const errors: FieldError[] = []
    const ready = objectsAt(subset, 'addresses')
    const unready = objectsAt(subset, 'notReadyAddresses')
    if (ready.length === 0 && unready.length === 0) {
      errors.push(required(path, 'must specify `addresses` or `notReadyAddresses`'))
    }
    for (const [field, addresses] of Object.entries({
      addresses: ready,
      notReadyAddresses: unready,
    })) {
      addresses.forEach((address, at) => {
        const ip = textAt(address, 'ip')
        const where = `${path}.${field}[${at}]`
        const problems = addressProblems(ip)
        errors.push(...problems.map(text => invalidValue(`${where}.ip`, ip, text)))
        if (problems.length === 0) errors.push(...endpointAddressErrors(ip, `${where}.ip`))
        for (const [part, rule] of NAMES) {
          const name = textAt(address, part)
          const texts = name === '' ? [] : rule(name)
          errors.push(...texts.map(text => invalidValue(`${where}.${part}`, name, text)))
        }
      })
    }
    const ports = objectsAt(subset, 'ports')
    ports.forEach((port, at) => {
      const where = `${path}.ports[${at}]`
      const name = textAt(port, 'name')
      if (name === '' && ports.length > 1) errors.push(required(`${where}.name`))
      else if (name !== '') {
        errors.push(...isDns1123Label(name).map(text => invalidValue(`${where}.name`, name, text)))
      }
      errors.push(...oneOf(port, 'protocol', PROTOCOLS, where))
      const number = numberAt(port, 'port') ?? 0
      errors.push(...isPortNumber(number).map(text => invalidValue(`${where}.port`, number, text)))
    })
    return errors
  })
}

export const endpoints: Resource = builtin({
  group: '',
  kind: 'Endpoints',
  plural: 'endpoints',
  shortNames: ['ep'],
  keyPrefix: '/registry/services/endpoints',
  strategy: {
    allowCreateOnUpdate: true,
    default: obj => {
      for (const subset of objectsAt(obj, 'subsets')) {
        for (const port of objectsAt(subset, 'ports')) {
          if (isObject(port)) fillEmpty(port, { protocol: 'TCP' })
        }
      }
    },
    validate: endpointsErrors,
    validateUpdate: endpointsErrors,
  },
  columns: [NAME, column('Endpoints', 'The first addresses and ports.', formatEndpoints), AGE],
  more: {
    deprecationWarning:
      'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  },
})
