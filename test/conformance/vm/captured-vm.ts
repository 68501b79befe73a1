// A VM in a network namespace whose traffic and DNS really are redirected to Istio's agent: joined by the line that
// `podless vm add` prints, run by the scripts that the line installs. What systemd does there is done here by hand.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, chown, cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Child,
  type Finished,
  findProgram,
  missingPrograms,
  run,
  start,
  undoAtExit,
} from '../../harness/child-process.ts'
import { bootstrapTemplate } from '../istiod/mesh-files.ts'
import { type MeshNetwork, noNetworkReason } from '../istiod/mesh-network.ts'

/** Istio's own when the package is installed, else the one that pilot-agent assumes. */
const PROXY_ID = Number(spawnSync('id', ['-u', 'istio-proxy'], { encoding: 'utf8' }).stdout) || 1337
const TEMPLATE = 'envoy_bootstrap_tmpl.json'
/** Nothing of this process's environment: no proxy is set in a VM. */
const CLEAN = ['env', '-i', `PATH=${process.env.PATH}`]

/** Why no VM's traffic can be redirected here; false when it can. */
export function noCaptureReason(): string | false {
  const programs = ['pilot-discovery', 'pilot-agent', 'envoy', 'istioctl', 'kubectl', 'iptables']
  const missing =
    missingPrograms(...programs, 'curl', 'flock', 'setpriv', 'unshare') || noNetworkReason()
  if (missing !== false) return missing
  if (bootstrapTemplate() === undefined) return "absent: Envoy's bootstrap template of Istio"
  const rule = ['-t', 'nat', '-A', 'OUTPUT', '-m', 'owner', '--uid-owner', '1', '-j', 'RETURN']
  const { status, stderr } = spawnSync('unshare', ['-n', 'iptables', ...rule], { encoding: 'utf8' })
  return status !== 0 && `iptables redirects nothing here: ${stderr.trim()}`
}

export class CapturedVm {
  readonly root: string
  readonly address: string
  readonly #namespace: string
  readonly #forget: () => void
  #agent: Child | undefined

  private constructor(root: string, network: { namespace: string; address: string }) {
    this.root = root
    this.address = network.address
    this.#namespace = network.namespace
    this.#forget = undoAtExit(() => {
      spawnSync('rm', ['-rf', join('/etc/netns', network.namespace)])
    })
  }

  /** An address in the network, and a resolver that nobody answers for: what resolves is answered by the agent. */
  static async make(root: string, network: MeshNetwork): Promise<CapturedVm> {
    const vm = new CapturedVm(root, await network.addVm())
    await mkdir(root, { recursive: true })
    const overlay = join('/etc/netns', vm.#namespace)
    await mkdir(overlay, { recursive: true })
    await writeFile(join(overlay, 'resolv.conf'), `nameserver ${network.address}\n`)
    return vm
  }

  /** Runs a program as a user of the VM does. */
  async run(program: string, ...args: readonly string[]): Promise<Finished> {
    const enter = ['netns', 'exec', this.#namespace, ...CLEAN]
    return await run('ip', [...enter, program, ...args], { cwd: this.root })
  }

  /** Pastes a join line. */
  async join(line: string): Promise<void> {
    const { code, stderr } = await this.run('sh', '-c', `${line} --prefix ${this.root}`)
    assert.equal(code, 0, stderr)
    await cp(bootstrapTemplate() ?? '', join(this.root, TEMPLATE))
    await chmod(join(this.root, TEMPLATE), 0o644)
    const config = { binaryPath: findProgram('envoy'), terminationDrainDuration: '1s' }
    const settings = [
      `ISTIO_AGENT_FLAGS='--concurrency 1 --templateFile ${TEMPLATE}'`,
      `PROXY_CONFIG='${JSON.stringify(config)}'`,
      'CLOUD_PLATFORM=none',
    ]
    await writeFile(join(this.root, 'etc/podless/agent.env'), `${settings.join('\n')}\n`)
  }

  /** What the agent's unit does at its start. */
  async startAgent(): Promise<void> {
    const prepared = await this.run('sh', 'var/lib/podless/agent.sh', 'prepare')
    assert.equal(prepared.code, 0, prepared.stderr)
    await this.#giveToProxy()
    this.#agent = this.#start('agent', ['sh', 'var/lib/podless/agent.sh', 'run'])
  }

  /** What the agent's unit does at its end. */
  async stopAgent(): Promise<void> {
    await this.#agent?.stop('SIGKILL')
    this.#agent = undefined
    const cleaned = await this.run('sh', 'var/lib/podless/agent.sh', 'clean')
    assert.equal(cleaned.code, 0, cleaned.stderr)
  }

  /** What the timer's unit does: its group's traffic is not captured. */
  async renew(): Promise<Finished> {
    const script = ['sh', 'var/lib/podless/renew.sh']
    const finished = await this.run('setpriv', `--regid=${PROXY_ID}`, '--clear-groups', ...script)
    await this.#giveToProxy()
    return finished
  }

  /** An app that listens on all addresses. */
  startApp(name: string, args: readonly string[]): Child {
    return start({
      name,
      program: process.execPath,
      args,
      logFile: `${this.root}.app.log`,
      namespace: this.#namespace,
    })
  }

  async close(): Promise<void> {
    await this.#agent?.stop('SIGKILL')
    await rm(join('/etc/netns', this.#namespace), { recursive: true, force: true })
    this.#forget()
  }

  #start(name: string, command: readonly string[]): Child {
    const ids = [`--reuid=${PROXY_ID}`, `--regid=${PROXY_ID}`, '--clear-groups']
    return start({
      name,
      program: 'setpriv',
      args: [...ids, ...CLEAN, ...command],
      cwd: this.root,
      logFile: `${this.root}.${name}.log`,
      namespace: this.#namespace,
    })
  }

  /** On a VM the user istio-proxy exists, and these are its own. */
  async #giveToProxy(): Promise<void> {
    for (const folder of ['etc/certs', 'etc/istio/proxy', 'var/run/secrets/workload-spiffe-uds']) {
      const path = join(this.root, folder)
      await chown(path, PROXY_ID, PROXY_ID)
      for (const file of await readdir(path)) await chown(join(path, file), PROXY_ID, PROXY_ID)
    }
    await chown(join(this.root, 'var/lib/podless/istio-token'), PROXY_ID, PROXY_ID)
  }
}
