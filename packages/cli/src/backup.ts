// podless backup: the objects of a store at one moment, and the keys, in one new folder. The server may go on meanwhile.
// Called by commands/backup.ts; calls storage for the objects.
//
//   FOLDER/backup.json   what this is; written last, so that what has one is whole
//   FOLDER/store/        an embedded store without history; not there when etcd keeps the objects
//   FOLDER/pki/          the keys: without them no kubeconfig, VM or token of before would be taken after a restore

import { join, resolve } from 'node:path'
import { openPki } from '@podless/identity'
import { type CopiedStore, copyEmbedded } from '@podless/storage'
import { copyKeys, writeWhole } from './copied-folder.ts'
import { explained, storeFolder } from './open-store.ts'
import { type OutputFormat, printJson, printLines } from './output.ts'

export interface BackupOptions {
  readonly data: string
  readonly store: 'embedded' | 'etcd'
  readonly output: OutputFormat
}

/** The layout of a backup folder; one that changes it changes the number. */
export const BACKUP_FORMAT = { name: 'podless-backup', version: 1 } as const
export const MANIFEST = 'backup.json'

/** Throws a CliError when the folder is there already, or the data folder holds nothing to copy; then nothing is left. */
export async function backup(folder: string, options: BackupOptions): Promise<void> {
  const data = resolve(options.data)
  const target = resolve(folder)
  const copied = await writeWhole(target, async fresh => {
    await copyKeys(data, fresh.path)
    await explained(() => openPki(fresh.path, { now: new Date() }))
    const store = await copyStore(options, data, fresh.path)
    const manifest = { ...BACKUP_FORMAT, store: options.store, ...store }
    await fresh.write(MANIFEST, `${JSON.stringify(manifest, undefined, 2)}\n`)
    return store
  })
  if (options.output === 'json') {
    return printJson({ folder: target, store: options.store, ...copied })
  }
  printLines(linesOf(target, copied))
}

async function copyStore(
  { store }: BackupOptions,
  data: string,
  to: string,
): Promise<CopiedStore | undefined> {
  if (store === 'etcd') return undefined
  return await explained(() => copyEmbedded({ from: storeFolder(data), to: join(to, 'store') }))
}

function linesOf(target: string, copied: CopiedStore | undefined): string[] {
  if (copied !== undefined) {
    const { revision, objects, bytes } = copied
    return [`${target}: ${objects} objects, ${bytes} bytes, at revision ${revision}, and the keys`]
  }
  return [
    `${target}: the keys`,
    'the objects are in etcd: back them up with etcdctl snapshot save FILE',
  ]
}
