// One mesh of the end-to-end test: podless on either engine, istiod, and VMs in network namespaces.
// istiod.test.ts tells the story; everything started here is ended by close().

import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiClient } from '../../harness/api-client.ts'
import {
  type Child,
  type Finished,
  freePorts,
  run,
  start,
  undoAtExit,
} from '../../harness/child-process.ts'
import { type EtcdServer, startEtcd } from '../../harness/etcd.ts'
import { type Istiod, type IstiodPorts, istiodPorts, startIstiod } from '../../harness/istiod.ts'
import { type Podless, podless, startPodless } from '../../harness/podless.ts'
import { APP_PORT, layOutVm } from './mesh-files.ts'
import { type MeshNetwork, noNetworkReason, openMeshNetwork } from './mesh-network.ts'

export type Engine = 'embedded' | 'etcd'

export interface Vm {
  readonly agent: Child
  readonly app: Child
  readonly folder: string
  readonly address: string
}

const APP = `require('node:http').createServer((_, r) => r.end('ok')).listen(${APP_PORT}, '0.0.0.0')`

export class Mesh {
  readonly folder: string
  readonly #engine: Engine
  readonly #port: number
  readonly #etcd: EtcdServer | undefined
  readonly #network: MeshNetwork | undefined
  readonly #children: Child[] = []
  readonly #keepFolder: () => void
  readonly istiodPorts: IstiodPorts
  /** Where agents reach istiod. */
  readonly address: string
  #server: Podless | undefined
  #istiod: Istiod | undefined
  #client: ApiClient | undefined
  #closed = false

  private constructor(parts: {
    folder: string
    engine: Engine
    port: number
    etcd: EtcdServer | undefined
    network: MeshNetwork | undefined
    ports: IstiodPorts
  }) {
    this.folder = parts.folder
    this.#keepFolder = undoAtExit(() => rmSync(this.folder, { recursive: true, force: true }))
    this.#engine = parts.engine
    this.#port = parts.port
    this.#etcd = parts.etcd
    this.#network = parts.network
    this.istiodPorts = parts.ports
    this.address = parts.network?.address ?? '127.0.0.1'
  }

  /** Makes the folder, the network and etcd; starts nothing else. */
  static async open(engine: Engine): Promise<Mesh> {
    const folder = await mkdtemp(join(tmpdir(), 'podless-istiod-'))
    const [port = 0] = await freePorts(1)
    return new Mesh({
      folder,
      engine,
      port,
      etcd: engine === 'etcd' ? await startEtcd(folder) : undefined,
      network: noNetworkReason() === false ? await openMeshNetwork() : undefined,
      ports: await istiodPorts(),
    })
  }

  get data(): string {
    return join(this.folder, 'data')
  }

  get server(): Podless {
    assert(this.#server, 'podless was not started')
    return this.#server
  }

  get istiod(): Istiod {
    assert(this.#istiod, 'istiod was not started')
    return this.#istiod
  }

  /** Requests as the admin. */
  get client(): ApiClient {
    assert(this.#client, 'podless was not started')
    return this.#client
  }

  /** `podless up` on the same folder and port each time. */
  async startServer(): Promise<void> {
    const store = this.#etcd === undefined ? [] : ['--etcd-endpoints', this.#etcd.endpoint]
    this.#server = await startPodless({
      data: this.data,
      port: this.#port,
      args: [
        ...['--store', this.#engine, ...store],
        ...['--service-resolver', `istiod.istio-system=127.0.0.1:${this.istiodPorts.https}`],
      ],
    })
    this.#client?.close()
    this.#client = new ApiClient(this.#server.admin)
  }

  /** As a power cut would: nothing is flushed or said. */
  async killServer(): Promise<void> {
    await this.server.child.stop('SIGKILL')
  }

  async startIstiod(): Promise<Istiod> {
    const kubeconfig = join(this.folder, 'istiod.kubeconfig')
    await writeFile(kubeconfig, await podless('kubeconfig', 'istiod', '--data', this.data))
    this.#istiod = await startIstiod({
      folder: join(this.folder, 'istiod'),
      kubeconfig,
      ports: this.istiodPorts,
      address: this.address,
      env: { PILOT_WORKLOAD_ENTRY_GRACE_PERIOD: '2s' },
    })
    this.#children.push(this.#istiod.child)
    return this.#istiod
  }

  /** Runs kubectl as the admin. */
  async kubectl(args: readonly string[], input?: string): Promise<Finished> {
    const flags = ['--kubeconfig', this.server.kubeconfig, '--cache-dir', join(this.folder, 'kube')]
    return await run('kubectl', [...flags, ...args], input === undefined ? {} : { input })
  }

  /** kubectl apply, which has to succeed. */
  async apply(args: readonly string[], input?: string): Promise<void> {
    const { code, stderr } = await this.kubectl(['apply', '--server-side=false', ...args], input)
    assert.equal(code, 0, stderr)
  }

  async istioctl(...args: readonly string[]): Promise<Finished> {
    return await run('istioctl', [...args, '--kubeconfig', this.server.kubeconfig], {
      env: { HOME: this.folder },
    })
  }

  /** Writes a bundle for the group with istioctl and starts an agent with it on a VM of its own. */
  async startVm(group: string, namespace: string): Promise<Vm> {
    assert(this.#network, 'VMs need a network')
    const { namespace: netns, address } = await this.#network.addVm()
    const folder = join(this.folder, netns)
    const bundle = join(folder, 'bundle')
    await mkdir(bundle, { recursive: true })
    const configure = ['x', 'workload', 'entry', 'configure', '--autoregister', '--name', group]
    const { code, stderr } = await this.istioctl(
      ...configure,
      ...['-n', namespace, '-o', bundle, '--clusterID', 'Kubernetes'],
    )
    assert.equal(code, 0, stderr)
    const env = await layOutVm(bundle, folder, {
      address,
      name: netns,
      discoveryAddress: this.istiod.discoveryAddress,
    })
    assert(!this.#closed, 'the mesh was closed while a VM was laid out')
    const app = start({
      name: `app ${netns}`,
      program: process.execPath,
      args: ['-e', APP],
      logFile: join(folder, 'app.log'),
      namespace: netns,
    })
    const agent = start({
      name: `agent ${netns}`,
      program: 'pilot-agent',
      args: [
        'proxy',
        'sidecar',
        '--concurrency',
        '1',
        '--templateFile',
        'envoy_bootstrap_tmpl.json',
      ],
      cwd: folder,
      logFile: join(folder, 'agent.log'),
      env,
      namespace: netns,
    })
    this.#children.push(app, agent)
    return { agent, app, folder, address }
  }

  /** Ends everything; keeps the logs when asked to. */
  async close({ keep = false } = {}): Promise<void> {
    this.#closed = true
    await Promise.all(this.#children.map(child => child.stop('SIGKILL')))
    await this.#server?.child.stop('SIGKILL')
    await this.#etcd?.child.stop('SIGKILL')
    await this.#network?.close()
    this.#client?.close()
    this.#keepFolder()
    if (!keep) rmSync(this.folder, { recursive: true, force: true })
  }
}
