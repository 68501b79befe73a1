// A folder of secrets that appears whole or not at all, and the keys in it. Used by backup.ts and restore.ts.

import { randomUUID } from 'node:crypto'
import { lstat, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CliError, EXIT } from './exit.ts'
import { makeFolder } from './own-folder.ts'

export interface FreshFolder {
  /** Where it is until it is whole. */
  readonly path: string
  /** Writes a file of the folder, durably, 0600. */
  write(name: string, text: string): Promise<void>
}

/**
 * Makes `target` of what `fill` writes, 0700, under another name until `fill` has ended. Throws a CliError when something
 * is there already or it cannot be written; then nothing is left.
 */
export async function writeWhole<T>(
  target: string,
  fill: (fresh: FreshFolder) => Promise<T>,
): Promise<T> {
  if (await isThere(target)) {
    throw new CliError(EXIT.cannotCreate, `${target} is there already; name a folder that is not`)
  }
  const path = `${target}.${randomUUID()}.new`
  try {
    await makeFolder(dirname(target))
    await mkdir(path, { mode: 0o700 })
    const filled = await fill({ path, write: (name, text) => writeSecret(join(path, name), text) })
    await syncFolder(path)
    await rename(path, target)
    await syncFolder(dirname(target))
    return filled
  } catch (error) {
    await rm(path, { recursive: true, force: true })
    throw isFileError(error) ? unwritable(target, error) : error
  }
}

/** Copies what `from`/pki holds to `to`/pki. Throws a CliError when there are no keys. */
export async function copyKeys(from: string, to: string): Promise<void> {
  const names: string[] = await readdir(join(from, 'pki')).catch(() => [])
  if (!names.includes('ca.crt')) {
    throw new CliError(
      EXIT.data,
      `${from} holds no keys, so it is no data folder; name the one of podless up`,
    )
  }
  await mkdir(join(to, 'pki'), { mode: 0o700 })
  for (const name of names) {
    // What a rotation is writing right now.
    if (name.endsWith('.new')) continue
    await writeSecret(join(to, 'pki', name), await readFile(join(from, 'pki', name)))
  }
  await syncFolder(join(to, 'pki'))
}

async function writeSecret(path: string, content: string | Buffer): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Also for a link that leads nowhere. */
export const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  )

const isFileError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'syscall' in error

const unwritable = (target: string, cause: Error): CliError =>
  new CliError(
    EXIT.cannotCreate,
    `${target} cannot be made: ${cause.message}; name a folder on a disk with room that this user may write`,
    { cause },
  )
