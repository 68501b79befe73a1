// The supervisor with programs that only wait: what it starts again, and that nothing outlives stop().

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isAlive } from './processes.ts'
import { waitFor } from './readiness.ts'
import type { ComponentState } from './state-file.ts'
import { type ComponentSpec, Supervisor } from './supervisor.ts'

const folder = mkdtempSync(join(tmpdir(), 'podless-supervisor-'))
after(() => rmSync(folder, { recursive: true }))

const waiting = (parts: Partial<ComponentSpec> = {}): ComponentSpec => ({
  name: 'waiting',
  launch: {
    program: process.execPath,
    args: ['-e', 'setInterval(() => {}, 1e6)'],
    logFile: join(folder, 'waiting.log'),
  },
  isReady: async () => true,
  fix: 'none',
  restart: false,
  ...parts,
})

const signal = new AbortController().signal
const supervisor = (): Supervisor =>
  new Supervisor({ now: () => new Date(), onChange: () => {}, onEnd: () => {}, signal })

const only = (one: Supervisor): ComponentState => {
  const [state] = one.states()
  assert(state !== undefined)
  return state
}

const until = (what: string, probe: () => boolean): Promise<true> =>
  waitFor(what, async () => probe() || undefined, { signal, timeoutMs: 60_000 })

test('stop() ends also what is just being started', async () => {
  const mesh = supervisor()
  const starting = mesh.start(waiting())
  await mesh.stop()
  await starting
  const { process: id, state } = only(mesh)
  assert(id !== undefined && !isAlive(id))
  assert.equal(state, 'ended')
})

test('nothing is started after stop()', async () => {
  const mesh = supervisor()
  await mesh.stop()
  await assert.rejects(mesh.start(waiting()), /waiting is not started any more/)
  assert.deepEqual(mesh.states(), [])
})

test('what has to run is started again when it was killed, and ended by stop()', async () => {
  const mesh = supervisor()
  await mesh.start(waiting({ restart: true }))
  const first = only(mesh).process
  assert(first !== undefined)
  process.kill(first.pid, 'SIGKILL')
  await until('it runs again', () => only(mesh).restarts === 1 && only(mesh).state === 'ready')
  const second = only(mesh).process
  assert(second !== undefined && isAlive(second) && second.pid !== first.pid)
  await mesh.stop()
  assert(!isAlive(second))
})

test('what may end is shown as ended', async () => {
  const mesh = supervisor()
  await mesh.start(waiting())
  process.kill(only(mesh).process?.pid ?? 0, 'SIGKILL')
  await until('it is shown as ended', () => only(mesh).state === 'ended')
  await mesh.stop()
})
