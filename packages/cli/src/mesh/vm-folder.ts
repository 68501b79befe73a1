// Lays the bundle of a demo VM out in a folder as Istio's agent expects it, and makes its environment. Called by up.ts.
// Ref: istio/tools/packaging/common/istio-start.sh

import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PROXY_PORT } from './demo-app.ts'

/** Relative to the agent's working folder. */
const PLACES: Readonly<Record<string, string>> = {
  'mesh.yaml': 'etc/istio/config/mesh',
  'root-cert.pem': 'var/run/secrets/istio/root-cert.pem',
  'istio-token': 'var/run/secrets/tokens/istio-token',
}
const TEMPLATE = 'envoy_bootstrap_tmpl.json'
const SECRET_MODE = 0o600

export const AGENT_ARGS: readonly string[] = [
  'proxy',
  'sidecar',
  ...['--concurrency', '1', '--templateFile', TEMPLATE],
]

export interface VmFolderOptions {
  readonly folder: string
  readonly files: ReadonlyMap<string, string>
  readonly name: string
  readonly address: string
  readonly discoveryAddress: string
  readonly envoy: string
  readonly bootstrapTemplate: string
}

/** Writes the folder anew and returns the agent's environment. */
export async function layOutVm(options: VmFolderOptions): Promise<Record<string, string>> {
  const { folder, files, name, address, discoveryAddress, envoy, bootstrapTemplate } = options
  await rm(folder, { recursive: true, force: true })
  for (const [file, place] of Object.entries(PLACES)) {
    const path = join(folder, place)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, files.get(file) ?? '', { mode: SECRET_MODE })
  }
  for (const empty of ['etc/istio/proxy', 'etc/certs'])
    await mkdir(join(folder, empty), { recursive: true })
  await cp(bootstrapTemplate, join(folder, TEMPLATE))
  return {
    ...parseEnvironment(files.get('cluster.env') ?? ''),
    INSTANCE_IP: address,
    HOST_IP: address,
    POD_NAME: name,
    OUTPUT_CERTS: './etc/certs',
    PROV_CERT: '',
    CA_ADDR: discoveryAddress,
    PROXY_CONFIG: JSON.stringify({
      binaryPath: envoy,
      discoveryAddress,
      terminationDrainDuration: '1s',
    }),
    // No redirect brings the app's lookups to the agent.
    ISTIO_META_DNS_CAPTURE: 'false',
    ISTIO_META_HTTP_PROXY_PORT: String(PROXY_PORT),
    // Spares two seconds of asking for a cloud's metadata service.
    CLOUD_PLATFORM: 'none',
  }
}

/** KEY='value' lines. */
function parseEnvironment(text: string): Record<string, string> {
  const pairs = text.matchAll(/^(\w+)='(.*)'$/gm)
  return Object.fromEntries(Array.from(pairs, ([, key = '', value = '']) => [key, value]))
}
