// Folders that commands make: all missing ones above them too, and for data nobody else's to read. Used by up.ts, mesh/* and
// vm/bundle.ts. NOTE: Node's own `recursive` never comes back from a path such as /proc/x, where the kernel makes none.

import { chmod, mkdir, stat, statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { CliError, EXIT } from './exit.ts'

/** Less than this and a store cannot even be laid out: LMDB's first pages, keys and a kubeconfig. */
const FREE_BYTES_MIN = 1024 * 1024

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code

/** Makes the folder and those above it; fine when it is there. Throws what the file system says. */
export async function makeFolder(path: string, mode = 0o755): Promise<void> {
  const missing: string[] = []
  for (let at = resolve(path); await isMissing(at); at = dirname(at)) missing.unshift(at)
  for (const one of missing) {
    try {
      await mkdir(one, { mode })
    } catch (error) {
      // Somebody else was faster.
      if (codeOf(error) !== 'EEXIST') throw error
    }
  }
  if (missing.length === 0) await refuseFile(path)
}

async function isMissing(path: string): Promise<boolean> {
  try {
    await stat(path)
    return false
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true
    throw error
  }
}

async function refuseFile(path: string): Promise<void> {
  if (!(await stat(path)).isDirectory()) throw new Error('it is a file')
}

/** A data folder, for its owner only, on a disk with room. Throws a CliError that says why it cannot be used. */
export async function makeDataFolder(path: string): Promise<void> {
  try {
    await makeFolder(path, 0o700)
    await chmod(path, 0o700)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CliError(
      EXIT.cannotCreate,
      `the data folder ${path} cannot be made: ${why}; give another with --data`,
      { cause: error },
    )
  }
  const { bavail, blocks, bsize } = await statfs(path)
  // Some file systems count no blocks at all.
  if (blocks > 0 && bavail * bsize < FREE_BYTES_MIN)
    throw new CliError(
      EXIT.cannotCreate,
      `the disk of the data folder ${path} is full; free some of it, or give another folder with --data`,
    )
}
