// A mesh that `podless mesh up` started, as a user sees it: its status, kubectl, and requests between its VMs.
// Used by mesh.test.ts and mesh-token.test.ts; `podless mesh down` ends it, also when the test is interrupted.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type MeshState, meshFolder } from '../../../packages/cli/src/mesh/state-file.ts'
import { ApiClient, accessOf } from '../../harness/api-client.ts'
import {
  type Child,
  type Finished,
  run,
  start,
  undoAtExit,
  until,
} from '../../harness/child-process.ts'

const MAIN = fileURLToPath(new URL('../../../packages/cli/src/main.ts', import.meta.url))
const FLAGS = ['--disable-warning=ExperimentalWarning', MAIN]
const UP = /first mTLS request between two VMs after (\d+) ms, from (\S+)/
const UP_MS_MAX = 180_000

export interface CallAnswer {
  readonly status: number
  readonly answer: { readonly app?: string; readonly headers?: Readonly<Record<string, string>> }
}

/** Runs a `podless mesh` command to its end. */
export async function meshCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  return await run(process.execPath, [...FLAGS, 'mesh', ...args], { env })
}

/** What the machine still has of the mesh's network. */
export function networkLeftovers(data: string): readonly string[] {
  const { networkId } = meshFolder(data)
  const lines = [
    ['netns', 'list'],
    ['-o', 'link', 'show'],
  ].flatMap(args => spawnSync('ip', args, { encoding: 'utf8' }).stdout.split('\n'))
  return lines.filter(line => line.includes(networkId))
}

export class RunningMesh {
  readonly folder: string
  readonly data: string
  readonly #forget: () => void
  #up: Child | undefined
  #client: ApiClient | undefined
  firstRequestMs = 0
  firstIdentity = ''

  private constructor(folder: string) {
    this.folder = folder
    this.data = join(folder, 'data')
    this.#forget = undoAtExit(() => {
      spawnSync(process.execPath, [...FLAGS, 'mesh', 'down', '--data', this.data])
    })
  }

  static async make(): Promise<RunningMesh> {
    return new RunningMesh(await mkdtemp(join(tmpdir(), 'podless-mesh-')))
  }

  /** `podless mesh up` in the foreground, until it tells of the first request. */
  async up(
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const logFile = join(this.folder, 'up.log')
    await writeFile(logFile, '')
    const child = start({
      name: 'podless mesh up',
      program: process.execPath,
      args: [...FLAGS, 'mesh', 'up', '--data', this.data, '--port', '0', ...args],
      logFile,
      env,
    })
    this.#up = child
    const said = await until(
      'podless mesh up tells of the first mTLS request, or ends',
      () => UP.exec(child.log()) ?? (child.running ? undefined : 'ended'),
      { timeoutMs: UP_MS_MAX },
    )
    assert(said !== 'ended', child.log())
    const [, milliseconds = '', identity = ''] = said
    this.firstRequestMs = Number(milliseconds)
    this.firstIdentity = identity
    this.#client = new ApiClient(accessOf(await readFile(this.kubeconfig, 'utf8')))
  }

  get kubeconfig(): string {
    return join(this.data, 'admin.kubeconfig')
  }

  get supervisor(): Child {
    assert(this.#up, 'the mesh is not up')
    return this.#up
  }

  /** Requests as the admin. */
  get client(): ApiClient {
    assert(this.#client, 'the mesh is not up')
    return this.#client
  }

  async status(): Promise<MeshState> {
    const { code, stdout, stderr } = await meshCommand([
      ...['status', '--data', this.data, '--output', 'json'],
    ])
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as MeshState
  }

  async pidOf(name: string): Promise<number> {
    const { components } = await this.status()
    const pid = components.find(one => one.name === name)?.process?.pid
    assert(pid !== undefined, `${name} has no process`)
    return pid
  }

  /** kubectl with an object on stdin, which has to succeed. */
  async kubectl(args: readonly string[], object?: object): Promise<void> {
    const flags = ['--kubeconfig', this.kubeconfig, '--cache-dir', join(this.folder, 'kube')]
    const input = object === undefined ? {} : { input: JSON.stringify(object) }
    const { code, stderr } = await run('kubectl', [...flags, ...args], input)
    assert.equal(code, 0, stderr)
  }

  /** One VM calls another through both Envoys. */
  async call(caller: string, callee: string): Promise<CallAnswer> {
    return (await this.#ask(caller, callee)) as CallAnswer
  }

  /** How many of the requests each app answered. */
  async tally(caller: string, callee: string, count: number): Promise<Record<string, number>> {
    return (await this.#ask(caller, `${callee}?count=${count}`)) as Record<string, number>
  }

  async #ask(caller: string, path: string): Promise<unknown> {
    const response = await fetch(`${await this.#urlOf(caller)}/${path}`)
    return await response.json()
  }

  readonly #urls = new Map<string, string>()

  async #urlOf(name: string): Promise<string> {
    if (this.#urls.size === 0)
      for (const vm of (await this.status()).vms) this.#urls.set(vm.name, vm.url)
    const url = this.#urls.get(name)
    assert(url !== undefined, `no VM ${name}`)
    return url
  }

  /** Ends what is left; keeps the logs when asked to. */
  async close({ keep = false } = {}): Promise<void> {
    this.#client?.close()
    await meshCommand(['down', '--data', this.data])
    await this.#up?.stop('SIGKILL')
    this.#forget()
    if (!keep) await rm(this.folder, { recursive: true, force: true })
  }
}
