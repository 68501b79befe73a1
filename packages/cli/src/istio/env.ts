// podless istio env: the environment and the flags of an istiod that serves a mesh of VMs from this server.
// Ref: istio/pilot/pkg/features, istio/pilot/cmd/pilot-discovery/app/cmd.go

import { type OutputFormat, printJson, printLines } from '../output.ts'
import { quoteForShell } from '../shell-quote.ts'

export interface EnvOptions {
  readonly revision: string
  readonly clusterId: string
  /** Name of this istiod, unique among those that run. */
  readonly name: string
  readonly istiodKubeconfig: string
  readonly stockEnvoy?: boolean
  readonly single?: boolean
  readonly output: OutputFormat
}

export interface IstiodSettings {
  readonly env: Readonly<Record<string, string>>
  readonly args: readonly string[]
}

/** A stock Envoy lacks Istio's own filters: listeners with them would be rejected. */
const STOCK_ENVOY = {
  PILOT_ENABLE_METADATA_EXCHANGE: 'false',
  PILOT_ENABLE_ALPN_FILTER: 'false',
}

/** What istiod has to be told. Entries of a dead istiod are cleaned up only with a maximal connection age. */
export function istiodSettings(options: Omit<EnvOptions, 'output'>): IstiodSettings {
  const { revision, clusterId, name, istiodKubeconfig, stockEnvoy, single } = options
  return {
    env: {
      CLUSTER_ID: clusterId,
      PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER: 'false',
      POD_NAME: name,
      POD_NAMESPACE: 'istio-system',
      REVISION: revision,
      ...(single === true ? { ENABLE_LEADER_ELECTION: 'false' } : {}),
      ...(stockEnvoy === true ? STOCK_ENVOY : {}),
    },
    args: ['--kubeconfig', istiodKubeconfig, '--keepaliveMaxServerConnectionAge', '30m'],
  }
}

export function env(options: EnvOptions): void {
  const settings = istiodSettings(options)
  if (options.output === 'json') {
    printJson(settings)
    return
  }
  printLines([
    '# eval "$(podless istio env)"; pilot-discovery discovery $ISTIOD_FLAGS',
    `# The kubeconfig: podless kubeconfig istiod > ${options.istiodKubeconfig}`,
    ...Object.entries(settings.env).map(([key, value]) => `export ${key}=${quoteForShell(value)}`),
    `ISTIOD_FLAGS=${quoteForShell(settings.args.join(' '))}`,
  ])
}
