// Why the Service of an APIService cannot be asked at all, in upstream's words. Called by remote-services.ts; pure.
// Ref: kube-aggregator/pkg/controllers/status/remote/remote_available_controller.go

import type { JsonObject, KubeObject } from '@podless/apimachinery'
import type { ServiceReader } from '../admission/service-resolver.ts'
import { numberAt, objectsAt, textAt } from '../resources/reading.ts'
import type { ServiceReference } from './api-services.ts'

export interface Problem {
  readonly reason: string
  readonly message: string
}

/** Undefined where nothing but the server's answer can tell. */
export function serviceProblem(
  { namespace, name, port }: ServiceReference,
  reader: ServiceReader,
): Problem | undefined {
  const at = `service/${name} in ${JSON.stringify(namespace)}`
  const service = reader.service(namespace, name)
  if (service === undefined) return { reason: 'ServiceNotFound', message: `${at} is not present` }
  if (textAt(service, 'spec.type') !== 'ClusterIP') return undefined
  const listening = objectsAt(service, 'spec.ports').find(entry => numberAt(entry, 'port') === port)
  if (listening === undefined)
    return { reason: 'ServicePortError', message: `${at} is not listening on port ${port}` }
  const slices = [...reader.endpointSlices(namespace)].filter(
    ({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name,
  )
  if (slices.length === 0)
    return { reason: 'EndpointsNotFound', message: `cannot find endpointslices for ${at}` }
  const portName = textAt(listening, 'name')
  if (slices.some(slice => isReady(slice, portName))) return undefined
  const named = `have no addresses with port name ${JSON.stringify(portName)}`
  return { reason: 'MissingEndpoints', message: `endpointslices for ${at} ${named}` }
}

const isReady = (slice: KubeObject, portName: string): boolean =>
  objectsAt(slice, 'endpoints').some(
    ({ conditions }) => (conditions as JsonObject)?.ready !== false,
  ) &&
  objectsAt(slice, 'ports').some(
    port => textAt(port, 'name') === portName && numberAt(port, 'port') !== undefined,
  )
