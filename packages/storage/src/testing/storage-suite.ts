// What Storage promises on every engine, watch guarantees first: Ordered, Unique, Atomic, Reliable, Resumable,
// Bookmarkable, Filter, Fresh (Atomic needs an engine told what to say: cacher.test.ts). Run by storage.test.ts with an
// engine each.

import { after, describe } from 'node:test'
import type { Backend } from '../backend.ts'
import type { Storage } from '../storage.ts'
import { openStorage } from './storage-steps.ts'
import { listTests } from './storage-suite-list.ts'
import { seededTests } from './storage-suite-seeded.ts'
import { watchTests } from './storage-suite-watch.ts'
import { writeTests } from './storage-suite-write.ts'

export type OpenBackend = () => Backend | Promise<Backend>

/** Registers the suite with node:test. `openBackend` gives an empty store of its own to each call. */
export function runStorageSuite(name: string, openBackend: OpenBackend): void {
  describe(`storage on ${name}`, () => {
    const opened: Storage[] = []
    after(async () => {
      for (const storage of opened) await storage.close()
    })
    const open = async (): Promise<Storage> => {
      const storage = await openStorage(await openBackend())
      opened.push(storage)
      return storage
    }
    writeTests(open)
    listTests(open)
    watchTests(open)
    seededTests(open)
  })
}
