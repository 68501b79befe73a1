// The files with which a VM joins the mesh: cluster.env, mesh.yaml, root-cert.pem and hosts, byte for byte what
// `istioctl x workload entry configure --autoregister` writes for the same group. Pure; called by vm-pages.ts.
// Ref: istio/istioctl/pkg/workload/workload.go

import {
  badRequest,
  isObject,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  parseYaml,
} from '@podless/apimachinery'
import { goYaml } from './go-yaml.ts'
import { canonicalProxyConfig } from './proxy-config.ts'

export interface BundleInputs {
  readonly group: KubeObject
  /** The mesh config: key `mesh` of the ConfigMap istio. */
  readonly mesh: string
  /** PEM of istiod's root, from istio-ca-root-cert. */
  readonly rootCert: string
  readonly clusterId: string
  readonly revision: string
  readonly istioNamespace: string
  /** The address the VM is reached at, when it does not find out itself. */
  readonly address?: string
  /** Where istiod's name points to; without it the hosts file is empty. */
  readonly istiodAddress?: string
}

export interface Bundle {
  readonly 'cluster.env': string
  readonly 'mesh.yaml': string
  readonly 'root-cert.pem': string
  readonly hosts: string
}

export type BundleFile = keyof Bundle

export function createBundle(inputs: BundleInputs): Bundle {
  const config = proxyConfig(inputs)
  return {
    'cluster.env': clusterEnv(inputs, config),
    'mesh.yaml': goYaml({ defaultConfig: canonicalProxyConfig(config) }),
    'root-cert.pem': inputs.rootCert,
    hosts: hosts(inputs),
  }
}

const isRevisioned = (revision: string): boolean => revision !== '' && revision !== 'default'

function istiodHost({ revision, istioNamespace }: BundleInputs): string {
  return `istiod${isRevisioned(revision) ? `-${revision}` : ''}.${istioNamespace}.svc`
}

function hosts(inputs: BundleInputs): string {
  const { istiodAddress } = inputs
  return istiodAddress === undefined ? '' : `${istiodAddress} ${istiodHost(inputs)}\n`
}

interface GroupParts {
  readonly name: string
  readonly namespace: string
  readonly ports: Readonly<Record<string, number>>
  readonly serviceAccount: string
  readonly network: string
  readonly labels: Readonly<Record<string, string>>
  readonly probe: JsonObject | undefined
  /** Annotations that may carry proxy.istio.io/config, the later ones win. */
  readonly annotations: readonly Readonly<Record<string, string>>[]
}

const objectAt = (value: JsonValue | undefined, key: string): JsonObject => {
  const found = isObject(value) ? value[key] : undefined
  return isObject(found) ? found : {}
}

const textAt = (value: JsonObject, key: string): string => {
  const found = value[key]
  return typeof found === 'string' ? found : ''
}

function partsOf({ metadata, spec }: KubeObject): GroupParts {
  const template = objectAt(spec, 'template')
  const meta = objectAt(spec, 'metadata')
  const texts = (map: JsonObject): Record<string, string> => map as Record<string, string>
  return {
    name: metadata.name ?? '',
    namespace: metadata.namespace ?? '',
    ports: objectAt(template, 'ports') as Record<string, number>,
    serviceAccount: textAt(template, 'serviceAccount') || 'default',
    network: textAt(template, 'network'),
    labels: { ...texts(objectAt(meta, 'labels')), ...texts(objectAt(template, 'labels')) },
    probe: isObject(spec) && isObject(spec.probe) ? spec.probe : undefined,
    annotations: [metadata.annotations ?? {}, texts(objectAt(meta, 'annotations'))],
  }
}

function parsed(yaml: string): JsonObject {
  const { value } = parseYaml(yaml, { strict: false })
  return isObject(value) ? value : {}
}

/** The mesh's defaultConfig with this group's own, and its metadata. */
function proxyConfig(inputs: BundleInputs): JsonObject {
  const group = partsOf(inputs.group)
  const mesh = parsed(inputs.mesh)
  let config: JsonObject = { ...objectAt(mesh, 'defaultConfig') }
  let metadata: JsonObject = { ...objectAt(config, 'proxyMetadata') }
  if (isRevisioned(inputs.revision) && textAt(config, 'discoveryAddress') === '')
    config.discoveryAddress = `${istiodHost(inputs)}:15012`
  for (const annotations of group.annotations) {
    const own = parsed(annotations['proxy.istio.io/config'] ?? '')
    metadata = { ...metadata, ...objectAt(own, 'proxyMetadata') }
    config = { ...config, ...own }
  }
  return {
    ...config,
    readinessProbe: group.probe,
    proxyMetadata: {
      ...metadata,
      ...groupMetadata(group, inputs, {
        trustDomain: textAt(mesh, 'trustDomain'),
        meshId: textAt(config, 'meshId'),
      }),
    },
  }
}

