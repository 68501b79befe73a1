// Where a Service can be reached from this process, without a cluster network. Called by webhook-client.ts.
// In order: the --service-resolver map, ExternalName, ready endpoints of EndpointSlices, then of Endpoints.
// Ref: apiserver/pkg/util/webhook/serviceresolver.go

import { isObject, type JsonObject, type JsonValue, type KubeObject } from '@podless/apimachinery'

export interface ResolvedAddress {
  readonly host: string
  readonly port: number
}

export interface ServiceReader {
  service(namespace: string, name: string): KubeObject | undefined
  endpointSlices(namespace: string): Iterable<KubeObject>
  endpoints(namespace: string, name: string): KubeObject | undefined
}

interface ServiceRef {
  readonly namespace: string
  readonly name: string
  readonly port: number
}

/** Every address that may answer for the service, best first. An error says what is missing and how to mend it. */
export function resolveService(
  { namespace, name, port }: ServiceRef,
  map: Readonly<Record<string, string>>,
  reader: ServiceReader,
): readonly ResolvedAddress[] | { readonly error: string } {
  const mapped = map[`${name}.${namespace}`]
  if (mapped !== undefined) return [splitAddress(mapped, port)]
  const service = reader.service(namespace, name)
  if (service === undefined) return { error: `service "${name}" not found` }
  const spec = object(service.spec)
  if (spec.type === 'ExternalName') return [{ host: String(spec.externalName), port }]
  const servicePort = list(spec.ports)
    .map(object)
    .find(item => item.port === port)
  if (servicePort === undefined)
    return { error: `no service port ${port} found for service "${name}"` }
  const portName = typeof servicePort.name === 'string' ? servicePort.name : ''
  const found = [
    ...fromSlices(reader.endpointSlices(namespace), name, portName),
    ...fromEndpoints(reader.endpoints(namespace, name), portName),
  ]
  if (found.length > 0) return found
  return {
    error: `no endpoints available for service "${name}": nothing in this cluster runs pods, so add an EndpointSlice, make it an ExternalName, or start the server with --service-resolver ${name}.${namespace}=HOST:PORT`,
  }
}

function splitAddress(text: string, fallbackPort: number): ResolvedAddress {
  const cut = text.lastIndexOf(':')
  return cut < 0
    ? { host: text, port: fallbackPort }
    : { host: text.slice(0, cut), port: Number(text.slice(cut + 1)) }
}

function* fromSlices(
  slices: Iterable<KubeObject>,
  name: string,
  portName: string,
): Generator<ResolvedAddress> {
  for (const slice of slices) {
    if (slice.metadata.labels?.['kubernetes.io/service-name'] !== name) continue
    const port = portOf(list(slice.ports), portName)
    if (port === undefined) continue
    for (const endpoint of list(slice.endpoints).map(object)) {
      if (object(endpoint.conditions).ready === false) continue
      for (const host of list(endpoint.addresses)) yield { host: String(host), port }
    }
  }
}

function* fromEndpoints(
  endpoints: KubeObject | undefined,
  portName: string,
): Generator<ResolvedAddress> {
  for (const subset of list(endpoints?.subsets).map(object)) {
    const port = portOf(list(subset.ports), portName)
    if (port === undefined) continue
    for (const address of list(subset.addresses).map(object))
      yield { host: String(address.ip), port }
  }
}

function portOf(ports: readonly JsonValue[], name: string): number | undefined {
  const found =
    ports.map(object).find(port => (port.name ?? '') === name) ??
    (ports.length === 1 ? object(ports[0]) : undefined)
  return typeof found?.port === 'number' ? found.port : undefined
}

const object = (value: JsonValue | undefined): JsonObject => (isObject(value) ? value : {})
const list = (value: JsonValue | undefined): readonly JsonValue[] =>
  Array.isArray(value) ? value : []
