// A podless server with its own istiod on this machine's loopback, for VMs that are simulated. Needs no rights.
// Used by many-vms.test.ts and remote-cluster.test.ts; everything started here is ended by close().

import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiClient } from '../../harness/api-client.ts'
import { type Child, freePorts, start, until } from '../../harness/child-process.ts'
import { type Istiod, type IstiodPorts, istiodPorts, startIstiod } from '../../harness/istiod.ts'
import { type Podless, podless, startPodless } from '../../harness/podless.ts'
import { vmGroup } from '../istiod/mesh-files.ts'
import type { SimulatedVms } from './simulated-vms.ts'

export interface ControlPlaneOptions {
  /** A folder that is not there yet. */
  readonly folder: string
  readonly istiodEnv?: Readonly<Record<string, string>>
  readonly istiodArgs?: readonly string[]
}

export interface VmsToStart {
  /** Names their program in the logs. */
  readonly name: string
  readonly group: string
  readonly namespace: string
  readonly addresses: readonly string[]
  readonly clusterId: string
  readonly token: string
}

const ADDRESS = '127.0.0.1'
const PROGRAM = join(import.meta.dirname, 'simulated-vms.ts')
const READY_MS_MAX = 120_000
const TOKEN_SECONDS = 3_600

export class ControlPlane {
  readonly #options: ControlPlaneOptions
  readonly #ports: IstiodPorts
  readonly #children: Child[] = []
  readonly #port: number
  #server: Podless
  /** Requests as the admin. */
  readonly client: ApiClient
  #istiod: Istiod | undefined

  private constructor(
    options: ControlPlaneOptions,
    { port, ports, server }: { port: number; ports: IstiodPorts; server: Podless },
  ) {
    this.#options = options
    this.#port = port
    this.#ports = ports
    this.#server = server
    this.client = new ApiClient(server.admin)
  }

  /** Starts the server and installs Istio's CRDs and mesh config there. */
  static async open(options: ControlPlaneOptions): Promise<ControlPlane> {
    await mkdir(options.folder)
    const [port = 0] = await freePorts(1)
    const server = await startPodless({ data: join(options.folder, 'data'), port })
    const ports = await istiodPorts()
    const plane = new ControlPlane(options, { port, ports, server })
    const discoveryAddress = `${ADDRESS}:${ports.secureGrpc}`
    await podless(
      ...['istio', 'install', '--data', plane.data, '--discovery-address', discoveryAddress],
    )
    return plane
  }

  get server(): Podless {
    return this.#server
  }

  /** A client that trusts the server and shows no certificate of its own. */
  withoutCertificate(): ApiClient {
    const { url, ca } = this.#server.admin
    return new ApiClient({ url, ca, certificate: '', key: '' })
  }

  /** As a power cut would: nothing is flushed or said. Then it starts again, at the same address. */
  async restartServer(): Promise<void> {
    await this.#server.child.stop('SIGKILL')
    this.#server = await startPodless({ data: this.data, port: this.#port })
  }

  get data(): string {
    return join(this.#options.folder, 'data')
  }

  get istiod(): Istiod {
    assert(this.#istiod, 'istiod was not started')
    return this.#istiod
  }

  /** Starts istiod, each time on the same ports, and waits until it is ready. */
  async startIstiod(): Promise<void> {
    const { folder, istiodEnv, istiodArgs } = this.#options
    const kubeconfig = join(folder, 'istiod.kubeconfig')
    await writeFile(kubeconfig, await podless('kubeconfig', 'istiod', '--data', this.data))
    const istiod = await startIstiod({
      folder: join(folder, 'istiod'),
      kubeconfig,
      ports: this.#ports,
      address: ADDRESS,
      ...(istiodEnv === undefined ? {} : { env: istiodEnv }),
      ...(istiodArgs === undefined ? {} : { args: istiodArgs }),
    })
    this.#istiod = istiod
    this.#children.push(istiod.child)
    await until(
      'istiod is ready',
      async () => {
        assert(istiod.child.running, istiod.child.log())
        return (await istiod.isReady()) || undefined
      },
      { timeoutMs: READY_MS_MAX },
    )
  }

  /** Creates objects, each at its list's path. */
  async create(path: string, ...objects: readonly object[]): Promise<void> {
    for (const object of objects) {
      const answer = await this.client.send({ method: 'POST', path, body: JSON.stringify(object) })
      assert.equal(answer.status, 201, answer.bytes.toString())
    }
  }

  /** A namespace with a WorkloadGroup that VMs may join, and its ServiceAccount. */
  async createGroup(namespace: string, group: string): Promise<void> {
    const [account = '', workloadGroup = ''] = vmGroup(group).trim().split('\n')
    await this.create('/api/v1/namespaces', { metadata: { name: namespace } })
    await this.create(`/api/v1/namespaces/${namespace}/serviceaccounts`, JSON.parse(account))
    await this.create(
      `/apis/networking.istio.io/v1/namespaces/${namespace}/workloadgroups`,
      JSON.parse(workloadGroup),
    )
  }

  /** A token that agents of the group show to istiod. */
  async vmToken(namespace: string, group: string): Promise<string> {
    const answer = await this.client.send({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/serviceaccounts/${group}-sa/token`,
      body: { spec: { audiences: ['istio-ca'], expirationSeconds: TOKEN_SECONDS } },
    })
    return (answer.json() as unknown as { status: { token: string } }).status.token
  }

  /** The root that istiod published. */
  async rootCertificate(namespace: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/configmaps/istio-ca-root-cert`
    return await until('istiod publishes its root', async () => {
      const answer = await this.client.send({ path })
      if (answer.status !== 200) return undefined
      return (answer.json() as { data: Record<string, string> }).data['root-cert.pem']
    })
  }

  /** VMs that share one process: what becomes of it becomes of all of them. */
  async startVms(wanted: VmsToStart): Promise<Child> {
    const { name, group, namespace, addresses, clusterId, token } = wanted
    const vms: SimulatedVms = {
      access: {
        address: this.istiod.discoveryAddress,
        ca: await this.rootCertificate(namespace),
        token,
        clusterId,
      },
      namespace,
      group,
      serviceAccount: `${group}-sa`,
      addresses,
    }
    const child = start({
      name,
      program: process.execPath,
      args: [PROGRAM, JSON.stringify(vms)],
      logFile: join(this.#options.folder, `${name}.log`),
    })
    this.#children.push(child)
    return child
  }

  async close(): Promise<void> {
    this.client.close()
    await Promise.all(this.#children.map(child => child.stop('SIGKILL')))
    await this.#server.child.stop('SIGKILL')
  }
}
