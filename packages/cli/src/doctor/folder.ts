// podless doctor: the data folder, who may read it, its disk, and the store in it. Called by doctor.ts.

import { readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { inspectEmbedded } from '@podless/storage'
import { EXIT } from '../exit.ts'
import { explained, openStore, type StoreOptions, storeFolder } from '../open-store.ts'
import { type Finding, fail, failed, ok, type Patient, warn } from './finding.ts'

const MIB = 1024 * 1024
/** The server stops taking writes when it is full; this is what some minutes of history take. */
const FREE_BYTES_LOW = 256 * MIB
const ETCD_MS_MAX = 5000

/** The folder itself, then whether others may read what is in it. */
export async function checkFolder({ data }: Patient): Promise<Finding> {
  const check = 'data folder'
  const found = await stat(data).catch(() => undefined)
  if (found?.isDirectory() !== true) {
    return fail(
      check,
      `${data} is no folder; podless up makes it, or name another with --data`,
      EXIT.data,
    )
  }
  const user = process.geteuid?.()
  if (user !== 0 && user !== found.uid) {
    const whose = `${data} belongs to user ${found.uid}, not ${user}`
    return fail(check, `${whose}; run podless as its owner, or chown it`, EXIT.cannotCreate)
  }
  const open = await readableByOthers(data)
  if (open.length === 0) return ok(check, `${data}, readable by its owner alone`)
  return warn(check, `others may read ${open.join(', ')}; chmod -R go= ${data}`)
}

async function readableByOthers(data: string): Promise<string[]> {
  const keys = await readdir(join(data, 'pki')).catch(() => [] as string[])
  const paths = [data, join(data, 'admin.kubeconfig'), ...keys.map(name => join(data, 'pki', name))]
  const open: string[] = []
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined && (found.mode & 0o077) !== 0) open.push(path)
  }
  return open
}

export async function checkDisk({ data }: Patient): Promise<Finding> {
  const { bavail, blocks, bsize } = await statfs(data)
  const free = bavail * bsize
  const detail = `${Math.floor(free / MIB)} MiB free`
  // Some file systems count no blocks at all.
  if (blocks === 0 || free >= FREE_BYTES_LOW) return ok('disk', detail)
  const cure = `${detail}; free some, as writes are refused when it is full`
  return free < MIB ? fail('disk', cure, EXIT.cannotCreate) : warn('disk', cure)
}

/** Opens no store that a server has: it looks at format and pages, or asks etcd for its revision. */
export async function checkStore({ data }: Patient, options: StoreOptions): Promise<Finding> {
  try {
    if (options.store === 'etcd') return await checkEtcd(options, data)
    await explained(() => inspectEmbedded(storeFolder(data)))
    return ok('store', 'embedded, of this format, its pages are whole')
  } catch (error) {
    return failed('store', error)
  }
}

async function checkEtcd(options: StoreOptions, data: string): Promise<Finding> {
  const backend = await openStore(options, data)
  try {
    const signal = AbortSignal.timeout(ETCD_MS_MAX)
    const revision = await explained(() => backend.revision({ signal }))
    return ok('store', `etcd answers at revision ${revision}`)
  } catch (error) {
    if (!(error instanceof DOMException)) throw error
    const cure = 'check --etcd-endpoints and that it runs'
    return fail('store', `etcd does not answer; ${cure}`, EXIT.unavailable)
  } finally {
    await backend.close()
  }
}
