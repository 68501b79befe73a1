// The files of DIR/pki: read whole or not there, written whole or not at all, 0600. Called by ca.ts and rotation.ts.

import { randomUUID } from 'node:crypto'
import { open, readFile, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** A folder of keys that cannot be used as it is: half of it is missing, or it is not ours to read. */
export class PkiError extends Error {
  override readonly name = 'PkiError'
}

/** The file's text; undefined when it is not there. */
export async function readPkiFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    const why = error instanceof Error ? error.message : String(error)
    throw new PkiError(`${path} cannot be read: ${why}`, { cause: error })
  }
}

/**
 * Durable and atomic: a crash leaves the old file or the new one. It belongs to the owner of its folder: what root rotates,
 * a server that is not root has to read.
 */
export async function writePkiFile(path: string, text: string): Promise<void> {
  // Never a file or a link that the folder's owner has put there for root to write through.
  const temporary = `${path}.${randomUUID()}.new`
  const { uid, gid } = await stat(dirname(path))
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.chmod(0o600)
    if (process.geteuid?.() === 0) await file.chown(uid, gid)
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}
