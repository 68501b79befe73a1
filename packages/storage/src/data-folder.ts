// The folder an embedded store lives in: who may open it, what must be in it, who can read it.
// Called by embedded.ts and embedded-copy.ts; calls lmdb-file.ts to look at the data before lmdb maps
// it.
//
//   format.json   what wrote the folder; its presence means the store was created completely
//   creating      there while the store is being created for the first time
//   data.mdb      lmdb's data (and data.mdb-lock, lmdb's own bookkeeping)
//   lock          locked by the kernel for the server's process, so a killed one leaves no trace
//   server.pid    the process that holds the lock, for the error message

import { closeSync, openSync } from 'node:fs'
import {
  chmod,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { StorageError } from './errors.ts'
import { tryLock } from './kernel-lock.ts'
import { lmdbFileProblem } from './lmdb-file.ts'
import { FORMAT_VERSION } from './record.ts'

const FORMAT_NAME = 'podless-embedded-store'
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
const LMDB_FILES = ['data.mdb', 'data.mdb-lock']
/** What may be in the folder of a store that was not created yet. */
const BEFORE_CREATION = new Set(['lock', 'server.pid', 'creating', 'format.json.new'])

export interface DataFolder {
  readonly dataFile: string
  /** True until the first created(). */
  readonly isNew: boolean
  /** Call once the first transaction of a new store is on disk. */
  created(): Promise<void>
  /** Gives lmdb's files the folder's mode; call after lmdb has made them. */
  protect(): Promise<void>
  /** Releases the lock. */
  close(): Promise<void>
}

/**
 * Takes the folder for this process, creating it when it does not exist. Throws `unavailable` when
 * another process has it (naming the process) or it cannot be used, `corrupt` when it holds
 * something else or damaged data. Deletes nothing.
 */
export async function openDataFolder(directory: string): Promise<DataFolder> {
  await makeFolder(directory)
  const unlock = await lock(directory)
  try {
    const isNew = !(await isStore(directory))
    await chmod(directory, FOLDER_MODE)
    if (isNew) await writeFile(join(directory, 'creating'), '', { mode: FILE_MODE })
    else await inspect(directory)
    return {
      dataFile: join(directory, 'data.mdb'),
      isNew,
      created: () => markCreated(directory),
      protect: async () => {
        for (const file of LMDB_FILES) await chmod(join(directory, file), FILE_MODE)
      },
      close: unlock,
    }
  } catch (error) {
    await unlock()
    throw error
  }
}

/**
 * Keeps an existing store readable until the answer is called. Throws `corrupt` when it is none, or
 * damaged. A store in use is not looked at again: its server did, and pages change while it runs.
 */
export async function holdForReading(directory: string): Promise<() => Promise<void>> {
  const text = await readFile(join(directory, 'format.json'), 'utf8').catch(cause => {
    throw corrupt(directory, 'it holds no format.json that can be read', cause)
  })
  checkFormat(directory, text)
  const unlock = await lock(directory).catch(error => {
    if (error instanceof StorageError) return 'in use'
    // On a disk that cannot be written nobody else changes the store either.
    return async () => undefined
  })
  if (unlock === 'in use') return async () => undefined
  try {
    await inspect(directory)
  } catch (error) {
    await unlock()
    throw error
  }
  return unlock
}

/** Throws `corrupt` unless the folder holds a store that this version opens; changes nothing. */
export async function inspectEmbedded(directory: string): Promise<void> {
  const release = await holdForReading(directory)
  await release()
}

/** Throws `unavailable` when a process has the store, whatever else is in the folder. */
export async function mustBeFree(directory: string): Promise<void> {
  const unlock = await lock(directory)
  await unlock()
}

async function makeFolder(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: FOLDER_MODE })
    await isStore(directory)
    closeSync(openSync(join(directory, 'lock'), 'a', FILE_MODE))
  } catch (error) {
    if (error instanceof StorageError) throw error
    throw new StorageError('unavailable', {
      message:
        `The data folder ${directory} cannot be written (${codeOf(error)}). ` +
        'Check its owner and mode, or choose another folder.',
      cause: error,
    })
  }
}

async function lock(directory: string): Promise<() => Promise<void>> {
  const unlock = tryLock(join(directory, 'lock'))
  const pidFile = join(directory, 'server.pid')
  if (unlock === undefined) {
    const pid = await readFile(pidFile, 'utf8').catch(() => '')
    const owner = pid.trim() === '' ? 'another process' : `process ${pid.trim()}`
    throw new StorageError('unavailable', {
      message:
        `The data folder ${directory} is in use by ${owner}. ` +
        'Stop that server, or choose another folder.',
    })
  }
  await writeFile(pidFile, `${process.pid}\n`, { mode: FILE_MODE })
  return async () => {
    await rm(pidFile, { force: true })
    unlock()
  }
}

/** False when the folder is free for a new store. Throws `corrupt` when it is somebody else's. */
async function isStore(directory: string): Promise<boolean> {
  const names = await readdir(directory)
  if (names.includes('format.json')) return true
  const isUnfinished = names.includes('creating')
  const foreign = names.find(
    name => !BEFORE_CREATION.has(name) && !(isUnfinished && LMDB_FILES.includes(name)),
  )
  if (foreign === undefined) return false
  throw corrupt(directory, `it holds ${foreign} but no format.json, so it is no store of podless`)
}

/** Throws `corrupt` unless this version can open what is in the folder. */
async function inspect(directory: string): Promise<void> {
  checkFormat(directory, await readFile(join(directory, 'format.json'), 'utf8'))
  const dataFile = join(directory, 'data.mdb')
  const size = await stat(dataFile).then(
    found => found.size,
    () => 0,
  )
  if (size === 0) throw corrupt(directory, 'data.mdb is missing or empty')
  const problem = lmdbFileProblem(dataFile)
  if (problem !== undefined) throw corrupt(directory, `data.mdb is damaged: ${problem}`)
}

function checkFormat(directory: string, text: string): void {
  let format: unknown
  try {
    format = JSON.parse(text)
  } catch (cause) {
    throw corrupt(directory, 'format.json is not JSON', cause)
  }
  if (
    typeof format !== 'object' ||
    format === null ||
    !('name' in format) ||
    !('version' in format)
  ) {
    throw corrupt(directory, 'format.json does not describe a store')
  }
  if (format.name !== FORMAT_NAME) {
    throw corrupt(directory, `format.json says that ${String(format.name)} wrote it`)
  }
  if (format.version === FORMAT_VERSION) return
  throw new StorageError('corrupt', {
    message:
      `The data folder ${directory} has format ${String(format.version)} and this version of ` +
      `podless reads format ${FORMAT_VERSION}. Use the version of podless that wrote it.`,
  })
}

async function markCreated(directory: string): Promise<void> {
  const text = `${JSON.stringify({ name: FORMAT_NAME, version: FORMAT_VERSION })}\n`
  const fresh = join(directory, 'format.json.new')
  const file = await open(fresh, 'w', FILE_MODE)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(fresh, join(directory, 'format.json'))
  await syncFolder(directory)
  await rm(join(directory, 'creating'), { force: true })
}

async function syncFolder(directory: string): Promise<void> {
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** The error for a folder that podless must not touch. */
export function corrupt(directory: string, reason: string, cause?: unknown): StorageError {
  return new StorageError('corrupt', {
    message:
      `The data folder ${directory} cannot be used: ${reason}. Nothing in it was changed. ` +
      'Restore it from a backup, or move it away to start with an empty store.',
    cause,
  })
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
