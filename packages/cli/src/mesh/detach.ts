// podless mesh up --detach: starts the same command in the background and watches its state until the mesh is ready.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CliError, EXIT } from '../exit.ts'
import { makeDataFolder } from '../own-folder.ts'
import { componentDisplay } from './component-table.ts'
import { ourselves } from './components.ts'
import { end, lastLines, launch } from './processes.ts'
import { waitFor } from './readiness.ts'
import { type MeshState, meshFolder, observed, readState } from './state-file.ts'
import { type MeshUpOptions, refuseSecond } from './up.ts'

const READY_MS_MAX = 300_000
const LOG_LINES = 12

export async function meshUpDetached(options: MeshUpOptions): Promise<void> {
  const folder = meshFolder(options.data)
  await makeDataFolder(folder.data)
  refuseSecond(folder)
  const logFile = join(folder.data, 'mesh-up.log')
  await rm(logFile, { force: true })
  const background = await launch({ ...ourselves('mesh', 'up', ...argumentsOf(options)), logFile })
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () =>
      stop.abort(new CliError(EXIT.unavailable, `interrupted by ${signal}`)),
    )
  const display = componentDisplay(process.stdout)
  const look = async (): Promise<MeshState | undefined> => {
    const state = readState(folder)
    const isOurs = state?.supervisor.pid === background.pid
    if (isOurs) display.show(state.components, new Date())
    if (!background.running) throw new EndedError(isOurs ? state : undefined)
    return isOurs && observed(state).ready ? state : undefined
  }
  try {
    const state = await waitFor('the mesh is up', rejectAfterEnd(look, stop), {
      signal: stop.signal,
      timeoutMs: READY_MS_MAX,
    })
    const [caller, callee] = state.vms
    display.say(
      `podless: first mTLS request between two VMs after ${state.firstRequest?.milliseconds} ms, from ${state.firstRequest?.spiffeId}`,
    )
    background.leave()
    display.say(`  curl ${caller?.url}/${callee?.name}; podless mesh status; podless mesh down`)
  } catch (error) {
    await end(background, READY_MS_MAX)
    throw error instanceof EndedError ? await explained(error, logFile) : error
  }
}

class EndedError extends Error {
  override readonly name = 'EndedError'
  readonly state: MeshState | undefined

  constructor(state: MeshState | undefined) {
    super('the background process ended')
    this.state = state
  }
}

/** An end is final, so it stops the waiting instead of counting as not yet. */
const rejectAfterEnd =
  (look: () => Promise<MeshState | undefined>, stop: AbortController) =>
  async (): Promise<MeshState | undefined> => {
    try {
      return await look()
    } catch (error) {
      stop.abort(error)
      throw error
    }
  }

async function explained({ state }: EndedError, logFile: string): Promise<CliError> {
  if (state?.failure !== undefined) return new CliError(state.failure.code, state.failure.message)
  const log = await lastLines(logFile, LOG_LINES)
  return new CliError(
    EXIT.unavailable,
    ['podless mesh up ended in the background; its last lines:', ...log].join('\n'),
  )
}

function argumentsOf(options: MeshUpOptions): string[] {
  const { data, vms, port, from, bootstrapTemplate } = options
  return [
    ...['--data', data, '--vms', vms, '--port', port],
    ...(from === undefined ? [] : ['--from', from]),
    ...(bootstrapTemplate === undefined ? [] : ['--bootstrap-template', bootstrapTemplate]),
  ]
}
