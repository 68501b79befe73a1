// The in-memory backend passes the same suite as the engines, also with a watch queue so small that
// it always overflows.

import { manualTime } from './manual-time.ts'
import { openMemory } from './memory.ts'
import { runBackendSuite } from './suite.ts'

runBackendSuite('memory', async () => {
  const time = manualTime()
  const backend = openMemory({ now: time.now, every: time.every })
  return { backend, advance: seconds => time.advance(seconds * 1000) }
})

runBackendSuite('memory with tiny watch queues', async () => {
  const time = manualTime()
  const { now, every } = time
  const backend = openMemory({ now, every, queueBytesMax: 1000, replayRecords: 3 })
  return { backend, advance: seconds => time.advance(seconds * 1000) }
})
