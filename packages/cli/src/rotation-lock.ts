// One podless rotate at a time on a data folder: a lock on DIR/pki/rotate.lock, which the kernel drops with the process. Used
// by rotate.ts.

import { closeSync, constants, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { tryLock } from '@podless/storage'
import { CliError, EXIT } from './exit.ts'

/** Runs it while no other rotation runs. Throws a CliError, without running it, while one does or nobody can tell. */
export async function whileLocked<T>(data: string, run: () => Promise<T>): Promise<T> {
  const directory = join(data, 'pki')
  const unlock = lock(directory)
  if (unlock === undefined)
    throw new CliError(
      EXIT.unavailable,
      `another podless rotate is at work in ${directory}; run this one again when it has ended`,
    )
  try {
    return await run()
  } finally {
    unlock()
  }
}

/** What releases it; undefined while another process has it. */
function lock(directory: string): (() => void) | undefined {
  const path = join(directory, 'rotate.lock')
  try {
    return asOwnerOf(directory, () => {
      // For its owner alone, as everything there; SQLite would make it for all to read.
      closeSync(openSync(path, constants.O_CREAT | constants.O_RDWR, 0o600))
      return tryLock(path)
    })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CliError(
      EXIT.cannotCreate,
      `${path} cannot be locked: ${why}; podless rotate runs as the owner of ${directory}, who must be able to write there`,
      { cause: error },
    )
  }
}

/**
 * What root would make in somebody's folder would be root's, and through a link of theirs anywhere. It does nothing but that at
 * this moment: the whole process is somebody else for as long.
 */
function asOwnerOf<T>(directory: string, make: () => T): T {
  if (process.geteuid?.() !== 0) return make()
  const { uid, gid } = statSync(directory)
  const groupBefore = process.getegid?.() ?? 0
  process.setegid?.(gid)
  process.seteuid?.(uid)
  try {
    return make()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(groupBefore)
  }
}