function groupMetadata(
  group: GroupParts,
  { clusterId }: BundleInputs,
  { trustDomain, meshId }: { trustDomain: string; meshId: string },
): JsonObject {
  const { labels, name } = group
  const service = first(labels, CANONICAL_SERVICE) ?? name
  const revision = first(labels, CANONICAL_REVISION) ?? 'latest'
  const named = {
    ...labels,
    'service.istio.io/canonical-name': service,
    'service.istio.io/canonical-revision': revision,
  }
  const ports = sortedPorts(group)
  return {
    CANONICAL_SERVICE: service,
    CANONICAL_REVISION: revision,
    POD_NAMESPACE: group.namespace,
    SERVICE_ACCOUNT: group.serviceAccount,
    TRUST_DOMAIN: trustDomain,
    ISTIO_META_CLUSTER_ID: clusterId,
    ISTIO_META_MESH_ID: meshId,
    ISTIO_META_NETWORK: group.network,
    ...(ports.length === 0 ? {} : { ISTIO_META_POD_PORTS: goJson(ports) }),
    ISTIO_META_WORKLOAD_NAME: name,
    ISTIO_METAJSON_LABELS: goJson(Object.fromEntries(Object.entries(named).sort(byKey))),
    ISTIO_META_DNS_CAPTURE: 'true',
    ISTIO_META_AUTO_REGISTER_GROUP: name,
  }
}

/** Ref: istio/pkg/model/... labels.CanonicalService */
const CANONICAL_SERVICE = [
  'service.istio.io/canonical-name',
  'app.kubernetes.io/name',
  'app',
  'name',
]
const CANONICAL_REVISION = [
  'service.istio.io/canonical-revision',
  'app.kubernetes.io/version',
  'version',
]

const first = (labels: Readonly<Record<string, string>>, keys: readonly string[]) =>
  keys.map(key => labels[key]).find(value => value !== undefined)

const byKey = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1)

const sortedPorts = ({ ports }: GroupParts): JsonObject[] =>
  Object.entries(ports)
    .sort(byKey)
    .map(([name, containerPort]) => ({ name, containerPort, protocol: '' }))

/** JSON as Go writes it: safe inside HTML. */
function goJson(value: JsonValue): string {
  const code = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(value).replaceAll(/[<>&\u2028\u2029]/g, code)
}

/** 22: ssh. 15090: Prometheus. 15021, 15020: the agent. A status port of one's own replaces the last. */
function excludedPorts(statusPort: JsonValue | undefined): string {
  const fixed = '22,15090,15021'
  if (statusPort === 15090 || statusPort === 15021) return fixed
  const own = typeof statusPort === 'number' && statusPort !== 0 ? statusPort : 15020
  return `${fixed},${own}`
}

function clusterEnv(inputs: BundleInputs, config: JsonObject): string {
  const group = partsOf(inputs.group)
  const ports = sortedPorts(group).map(({ containerPort }) => String(containerPort))
  const { address } = inputs
  const variables: Record<string, string> = {
    ...(objectAt(config, 'proxyMetadata') as Record<string, string>),
    ISTIO_INBOUND_PORTS: ports.length === 0 ? '*' : ports.join(','),
    ISTIO_NAMESPACE: group.namespace,
    ISTIO_SERVICE: `${group.name}.${group.namespace}`,
    ISTIO_SERVICE_CIDR: '*',
    ISTIO_LOCAL_EXCLUDE_PORTS: excludedPorts(config.statusPort),
    SERVICE_ACCOUNT: group.serviceAccount,
    ...(isRevisioned(inputs.revision) ? { CA_ADDR: `${istiodHost(inputs)}:15012` } : {}),
    ...(address === undefined ? {} : { ISTIO_SVC_IP: address }),
  }
  // The VM's shell reads this file, so a name must not be able to hold a command.
  const odd = Object.keys(variables).find(key => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(key))
  if (odd !== undefined)
    throw badRequest(
      `proxyMetadata ${JSON.stringify(odd)} is no name of an environment variable; remove it from the mesh config or the WorkloadGroup`,
    )
  const lines = Object.entries(variables).map(([key, value]) => `${key}=${quoted(value)}`)
  return `${lines.sort((a, b) => (a < b ? -1 : 1)).join('\n')}\n`
}

/** As istioctl quotes. NOTE: its list of harmless characters lacks letters by a slip, so nearly all is quoted. */
function quoted(value: string): string {
  if (value === '') return "''"
  return /[^\\w@%+=:,./-]/.test(value) ? `'${value.replaceAll("'", `'"'"'`)}'` : value
}
