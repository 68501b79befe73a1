// How each component of a mesh is started and when it is ready: the server, istiod, and a VM's app, agent and renewer.
// Data for supervisor.ts; called by up.ts.

import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { istiodSettings } from '../istio/env.ts'
import { createKubeconfig } from '../kubeconfig.ts'
import { openServer } from '../server-client.ts'
import { CALL_PORT } from './demo-app.ts'
import { DEMO_NAMESPACE } from './demo-objects.ts'
import type { VmNetwork } from './network.ts'
import type { MeshPrograms } from './programs.ts'
import { answersOk } from './readiness.ts'
import type { MeshFolder } from './state-file.ts'
import type { ComponentSpec } from './supervisor.ts'
import { AGENT_SCRIPT, RENEW_SCRIPT, RENEWED } from './vm-folder.ts'

export interface MeshPorts {
  readonly server: number
  readonly istiodHttp: number
  readonly istiodHttps: number
  readonly istiodGrpc: number
  readonly istiodSecureGrpc: number
  readonly istiodMonitoring: number
}

/** Where an agent answers whether its Envoy is ready. */
const AGENT_STATUS_PORT = 15_021
/** Most looks find nothing due and ask nobody. */
const RENEW_SECONDS = 30

/** This program, run again with other arguments. */
export const ourselves = (...args: readonly string[]): { program: string; args: string[] } => ({
  program: process.execPath,
  args: [...process.execArgv, process.argv[1] ?? '', ...args],
})

export function serverComponent({ data, logs }: MeshFolder, ports: MeshPorts): ComponentSpec {
  const resolver = `istiod.istio-system=127.0.0.1:${ports.istiodHttps}`
  return {
    name: 'podless',
    launch: {
      ...ourselves(
        'up',
        ...['--data', data, '--port', String(ports.server), '--service-resolver', resolver],
      ),
      logFile: join(logs, 'podless.log'),
    },
    isReady: async () => {
      const client = await openServer({ data })
      try {
        // Another program on that port, or a kubeconfig of an earlier run, fails this.
        const { port } = new URL(client.access.server)
        return Number(port) === ports.server && (await client.send('GET', '/readyz')).code === 200
      } finally {
        client.close()
      }
    },
    fix: 'the log says what; a taken port is changed with --port, a damaged folder with --data',
    restart: true,
  }
}

/** Writes istiod's kubeconfig; the server has to be up. */
export async function istiodComponent(
  { data, logs }: MeshFolder,
  parts: { ports: MeshPorts; programs: MeshPrograms; address: string },
): Promise<ComponentSpec> {
  const { ports, programs, address } = parts
  const folder = join(logs, 'istiod')
  const kubeconfig = join(logs, 'istiod.kubeconfig')
  await mkdir(folder, { recursive: true })
  await writeFile(kubeconfig, await createKubeconfig('istiod', { data }), { mode: 0o600 })
  const settings = istiodSettings({
    revision: 'default',
    clusterId: 'Kubernetes',
    name: 'istiod-0',
    istiodKubeconfig: kubeconfig,
    stockEnvoy: true,
    single: true,
  })
  return {
    name: 'istiod',
    launch: {
      program: programs.pilotDiscovery,
      args: [
        'discovery',
        ...settings.args,
        ...['--httpAddr', `127.0.0.1:${ports.istiodHttp}`],
        ...['--httpsAddr', `127.0.0.1:${ports.istiodHttps}`],
        ...['--grpcAddr', `127.0.0.1:${ports.istiodGrpc}`],
        ...['--secureGRPCAddr', `${address}:${ports.istiodSecureGrpc}`],
        ...['--monitoringAddr', `127.0.0.1:${ports.istiodMonitoring}`],
        ...['--ctrlz_port', '0'],
      ],
      cwd: folder,
      env: { ...settings.env, ISTIOD_CUSTOM_HOST: address },
      logFile: join(logs, 'istiod.log'),
    },
    isReady: async () => await answersOk(`http://127.0.0.1:${ports.istiodHttp}/ready`),
    fix: 'the log says what it lacks, and nothing when the kernel killed it for want of memory; an istiod of another release than its CRDs needs --from with its own',
    restart: true,
  }
}

export function appComponent({ logs }: MeshFolder, name: string, vm: VmNetwork): ComponentSpec {
  const args = ['--name', name, '--address', vm.address, '--namespace', DEMO_NAMESPACE]
  return {
    name: `${name} app`,
    launch: {
      ...ourselves('mesh', 'app', ...args),
      netns: vm.netns,
      logFile: join(logs, `${name}-app.log`),
    },
    isReady: async () => {
      await answersOk(callUrl(vm.address))
      return true
    },
    fix: 'the log says what; an app that listens and is not reached stands behind a firewall of this machine, which has to let 10.213.0.0/16 pass',
    restart: false,
  }
}

/** The demo app's own address on this machine. */
export const callUrl = (address: string): string => `http://${address}:${CALL_PORT}/call`

export function agentComponent(
  { logs }: MeshFolder,
  name: string,
  { vm, folder }: { vm: VmNetwork; folder: string },
): ComponentSpec {
  return {
    name: `${name} agent`,
    launch: {
      program: 'sh',
      args: [AGENT_SCRIPT, 'run'],
      cwd: folder,
      netns: vm.netns,
      logFile: join(logs, `${name}-agent.log`),
    },
    isReady: async () => await answersOk(`http://${vm.address}:${AGENT_STATUS_PORT}/healthz/ready`),
    fix: "the log of the agent and its Envoy says what; an Envoy that rejects its config is of another kind or release than istiod's, and an agent that cannot connect may be kept from istiod by this machine's firewall",
    restart: false,
  }
}

/** In the place of the VM's timer. It runs beside the VM's network, since the server listens on loopback only. */
export function renewerComponent(
  { logs }: MeshFolder,
  name: string,
  folder: string,
): ComponentSpec {
  const loop = `while :; do sh ${RENEW_SCRIPT} || :; sleep ${RENEW_SECONDS}; done`
  return {
    name: `${name} renewer`,
    launch: {
      program: 'sh',
      args: ['-c', loop],
      cwd: folder,
      logFile: join(logs, `${name}-renewer.log`),
    },
    isReady: async () => existsSync(join(folder, RENEWED)),
    fix: 'the log says what the server answered',
    restart: true,
  }
}
