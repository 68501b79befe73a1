// podless mesh status: what runs of a mesh, as its supervisor wrote it down and as the processes are now.

import { CliError, EXIT } from '../exit.ts'
import { type OutputFormat, printJson, printLines } from '../output.ts'
import { componentTable } from './component-table.ts'
import { isAlive } from './processes.ts'
import { type MeshState, meshFolder, observed, readState } from './state-file.ts'

export interface MeshStatusOptions {
  readonly data: string
  readonly output: OutputFormat
}

export function meshStatus({ data, output }: MeshStatusOptions): void {
  const folder = meshFolder(data)
  const written = readState(folder)
  if (written === undefined)
    throw new CliError(
      EXIT.unavailable,
      `no mesh of ${folder.data} runs; podless mesh up starts one, --data names another folder`,
    )
  const state = observed(written)
  if (output === 'json') {
    printJson(state)
    return
  }
  printLines([
    ...componentTable(state.components, new Date()),
    '',
    `server: ${state.server}; logs: ${folder.logs}`,
    ...state.vms.map(({ name, url, address }) => `${name}: ${address}; curl ${url}/NAME`),
    ...(state.firstRequest === undefined
      ? []
      : [`first mTLS request after ${state.firstRequest.milliseconds} ms`]),
    ...endOf(written),
  ])
}

/** Why nobody starts again what ends, for whoever wonders. */
function endOf({ failure, supervisor }: MeshState): readonly string[] {
  if (failure !== undefined) return [`it ended: ${failure.message}`]
  if (isAlive(supervisor)) return []
  return [
    'podless mesh up was killed, so nothing looks after this mesh: start it anew with podless mesh up, or end the rest with podless mesh down',
  ]
}
