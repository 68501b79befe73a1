// The group discovery.k8s.io: EndpointSlices. Read by resources/index.ts.
// Ref: kubernetes/pkg/apis/discovery/validation, kubernetes/pkg/apis/discovery/v1/defaults.go

import { addInt64, equalJson, immutableField, type KubeObject } from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, column, formatFirst, NAME, textColumn } from './columns.ts'
import { sliceErrors } from './endpoint-slice-rules.ts'
import { fillDefaults, fillEmpty, numberAt, objectsAt, textsAt } from './reading.ts'

const ADDRESSES_SHOWN = 3
const PORTS_SHOWN = 3

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

/** Labels count here, besides what is in the slice. Ref: kubernetes/pkg/registry/discovery/endpointslice */
function raiseGeneration(obj: KubeObject, old: KubeObject): void {
  const parts = ({ metadata, endpoints, ports, addressType }: KubeObject) => ({
    labels: metadata.labels ?? {},
    endpoints: endpoints ?? null,
    ports: ports ?? null,
    addressType: addressType ?? '',
  })
  if (equalJson(parts(obj), parts(old))) return
  obj.metadata.generation = addInt64(old.metadata.generation ?? 0, 1)
}

const endpointSlices = builtin({
  group: 'discovery.k8s.io',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  strategy: {
    prepareForCreate: obj => {
      obj.metadata.generation = 1
      for (const endpoint of objectsAt(obj, 'endpoints')) delete endpoint.deprecatedTopology
    },
    prepareForUpdate: raiseGeneration,
    default: obj => {
      for (const port of objectsAt(obj, 'ports')) {
        fillDefaults(port, { name: '' })
        fillEmpty(port, { protocol: 'TCP' })
      }
    },
    validate: obj => sliceErrors(obj),
    validateUpdate: (obj, old) => [
      ...sliceErrors(obj, old),
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
