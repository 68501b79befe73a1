// Istio's ProxyConfig as its Go types print it: camel-case names, defaults left out, durations in seconds.
// A bundle's mesh.yaml has to be what istioctl would write. Called by bundle.ts.
// Ref: istio.io/api mesh/v1alpha1/proxy.proto, networking/v1alpha3/workload_group.proto; protobuf's JSON mapping

import { isObject, type JsonObject, type JsonValue } from '@podless/apimachinery'

type Field =
  /** Left out when it has this value; that is how proto3 prints defaults. */
  | { readonly omit: JsonValue }
  | { readonly as: 'duration' }
  | { readonly message: Message }
  | { readonly list: Message }
type Message = { readonly [name: string]: Field }

const TEXT: Field = { omit: '' }
const NUMBER: Field = { omit: 0 }
const FLAG: Field = { omit: false }
const DURATION: Field = { as: 'duration' }

const HEADER: Message = { name: TEXT, value: TEXT }

/** WorkloadGroup's spec.probe. */
const PROBE: Message = {
  initialDelaySeconds: NUMBER,
  timeoutSeconds: NUMBER,
  periodSeconds: NUMBER,
  successThreshold: NUMBER,
  failureThreshold: NUMBER,
  httpGet: {
    message: { path: TEXT, port: NUMBER, host: TEXT, scheme: TEXT, httpHeaders: { list: HEADER } },
  },
  tcpSocket: { message: { host: TEXT, port: NUMBER } },
  grpc: { message: { port: NUMBER, service: TEXT } },
}

/** Fields that are not here (wrappers, oneofs, maps) print as they were given. */
const PROXY_CONFIG: Message = {
  configPath: TEXT,
  binaryPath: TEXT,
  drainDuration: DURATION,
  discoveryAddress: TEXT,
  discoveryRefreshDelay: DURATION,
  zipkinAddress: TEXT,
  statsdUdpAddress: TEXT,
  envoyMetricsServiceAddress: TEXT,
  proxyAdminPort: NUMBER,
  availabilityZone: TEXT,
  controlPlaneAuthPolicy: { omit: 'NONE' },
  customConfigFile: TEXT,
  statNameLength: NUMBER,
  proxyBootstrapTemplatePath: TEXT,
  interceptionMode: { omit: 'REDIRECT' },
  tracing: { message: { maxPathTagLength: NUMBER, sampling: NUMBER } },
  sds: { message: { enabled: FLAG, k8sSaJwtPath: TEXT } },
  statusPort: NUMBER,
  gatewayTopology: {
    message: { numTrustedProxies: NUMBER, forwardClientCertDetails: { omit: 'UNDEFINED' } },
  },
  terminationDrainDuration: DURATION,
  meshId: TEXT,
  readinessProbe: { message: PROBE },
  image: { message: { imageType: TEXT } },
  fileFlushInterval: DURATION,
  fileFlushMinSizeKb: NUMBER,
}

/** Their keys are data, not field names. */
const MAPS: ReadonlySet<string> = new Set(['proxyMetadata', 'runtimeValues'])

/** The canonical form of a ProxyConfig that someone wrote, in either spelling of its field names. */
export function canonicalProxyConfig(written: JsonObject): JsonObject {
  return canonical(written, PROXY_CONFIG)
}

function canonical(written: JsonObject, message: Message): JsonObject {
  const out: JsonObject = {}
  for (const [name, value] of Object.entries(written)) {
    if (value === undefined || value === null) continue
    const key = camel(name)
    const printed = printedValue(value, message[key], MAPS.has(key))
    if (printed !== undefined) out[key] = printed
  }
  return out
}

function printedValue(
  value: JsonValue,
  field: Field | undefined,
  isMap: boolean,
): JsonValue | undefined {
  if (isMap) return isObject(value) && Object.keys(value).length > 0 ? value : undefined
  if (field === undefined) {
    if (Array.isArray(value)) return value.length === 0 ? undefined : value
    return isObject(value) ? canonical(value, {}) : value
  }
  if ('omit' in field) return value === field.omit ? undefined : value
  if ('as' in field) return duration(value)
  if ('message' in field) return isObject(value) ? canonical(value, field.message) : value
  if (!Array.isArray(value)) return value
  if (value.length === 0) return undefined
  return value.map(item => (isObject(item) ? canonical(item, field.list) : item))
}

const camel = (name: string): string =>
  name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

/** Seconds with 0, 3, 6 or 9 decimals. */
function duration(value: JsonValue): JsonValue {
  const match = typeof value === 'string' ? /^(-?\d+)(?:\.(\d{1,9}))?s$/.exec(value) : null
  if (match === null) return value
  const decimals = (match[2] ?? '').padEnd(9, '0').replace(/(?:000){1,3}$/, '')
  return decimals === '' ? `${match[1]}s` : `${match[1]}.${decimals}s`
}
