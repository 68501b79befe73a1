// DIR/mesh.json: what runs of a mesh and how it is, so that status and down know it from another process.
// Written by up.ts at each change; read by status.ts, down.ts and detach.ts.

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CliError, EXIT } from '../exit.ts'
import { isAlive, type ProcessId } from './processes.ts'

export type ComponentCondition = 'waiting' | 'starting' | 'ready' | 'ended'

export interface ComponentState {
  readonly name: string
  readonly state: ComponentCondition
  /** RFC 3339. */
  readonly since: string
  readonly log: string
  readonly process?: ProcessId
  readonly restarts: number
}

export interface VmState {
  readonly name: string
  readonly address: string
  readonly netns: string
  /** The demo app's own address on this machine: /call/NAME makes it call another. */
  readonly url: string
}

export interface FirstRequest {
  /** From the start of `mesh up`. */
  readonly milliseconds: number
  /** The identity the callee saw. */
  readonly spiffeId: string
}

export interface MeshState {
  readonly supervisor: ProcessId
  readonly server: string
  readonly kubeconfig: string
  readonly ready: boolean
  readonly components: readonly ComponentState[]
  readonly vms: readonly VmState[]
  readonly firstRequest?: FirstRequest
  readonly failure?: { readonly code: number; readonly message: string }
}

export interface MeshFolder {
  readonly data: string
  readonly logs: string
  readonly stateFile: string
  /** Short name of this mesh's network devices, the same for the same folder. */
  readonly networkId: string
}

const ID_DIGITS = 6

export function meshFolder(data: string): MeshFolder {
  const path = resolve(data)
  const hash = createHash('sha256').update(path).digest('hex').slice(0, ID_DIGITS)
  return {
    data: path,
    logs: join(path, 'mesh'),
    stateFile: join(path, 'mesh.json'),
    networkId: `pdl${hash}`,
  }
}

/** The last state written; undefined when no mesh was started or it was taken down. Throws a CliError for a damaged one. */
export function readState({ stateFile }: MeshFolder): MeshState | undefined {
  try {
    return JSON.parse(readFileSync(stateFile, 'utf8')) as MeshState
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (!(error instanceof SyntaxError)) throw error
    throw new CliError(
      EXIT.data,
      `${stateFile} is damaged: end by hand what runs of this mesh, delete the file, then run podless mesh down`,
      { cause: error },
    )
  }
}

/** Replaced as a whole: a reader never sees half of it. Written at once: a killed supervisor leaves nothing unknown. */
export function writeState({ data, stateFile }: MeshFolder, state: MeshState): void {
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const next = `${stateFile}.${process.pid}`
  writeFileSync(next, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 })
  renameSync(next, stateFile)
}

export function removeState({ stateFile }: MeshFolder): void {
  rmSync(stateFile, { force: true })
}

/** The state as it is now: a component whose process is gone has ended, whatever was written last. */
export function observed(state: MeshState): MeshState {
  const components = state.components.map(one =>
    one.process === undefined || isAlive(one.process) ? one : { ...one, state: 'ended' as const },
  )
  return { ...state, components, ready: state.ready && isAlive(state.supervisor) }
}
