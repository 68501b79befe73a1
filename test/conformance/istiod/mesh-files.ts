// What the end-to-end test applies and lays out on disk: mesh config, VM groups, and an agent's folder from a bundle.

import { existsSync, realpathSync } from 'node:fs'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findProgram } from '../../harness/child-process.ts'

const DATA = fileURLToPath(new URL('../../../../shared/data/istio/', import.meta.url))
export const CRDS = join(DATA, 'crds.yaml')
export const CONTROL_PLANE = join(DATA, 'control-plane.yaml')
export const CRD_COUNT = 15
/** Every VM of the test serves its readiness probe here. */
export const APP_PORT = 8080

const TEMPLATE_ON_VMS = '/var/lib/istio/envoy/envoy_bootstrap_tmpl.json'
const TEMPLATE_IN_SOURCE = 'istio/tools/packaging/common/envoy_bootstrap.json'

/** Why Istio's manifests cannot be applied here; false when they can. */
export function noManifestsReason(): string | false {
  const absent = [CRDS, CONTROL_PLANE].filter(path => !existsSync(path))
  return absent.length > 0 && `absent: ${absent.join(', ')}`
}

/** Envoy's bootstrap template: where Istio's packages put it, or in a checkout beside the programs' folder. */
export function bootstrapTemplate(): string | undefined {
  const agent = findProgram('pilot-agent')
  const beside = agent === undefined ? [] : [join(dirname(realpathSync(agent)), '..')]
  return [TEMPLATE_ON_VMS, ...beside.map(folder => join(folder, TEMPLATE_IN_SOURCE))].find(path =>
    existsSync(path),
  )
}

/** Replaces the chart's mesh config by one whose data plane is a stock Envoy: no Istio-only filters. */
export function meshConfigMap(discoveryAddress: string): string {
  const mesh = [
    'defaultConfig:',
    `  discoveryAddress: ${discoveryAddress}`,
    'enablePrometheusMerge: false',
    'rootNamespace: istio-system',
    'trustDomain: cluster.local',
    '',
  ].join('\n')
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio', namespace: 'istio-system' },
    data: { mesh, meshNetworks: 'networks: {}' },
  })
}

/** A WorkloadGroup that VMs may join by themselves, and the ServiceAccount they run as. */
export function vmGroup(name: string): string {
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: `${name}-sa` } }
  const group = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadGroup',
    metadata: { name },
    spec: {
      metadata: { labels: { app: name } },
      template: { serviceAccount: `${name}-sa`, ports: { http: APP_PORT } },
      probe: {
        initialDelaySeconds: 1,
        periodSeconds: 1,
        httpGet: { path: '/', port: APP_PORT },
      },
    },
  }
  return `${JSON.stringify(account)}\n${JSON.stringify(group)}\n`
}

/** Lays a bundle of `istioctl x workload entry configure` out as the agent wants it and returns its environment. */
export async function layOutVm(
  bundle: string,
  folder: string,
  { address, name, discoveryAddress }: { address: string; name: string; discoveryAddress: string },
): Promise<Record<string, string>> {
  const places = {
    'mesh.yaml': 'etc/istio/config/mesh',
    'root-cert.pem': 'var/run/secrets/istio/root-cert.pem',
    'istio-token': 'var/run/secrets/tokens/istio-token',
  }
  for (const [file, place] of Object.entries(places)) {
    await mkdir(dirname(join(folder, place)), { recursive: true })
    await cp(join(bundle, file), join(folder, place))
  }
  const template = bootstrapTemplate()
  if (template === undefined) throw new Error('no bootstrap template for Envoy')
  await mkdir(join(folder, 'etc/istio/proxy'), { recursive: true })
  await mkdir(join(folder, 'etc/certs'), { recursive: true })
  await writeFile(join(folder, 'envoy_bootstrap_tmpl.json'), await readFile(template))
  return {
    ...parseEnvironment(await readFile(join(bundle, 'cluster.env'), 'utf8')),
    INSTANCE_IP: address,
    HOST_IP: address,
    POD_NAME: name,
    OUTPUT_CERTS: './etc/certs',
    PROV_CERT: '',
    CA_ADDR: discoveryAddress,
    PROXY_CONFIG: JSON.stringify({ discoveryAddress, terminationDrainDuration: '1s' }),
    ISTIO_META_DNS_CAPTURE: 'false',
    // Spares two seconds of asking for a cloud's metadata service.
    CLOUD_PLATFORM: 'none',
  }
}

/** KEY='value' lines. */
function parseEnvironment(text: string): Record<string, string> {
  const lines = text.split('\n').filter(line => line !== '')
  return Object.fromEntries(
    lines.map(line => {
      const [, key = '', value = ''] = /^(\w+)='(.*)'$/.exec(line) ?? []
      if (key === '') throw new Error(`not KEY='value': ${line}`)
      return [key, value]
    }),
  )
}
