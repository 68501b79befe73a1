// podless restore: a data folder out of what podless backup wrote. Its revision is far ahead of the backup's, as clients
// may have seen later ones: they are told that theirs has expired, and list again. Called by commands/restore.ts.
// Ref: etcd etcdutl/snapshot/v3_snapshot.go (--bump-revision, --mark-compacted)

import { chown, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { isObject } from '@podless/apimachinery'
import { openPki } from '@podless/identity'
import { type CopiedStore, copyEmbedded, mustBeFree, openEmbedded } from '@podless/storage'
import { BACKUP_FORMAT, MANIFEST } from './backup.ts'
import { copyKeys, isThere, writeWhole } from './copied-folder.ts'
import { CliError, EXIT } from './exit.ts'
import { explained, storeFolder } from './open-store.ts'
import { type OutputFormat, printJson, printLines } from './output.ts'

export interface RestoreOptions {
  readonly data: string
  readonly force?: boolean
  readonly output: OutputFormat
}

/** As etcd's advice: more than a server writes between a backup and its restore. 2^53 leaves room for millions of them. */
const SKIPPED_REVISIONS = 1_000_000_000

/** Throws a CliError when the data folder is in use or not empty, or the backup cannot be read; then nothing has changed. */
export async function restore(folder: string, options: RestoreOptions): Promise<void> {
  const from = resolve(folder)
  const data = resolve(options.data)
  const engine = await readManifest(from)
  const before = await ownerOf(data)
  const isReplaced = before !== undefined && (await mayReplace(data, options.force === true))
  const prepared = `${data}.restored`
  const restored = await writeWhole(prepared, async ({ path }) => {
    await copyKeys(from, path)
    await explained(() => openPki(path, { now: new Date() }))
    return engine === 'embedded' ? await restoreStore(from, path) : undefined
  })
  if (before !== undefined) await giveTo(prepared, before)
  const kept = await takePlace(prepared, data, { isThere: before !== undefined, isReplaced })
  const result = { data, store: engine, ...restored, ...(kept === undefined ? {} : { kept }) }
  if (options.output === 'json') return printJson(result)
  printLines(linesOf(result))
}

/** Which engine keeps the objects. Throws a CliError for what is no backup, or one of another format. */
async function readManifest(from: string): Promise<'embedded' | 'etcd'> {
  let manifest: unknown
  try {
    manifest = JSON.parse(await readFile(join(from, MANIFEST), 'utf8'))
  } catch (cause) {
    throw notBackup(`${from} holds no ${MANIFEST} that can be read`, cause)
  }
  if (!isObject(manifest) || manifest.name !== BACKUP_FORMAT.name) {
    throw notBackup(`${from} was not written by podless backup`)
  }
  if (manifest.version !== BACKUP_FORMAT.version) {
    throw notBackup(`${from} has format ${String(manifest.version)}, not ${BACKUP_FORMAT.version}`)
  }
  if (manifest.store === 'embedded' || manifest.store === 'etcd') return manifest.store
  throw notBackup(`${from} names no store`)
}

const notBackup = (what: string, cause?: unknown): CliError =>
  new CliError(EXIT.data, `${what}; name a folder that this version's podless backup made`, {
    cause,
  })

async function ownerOf(data: string) {
  return (await isThere(data)) ? await stat(data) : undefined
}

/** True when there is something to put aside. Throws a CliError when that is in use, or was not to be replaced. */
async function mayReplace(data: string, force: boolean): Promise<boolean> {
  const names = await readdir(data).catch(cause => {
    throw new CliError(EXIT.cannotCreate, `${data} is no folder that can be read`, { cause })
  })
  if (names.length === 0) return false
  // A damaged store is what one restores over: only the lock counts.
  if (await isThere(storeFolder(data))) await explained(() => mustBeFree(storeFolder(data)))
  if (force) return true
  throw new CliError(
    EXIT.cannotCreate,
    `the data folder ${data} is not empty; name another with --data, or give --force to keep this one aside`,
  )
}

async function restoreStore(from: string, to: string): Promise<CopiedStore> {
  const directory = storeFolder(to)
  return await explained(async () => {
    const source = join(from, 'store')
    const copied = await copyEmbedded({
      from: source,
      to: directory,
      skipRevisions: SKIPPED_REVISIONS,
    })
    // As the server will.
    await (await openEmbedded({ directory, compaction: false })).close()
    return copied
  })
}

/** What root restores, a server that is not root has to read. */
async function giveTo(path: string, owner: { readonly uid: number; readonly gid: number }) {
  if (process.geteuid?.() !== 0) return
  for (const name of await readdir(path, { recursive: true })) {
    await chown(join(path, name), owner.uid, owner.gid)
  }
  await chown(path, owner.uid, owner.gid)
}

/** Moves the prepared folder to where the data folder is or was. Throws a CliError where that cannot be moved. */
async function takePlace(
  prepared: string,
  data: string,
  old: { readonly isThere: boolean; readonly isReplaced: boolean },
): Promise<string | undefined> {
  let kept: string | undefined
  try {
    if (old.isThere) kept = await putAside(data, old.isReplaced)
    await rename(prepared, data)
    return kept
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    if (kept === undefined) await rm(prepared, { recursive: true, force: true })
    const cure =
      kept === undefined
        ? 'a mount point or a link cannot: name a folder inside of it'
        : `what was there is in ${kept}, what was restored in ${prepared}`
    throw new CliError(EXIT.cannotCreate, `${data} cannot be replaced (${why}); ${cure}`, { cause })
  }
}

/** Makes room for the new folder; answers where the old one is. */
async function putAside(data: string, isReplaced: boolean): Promise<string | undefined> {
  if (!isReplaced) {
    await rmdir(data)
    return undefined
  }
  let number = 1
  while (await isThere(`${data}.replaced-${number}`)) number++
  const kept = `${data}.replaced-${number}`
  await rename(data, kept)
  return kept
}

function linesOf(result: {
  readonly data: string
  readonly store: string
  readonly kept?: string
  readonly revision?: number
  readonly objects?: number
  readonly bytes?: number
}): string[] {
  const { data, store, kept, revision, objects, bytes } = result
  const what =
    store === 'embedded'
      ? `${objects} objects, ${bytes} bytes, at revision ${revision}, and the keys`
      : 'the keys'
  return [
    `${data}: ${what}`,
    ...(kept === undefined ? [] : [`what was there before is in ${kept}`]),
    ...(store === 'etcd'
      ? [
          'the objects are in etcd: etcdutl snapshot restore --bump-revision 1000000000 --mark-compacted',
        ]
      : []),
  ]
}
