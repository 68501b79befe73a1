// podless mesh down: ends a mesh and everything it made, also one whose supervisor was killed. As often as one likes.
// up.ts calls removeLeftovers() before it starts.

import { closeNetwork } from './network.ts'
import { end } from './processes.ts'
import { type MeshFolder, meshFolder, readState, removeState } from './state-file.ts'

/** A supervisor ends its components one after the other before it ends itself. */
const SUPERVISOR_GRACE_MS = 60_000

export async function meshDown({ data }: { readonly data: string }): Promise<void> {
  const folder = meshFolder(data)
  const ended = await removeLeftovers(folder)
  process.stdout.write(
    ended === 0
      ? `no mesh of ${folder.data} runs\n`
      : `the mesh of ${folder.data} is down; its data and logs stay\n`,
  )
}

/** Ends what the state file knows and removes the network. Returns how many things there were. */
export async function removeLeftovers(folder: MeshFolder): Promise<number> {
  const state = readState(folder)
  let count = 0
  const ids = state?.components.flatMap(one => one.process ?? []) ?? []
  if (state !== undefined && state.supervisor.pid !== process.pid)
    count += Number(await end(state.supervisor, SUPERVISOR_GRACE_MS))
  for (const id of ids.toReversed()) count += Number(await end(id))
  count += await closeNetwork(folder.networkId)
  removeState(folder)
  return count
}
