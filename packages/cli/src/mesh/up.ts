// podless mesh up: a server, istiod and demo VMs on this machine, from nothing to the first mTLS request between two VMs.
// Calls components.ts for what runs, supervisor.ts to run it, network.ts for the VMs' namespaces; leaves nothing behind.

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CliError, EXIT } from '../exit.ts'
import { readCrds } from '../istio/crd-source.ts'
import { installInto } from '../istio/install.ts'
import { makeDataFolder } from '../own-folder.ts'
import { objectPath, openServer, type ServerClient } from '../server-client.ts'
import { joinLine } from '../vm/join-line.ts'
import { WORKLOAD_ENTRIES } from '../vm/vm-objects.ts'
import { type ComponentDisplay, componentDisplay } from './component-table.ts'
import {
  agentComponent,
  appComponent,
  callUrl,
  istiodComponent,
  type MeshPorts,
  renewerComponent,
  serverComponent,
} from './components.ts'
import { applyDemo, DEMO_NAMESPACE, vmNames } from './demo-objects.ts'
import { addDemoVm, ROOT_CERTIFICATE } from './demo-vm.ts'
import { removeLeftovers } from './down.ts'
import { closeNetwork, type MeshNetwork, openNetwork, type VmNetwork } from './network.ts'
import { isAlive, startOf } from './processes.ts'
import { findPrograms, type MeshPrograms } from './programs.ts'
import { freePorts, getJson, waitFor } from './readiness.ts'
import {
  type FirstRequest,
  type MeshFolder,
  type MeshState,
  meshFolder,
  readState,
  removeState,
  type VmState,
  writeState,
} from './state-file.ts'
import { componentFailure, Supervisor } from './supervisor.ts'
import { layOutVm } from './vm-folder.ts'

export interface MeshUpOptions {
  readonly data: string
  readonly vms: string
  readonly port: string
  readonly from?: string
  readonly bootstrapTemplate?: string
  readonly detach?: boolean
}

const VMS_MAX = 9
const REDRAW_MS = 1_000
const FIRST_REQUEST_MS_MAX = 60_000
const ROOT_CERT_MS_MAX = 30_000
const JOIN_SECONDS = 900

export async function meshUp(options: MeshUpOptions): Promise<void> {
  const started = performance.now()
  const names = vmNames(countOf(options.vms))
  const folder = meshFolder(options.data)
  const programs = findPrograms(options)
  const crds = await readCrds(options.from)
  await makeDataFolder(folder.data)
  refuseSecond(folder)
  const run = new MeshRun({ folder, programs, display: componentDisplay(process.stdout) })
  const stop = new AbortController()
  const interrupted = Promise.withResolvers<void>()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      stop.abort(new CliError(EXIT.unavailable, `interrupted by ${signal} before the mesh was up`))
      interrupted.resolve()
    })
  try {
    await run.prepare(stop.signal)
    await run.bringUp({ names, port: await portOf(options.port), crds, started })
    await Promise.race([interrupted.promise, run.failed])
  } catch (error) {
    run.fail(error)
    throw error
  } finally {
    await run.tearDown()
  }
}

function countOf(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 2 && count <= VMS_MAX) return count
  throw new CliError(
    EXIT.usage,
    `--vms ${JSON.stringify(text)}: give a number from 2 to ${VMS_MAX}`,
  )
}

async function portOf(text: string): Promise<number> {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new CliError(EXIT.usage, `--port ${JSON.stringify(text)} is no port`)
  return port === 0 ? ((await freePorts(1))[0] ?? 0) : port
}

/** Throws when a mesh of this folder runs already. */
export function refuseSecond(folder: MeshFolder): void {
  const state = readState(folder)
  if (state === undefined || !isAlive(state.supervisor)) return
  throw new CliError(
    EXIT.cannotCreate,
    `a mesh of ${folder.data} runs already (pid ${state.supervisor.pid}); podless mesh status shows it, podless mesh down ends it`,
  )
}

interface BringUp {
  readonly names: readonly string[]
  readonly port: number
  readonly crds: Awaited<ReturnType<typeof readCrds>>
  readonly started: number
}

