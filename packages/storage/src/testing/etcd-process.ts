// A real etcd for tests: started on free loopback ports over a folder of its own, killed and
// started again at will.
// Called by *.etcd.test.ts.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from './free-ports.ts'
import { READY_TIMEOUT_MS } from './patient.ts'

export interface EtcdProcess {
  readonly endpoint: string
  /** kill -9. Resolves once the process is gone. */
  kill(): Promise<void>
  /** Starts it again over the same data and ports. Resolves when it answers. */
  start(): Promise<void>
  /** Stops every thread of the process: connections stay. Resolves once nothing answers. */
  freeze(): Promise<void>
  /** Ends freeze(). */
  thaw(): void
  /** Kills it and removes its folder. */
  dispose(): Promise<void>
}

/** Why tests with etcd cannot run here, or false. */
export const etcdMissing: string | false =
  spawnSync('etcd', ['--version']).status === 0 ? false : 'etcd is not on PATH'

/** Somebody else may take a free port before etcd listens there; thrice in a row is another fault. */
const TRIES = 3

interface EtcdFlags {
  /** More command line flags. */
  readonly args?: readonly string[]
  /** https is for flags that make the client port speak TLS. */
  readonly scheme?: 'http' | 'https'
}

/** Resolves when it answers. */
export async function startEtcd(flags: EtcdFlags = {}): Promise<EtcdProcess> {
  for (let tries = 1; ; tries++) {
    try {
      return await startOnFreePorts(flags)
    } catch (error) {
      if (!(error instanceof EtcdEnded) || tries === TRIES) throw error
    }
  }
}

/** It ended before it answered. */
class EtcdEnded extends Error {}

async function startOnFreePorts({ args = [], scheme = 'http' }: EtcdFlags): Promise<EtcdProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'podless-etcd-'))
  const [clientPort, peerPort] = await freePorts(2)
  const endpoint = `${scheme}://127.0.0.1:${clientPort}`
  const peer = `http://127.0.0.1:${peerPort}`
  const flags = [
    ...['--name', 'test', '--data-dir', directory, '--log-level', 'error'],
    ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ...['--initial-cluster', `test=${peer}`],
    ...args,
  ]
  let child: ChildProcess | undefined
  let output = ''

  async function start(): Promise<void> {
    output = ''
    child = spawn('etcd', flags, { stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    await ready(endpoint, () => {
      if (child?.exitCode !== null) throw new EtcdEnded(`etcd ended: ${output}`)
    })
  }

  async function kill(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  await start()
  return {
    endpoint,
    start,
    kill,
    freeze: async () => {
      child?.kill('SIGSTOP')
      while (await runs(child?.pid)) await pause()
    },
    thaw: () => {
      child?.kill('SIGCONT')
    },
    dispose: async () => {
      await kill()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Waits for the port, which etcd opens once it has a leader. */
async function ready(endpoint: string, check: () => void): Promise<void> {
  const { connect } = await import('node:net')
  const { hostname, port } = new URL(endpoint)
  const signal = AbortSignal.timeout(READY_TIMEOUT_MS)
  for (;;) {
    check()
    signal.throwIfAborted()
    const isOpen = await new Promise<boolean>(resolve => {
      const socket = connect(Number(port), hostname)
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
      socket.on('connect', () => socket.destroy())
    })
    if (isOpen) return
    await pause()
  }
}

/**
 * Whether any thread of the process is not stopped: a signal is only under way when kill() returns.
 * False where there is no /proc to ask.
 */
async function runs(pid: number | undefined): Promise<boolean> {
  const tasks = `/proc/${pid}/task`
  const threads = await readdir(tasks).catch(() => [])
  const lines = threads.map(id => readFile(`${tasks}/${id}/stat`, 'utf8').catch(() => ''))
  // The state is the letter after the name, which is in parentheses.
  return (await Promise.all(lines)).some(line => line.split(') ')[1]?.[0] !== 'T')
}

function pause(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, 10))
}
