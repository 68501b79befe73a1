// Runs an unmodified istiod as a plain process beside podless. Used by the end-to-end tests and the benchmarks.
// Which flag and setting does what: docs of `pilot-discovery discovery`; Ref: istio/pilot/cmd/pilot-discovery/app/cmd.go

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Child, freePorts, start } from './child-process.ts'

export interface IstiodPorts {
  readonly http: number
  readonly https: number
  readonly grpc: number
  readonly secureGrpc: number
  readonly monitoring: number
}

export interface Istiod {
  readonly child: Child
  readonly ports: IstiodPorts
  /** Host and port where agents reach it over TLS. */
  readonly discoveryAddress: string
  /** True once /ready answers 200. */
  isReady(): Promise<boolean>
  /** One of its debug or metrics pages, as text. */
  page(path: string): Promise<string>
}

export interface IstiodOptions {
  /** An empty folder of its own; the log is written beside it. */
  readonly folder: string
  readonly kubeconfig: string
  readonly ports: IstiodPorts
  /** The address agents reach it at. */
  readonly address: string
  readonly env?: Readonly<Record<string, string>>
  /** Flags that come last, and so win. */
  readonly args?: readonly string[]
}

/** Also the holder of its locks and the controller of the WorkloadEntries it registers. */
export const ISTIOD_NAME = 'istiod-vm-0'

/** What a stock Envoy and a mesh without pods need istiod to be told. */
const ENVIRONMENT = {
  REVISION: 'default',
  POD_NAME: ISTIOD_NAME,
  POD_NAMESPACE: 'istio-system',
  CLUSTER_ID: 'Kubernetes',
  PILOT_ENABLE_METADATA_EXCHANGE: 'false',
  PILOT_ENABLE_ALPN_FILTER: 'false',
  PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER: 'false',
}

export async function istiodPorts(): Promise<IstiodPorts> {
  const [http = 0, https = 0, grpc = 0, secureGrpc = 0, monitoring = 0] = await freePorts(5)
  return { http, https, grpc, secureGrpc, monitoring }
}

/** Starts pilot-discovery of PATH; it is ready later. */
export async function startIstiod(options: IstiodOptions): Promise<Istiod> {
  const { folder, kubeconfig, ports, address, env, args } = options
  await mkdir(folder, { recursive: true })
  const child = start({
    name: 'istiod',
    program: 'pilot-discovery',
    args: [
      'discovery',
      ...['--kubeconfig', kubeconfig],
      ...['--keepaliveMaxServerConnectionAge', '30m'],
      ...['--httpAddr', `127.0.0.1:${ports.http}`],
      ...['--httpsAddr', `127.0.0.1:${ports.https}`],
      ...['--grpcAddr', `127.0.0.1:${ports.grpc}`],
      ...['--secureGRPCAddr', `${address}:${ports.secureGrpc}`],
      ...['--monitoringAddr', `127.0.0.1:${ports.monitoring}`],
      ...['--ctrlz_port', '0'],
      ...(args ?? []),
    ],
    cwd: folder,
    logFile: join(folder, '..', 'istiod.log'),
    env: { ...ENVIRONMENT, ISTIOD_CUSTOM_HOST: address, ...env },
  })
  return {
    child,
    ports,
    discoveryAddress: `${address}:${ports.secureGrpc}`,
    isReady: async () => (await fetch(`http://127.0.0.1:${ports.http}/ready`)).ok,
    page: async path => await (await fetch(`http://127.0.0.1:${ports.monitoring}${path}`)).text(),
  }
}
