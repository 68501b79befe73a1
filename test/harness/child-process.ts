// Starts programs for tests and ends every one of them, also when a test fails or is interrupted.
// Used by podless.ts, etcd.ts, the end-to-end tests and the benchmarks.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, createWriteStream, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export { freePorts } from '../../packages/storage/src/testing/index.ts'

export interface Child {
  readonly name: string
  readonly pid: number
  /** Everything printed so far, both streams. */
  log(): string
  readonly running: boolean
  /** null while it runs and after a signal. */
  readonly exitCode: number | null
  /** Sends the signal to the program and what it started, and SIGKILL when it has not ended in time. */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<void>
}

export interface StartOptions {
  readonly name: string
  readonly program: string
  readonly args: readonly string[]
  /** Where its output goes. */
  readonly logFile: string
  readonly cwd?: string
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>
  /** A network namespace to run in. */
  readonly namespace?: string
}

/** Not for what a test expects: what does not end by itself is killed in the end. */
const GRACE_MS = 60_000
const groups = new Set<number>()
const onExit = new Set<() => void>()

/** Runs `undo` when this process ends without having called the returned function. */
export function undoAtExit(undo: () => void): () => void {
  onExit.add(undo)
  return () => onExit.delete(undo)
}

function endAll(): void {
  for (const pid of groups) kill(-pid, 'SIGKILL')
  groups.clear()
  for (const undo of onExit) undo()
  onExit.clear()
}

process.once('exit', endAll)
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.once(signal, () => {
    endAll()
    process.kill(process.pid, signal)
  })
}

/** Starts a program in a process group of its own. */
export function start(options: StartOptions): Child {
  const { name, logFile, namespace } = options
  const enter = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace]
  const [program = '', ...args] = [...enter, options.program, ...options.args]
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const pid = child.pid
  if (pid === undefined) throw new Error(`${program} could not be started`)
  groups.add(pid)
  const log = createWriteStream(logFile, { flags: 'a' })
  child.stdout?.pipe(log, { end: false })
  child.stderr?.pipe(log, { end: false })
  const ended = once(child, 'close').then(() => log.end())
  return {
    name,
    pid,
    log: () => readFileSync(logFile, 'utf8'),
    get running() {
      return isRunning(child)
    },
    get exitCode() {
      return child.exitCode
    },
    stop: (signal = 'SIGTERM', graceMs = GRACE_MS) => stop(child, pid, ended, signal, graceMs),
  }
}

const isRunning = (child: ChildProcess): boolean =>
  child.exitCode === null && child.signalCode === null

async function stop(
  child: ChildProcess,
  pid: number,
  ended: Promise<unknown>,
  signal: NodeJS.Signals,
  graceMs: number,
): Promise<void> {
  if (isRunning(child) && signal !== 'SIGKILL') {
    const exited = once(child, 'exit')
    kill(pid, signal)
    await Promise.race([exited, sleep(graceMs, undefined, { ref: false })])
  }
  kill(-pid, 'SIGKILL')
  await ended
  groups.delete(pid)
}

/** A process that is gone already is what was wanted. */
function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. */
export async function run(
  program: string,
  args: readonly string[],
  options: { input?: string; cwd?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<Finished> {
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8')
    child[stream].on('data', (text: string) => {
      output[stream] += text
    })
  }
  const closed = once(child, 'close') as Promise<[number | null]>
  // A program may end without reading what it is given; its exit code tells whether that was a failure.
  child.stdin.on('error', () => child.stdin.destroy())
  child.stdin.end(options.input ?? '')
  const [code] = await closed
  return { code, ...output }
}

/** The first file of that name on PATH that may be run. */
export function findProgram(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map(folder => join(folder, name))
    .find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Why a test that needs these programs cannot run here; false when it can. Fits node:test's `skip`. */
export function missingPrograms(...names: readonly string[]): string | false {
  const missing = names.filter(name => findProgram(name) === undefined)
  return missing.length > 0 && `not on PATH: ${missing.join(', ')}`
}

/** Polls until `probe` returns something other than undefined. Throws with `what` and the last error after the time. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  { timeoutMs = 180_000, everyMs = 50 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  let cause: unknown
  while (performance.now() < deadline) {
    try {
      const found = await probe()
      if (found !== undefined) return found
    } catch (error) {
      cause = error
    }
    await sleep(everyMs)
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause })
}
