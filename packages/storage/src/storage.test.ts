// Storage's guarantees on the in-memory engine, on one whose watch lags and breaks, and on the embedded engine.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { openEmbedded } from './embedded.ts'
import { withFaults } from './testing/faults.ts'
import { openMemory } from './testing/memory.ts'
import { runStorageSuite } from './testing/storage-suite.ts'

const parent = await mkdtemp(join(tmpdir(), 'podless-storage-'))
after(() => rm(parent, { recursive: true, force: true }))
let opened = 0

runStorageSuite('memory', () => openMemory())
runStorageSuite('memory with a watch that lags and breaks', () =>
  withFaults(openMemory(), {
    seed: ++opened,
    delayTurnsMax: 2,
    watchDelayTurnsMax: 5,
    dropWatch: 0.02,
  }),
)
runStorageSuite('embedded', () => openEmbedded({ directory: join(parent, String(++opened)) }))