class MeshRun {
  readonly #folder: MeshFolder
  readonly #programs: MeshPrograms
  readonly #display: ComponentDisplay
  readonly #redraw: NodeJS.Timeout
  #supervisor: Supervisor | undefined
  #signal = new AbortController().signal
  #state: MeshState

  constructor(parts: { folder: MeshFolder; programs: MeshPrograms; display: ComponentDisplay }) {
    this.#folder = parts.folder
    this.#programs = parts.programs
    this.#display = parts.display
    this.#state = {
      supervisor: { pid: process.pid, started: startOf(process.pid) ?? '' },
      server: '',
      kubeconfig: join(parts.folder.data, 'admin.kubeconfig'),
      ready: false,
      components: [],
      vms: [],
    }
    this.#redraw = setInterval(() => this.#show(), REDRAW_MS)
    this.#redraw.unref()
  }

  get failed(): Promise<never> {
    return this.#running().failed
  }

  /** Clears what an earlier run left, and takes the folder. */
  async prepare(signal: AbortSignal): Promise<void> {
    this.#signal = signal
    this.#supervisor = new Supervisor({
      now: () => new Date(),
      signal,
      onEnd: (name, how) => this.#display.say(`${name} ended ${how}`),
      onChange: () => this.#update({ components: this.#running().states() }),
    })
    await removeLeftovers(this.#folder)
    await rm(this.#folder.logs, { recursive: true, force: true })
    await mkdir(this.#folder.logs, { mode: 0o700 })
    this.#update({})
  }

  async bringUp({ names, port, crds, started }: BringUp): Promise<void> {
    const ports = await choosePorts(port)
    const network = await openNetwork(this.#folder.networkId)
    await this.#running().start(serverComponent(this.#folder, ports))
    const client = await openServer({ data: this.#folder.data })
    try {
      this.#update({ server: client.access.server })
      const discoveryAddress = `${network.address}:${ports.istiodSecureGrpc}`
      this.#display.say(`applying ${crds.length} CRDs and the mesh config`)
      await installInto(client, crds, {
        revision: 'default',
        clusterId: 'Kubernetes',
        discoveryAddress,
      })
      await applyDemo(client, names)
      await removeOldEntries(client)
      const { address } = network
      const parts = { ports, programs: this.#programs, address }
      await this.#running().start(await istiodComponent(this.#folder, parts))
      await Promise.all(
        (await this.#networks(names, network)).map(([name, vm]) =>
          this.#startVm(client, { name, vm, discoveryAddress }),
        ),
      )
    } finally {
      client.close()
    }
    const firstRequest = await this.#firstRequest(names, started)
    this.#update({ firstRequest, ready: true })
    this.#announce(firstRequest)
  }

  /** Remembers why it ended, for whoever waits for a detached mesh. */
  fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    const code = error instanceof CliError ? error.code : EXIT.internal
    this.#update({ ready: false, failure: { code, message } })
  }

  async tearDown(): Promise<void> {
    clearInterval(this.#redraw)
    this.#update({ ready: false })
    await this.#supervisor?.stop()
    await closeNetwork(this.#folder.networkId)
    // What failed stays to be read by status.
    if (this.#state.failure === undefined) removeState(this.#folder)
  }

  async #networks(
    names: readonly string[],
    network: MeshNetwork,
  ): Promise<readonly [name: string, vm: VmNetwork][]> {
    const made: [name: string, vm: VmNetwork][] = []
    for (const name of names) made.push([name, await network.addVm(name)])
    const vms: readonly VmState[] = made.map(([name, vm]) => ({
      name,
      ...vm,
      url: callUrl(vm.address),
    }))
    this.#update({ vms })
    return made
  }

  async #startVm(
    client: ServerClient,
    { name, vm, discoveryAddress }: { name: string; vm: VmNetwork; discoveryAddress: string },
  ): Promise<void> {
    const record = await addDemoVm(client, { data: this.#folder.data, name, address: vm.address })
    const app = this.#running().start(appComponent(this.#folder, name, vm))
    await this.#rootCertificate(client)
    const now = new Date()
    const { line } = await joinLine(client, record, { ttlSeconds: JOIN_SECONDS, now })
    const folder = join(this.#folder.logs, name)
    await layOutVm({ folder, line, name, discoveryAddress, ...this.#programs })
    const agent = this.#running().start(agentComponent(this.#folder, name, { vm, folder }))
    const renewer = this.#running().start(renewerComponent(this.#folder, name, folder))
    await Promise.all([app, agent, renewer])
  }

  async #rootCertificate(client: ServerClient): Promise<void> {
    await waitFor('istiod publishes its root', async () => await client.get(ROOT_CERTIFICATE), {
      signal: this.#signal,
      timeoutMs: ROOT_CERT_MS_MAX,
      failure: () =>
        this.#explain('istiod', 'published no root certificate', 'its log says what it lacks'),
    })
  }

  /** Asks the first VM to call the second until the second has seen the first's identity. */
  async #firstRequest(names: readonly string[], started: number): Promise<FirstRequest> {
    const [caller = '', callee = ''] = names
    const url = this.#state.vms.find(({ name }) => name === caller)?.url
    const wanted = `/ns/${DEMO_NAMESPACE}/sa/${caller}`
    let last: unknown
    this.#display.say(`${caller} calls ${callee} through both Envoys`)
    const spiffeId = await waitFor(
      `${caller} reaches ${callee}`,
      async () => {
        last = await getJson(`${url}/${callee}`)
        const found = callerIdentity(last)
        return found?.endsWith(wanted) === true ? found : undefined
      },
      {
        signal: this.#signal,
        timeoutMs: FIRST_REQUEST_MS_MAX,
        failure: () =>
          this.#explain(
            `${callee} agent`,
            `was not reached by ${caller}, whose Envoy answered ${JSON.stringify(last)}`,
            `istioctl proxy-status and the logs in ${this.#folder.logs} say which config is missing`,
          ),
      },
    )
    return { milliseconds: Math.round(performance.now() - started), spiffeId }
  }

  async #explain(name: string, what: string, fix: string): Promise<CliError> {
    const logFile = this.#state.components.find(one => one.name === name)?.log ?? ''
    return await componentFailure({ name, launch: { program: '', args: [], logFile }, fix }, what)
  }

  #announce({ milliseconds, spiffeId }: FirstRequest): void {
    const [caller, callee] = this.#state.vms
    const lines = [
      `podless: first mTLS request between two VMs after ${milliseconds} ms, from ${spiffeId}`,
      `  export KUBECONFIG=${this.#state.kubeconfig}`,
      `  curl ${caller?.url}/${callee?.name}              # ${caller?.name} calls ${callee?.name} through both Envoys`,
      `  curl '${caller?.url}/${callee?.name}?count=200'  # who answers how often`,
      `  logs are in ${this.#folder.logs}`,
    ]
    for (const line of lines) this.#display.say(line)
  }

  #running(): Supervisor {
    if (this.#supervisor === undefined) throw new Error('prepare() comes first')
    return this.#supervisor
  }

  #update(change: Partial<MeshState>): void {
    this.#state = { ...this.#state, ...change }
    writeState(this.#folder, this.#state)
    this.#show()
  }

  #show(): void {
    this.#display.show(this.#state.components, new Date())
  }
}

async function choosePorts(server: number): Promise<MeshPorts> {
  const [http = 0, https = 0, grpc = 0, secureGrpc = 0, monitoring = 0] = await freePorts(5)
  return {
    server,
    istiodHttp: http,
    istiodHttps: https,
    istiodGrpc: grpc,
    istiodSecureGrpc: secureGrpc,
    istiodMonitoring: monitoring,
  }
}

/** A run that was killed left entries with addresses that are no longer. */
async function removeOldEntries(client: ServerClient): Promise<void> {
  await client.delete(objectPath(WORKLOAD_ENTRIES, '', DEMO_NAMESPACE))
}

interface DemoAnswer {
  readonly status: number
  readonly answer: { readonly headers?: Readonly<Record<string, string>> }
}

/** The SPIFFE id the callee was shown; undefined when it did not answer or was called without mTLS. */
function callerIdentity(found: unknown): string | undefined {
  const { status, answer } = found as DemoAnswer
  if (status !== 200) return undefined
  return /(?:^|;)URI=(spiffe:[^;,]+)/.exec(answer.headers?.['x-forwarded-client-cert'] ?? '')?.[1]
}
