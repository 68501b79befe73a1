// Starts the programs of a mesh in process groups of their own, with their output in log files, and ends them.
// Called by supervisor.ts and down.ts. A process is known by pid and start time, since pids come again.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ProcessId {
  readonly pid: number
  /** When the kernel started it, in clock ticks since boot. */
  readonly started: string
}

export interface Launch {
  readonly program: string
  readonly args: readonly string[]
  readonly logFile: string
  readonly cwd?: string
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>
  /** A network namespace to run in. */
  readonly netns?: string
}

export interface Running extends ProcessId {
  readonly running: boolean
  /** Settles when the program has ended; says how. */
  readonly ended: Promise<string>
  /** Lets this process end before it. */
  leave(): void
}

/** Field 22 of /proc/PID/stat, counted after the name, which may hold spaces. Ref: proc_pid_stat(5) */
const START_FIELD = 19
const POLL_MS = 20
/** Longer than istiod and Envoy need for an orderly end. */
const GRACE_MS = 5_000

/** Starts the program. Throws when it cannot be started. */
export async function launch(options: Launch): Promise<Running> {
  const { logFile, netns, cwd, env } = options
  const enter = netns === undefined ? [] : ['ip', 'netns', 'exec', netns]
  const [program = '', ...args] = [...enter, options.program, ...options.args]
  const log = openSync(logFile, 'a')
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  })
  closeSync(log)
  const ended = once(child, 'exit').then(([code, signal]) =>
    signal === null ? `with code ${code}` : `by ${signal}`,
  )
  await once(child, 'spawn')
  const pid = child.pid ?? 0
  return {
    pid,
    started: startOf(pid) ?? '',
    get running() {
      return isRunning(child)
    },
    ended,
    leave: () => child.unref(),
  }
}

const isRunning = (child: ChildProcess): boolean =>
  child.exitCode === null && child.signalCode === null

/** When the process started; undefined when there is none, or only its remains. */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[START_FIELD]
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

export const isAlive = ({ pid, started }: ProcessId): boolean =>
  started !== '' && startOf(pid) === started

/** SIGTERM, and SIGKILL for it and all it started once the grace is over. True when it was there. */
export async function end(id: ProcessId, graceMs = GRACE_MS): Promise<boolean> {
  if (!isAlive(id)) return false
  signal(id.pid, 'SIGTERM')
  const deadline = performance.now() + graceMs
  while (isAlive(id) && performance.now() < deadline) await sleep(POLL_MS)
  signal(-id.pid, 'SIGKILL')
  while (isAlive(id)) await sleep(POLL_MS)
  return true
}

/** A process, or with a negative pid its group, that is gone already is what was wanted. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (!isAbsent(error)) throw error
  }
}

const isAbsent = (error: unknown): boolean =>
  ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')

/** The end of a log, for people. */
export async function lastLines(file: string, count: number): Promise<readonly string[]> {
  try {
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
    return lines.slice(-count)
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
}
