// A process that writes to an embedded store until it is killed, and prints a line for every
// acknowledgement. Started by embedded-crash.test.ts and data-folder.test.ts: node
// writer-process.ts FOLDER WRITERS.

import { writeSync } from 'node:fs'
import { openEmbedded } from '../embedded.ts'

const [directory = '', writers = '0'] = process.argv.slice(2)
const backend = await openEmbedded({ directory, compaction: false })
writeSync(1, 'open\n')
if (writers === '0') setInterval(() => undefined, 60_000)
await Promise.all(Array.from({ length: Number(writers) }, (_, i) => write(`/writer/${i}`)))

/** Counts up under one key, for ever. */
async function write(key: string): Promise<void> {
  const { entry } = await backend.get(key)
  let ifRevision = entry?.revision ?? 0
  let count = entry === undefined ? 0 : Number.parseInt(Buffer.from(entry.value).toString(), 10)
  for (;;) {
    count++
    ifRevision = await backend.put(key, Buffer.from(`${count} ${'x'.repeat(1500)}`), { ifRevision })
    // Not process.stdout: a line must be out before the next write begins.
    writeSync(1, `${key} ${count} ${ifRevision}\n`)
  }
}
