// Storage's guarantees on the in-memory engine.
import { openMemory } from './testing/memory.ts'
import { runStorageSuite } from './testing/storage-suite.ts'

runStorageSuite('memory', () => openMemory())
