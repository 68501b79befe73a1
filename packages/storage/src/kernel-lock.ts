// A lock on a file that the kernel drops with the process, so that a killed one leaves no trace. Used by data-folder.ts and by
// the cli, where one process at a time may change something.

import { DatabaseSync } from 'node:sqlite'

const SQLITE_BUSY = 5

/**
 * Takes the lock, making the file, and returns what releases it; undefined while another process has it. Throws what SQLite says
 * of a file that it cannot use.
 * Node has no file locks of its own, but its SQLite takes one.
 * NOTE: opening and closing the file elsewhere in this process would drop it, as POSIX locks do.
 */
export function tryLock(path: string): (() => void) | undefined {
  const holder = new DatabaseSync(path)
  try {
    holder.exec('PRAGMA journal_mode=MEMORY; PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    holder.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY)
      return undefined
    throw error
  }
  return () => holder.close()
}
