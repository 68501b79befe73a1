// How cost grows with watchers: the server's memory and its CPU time for an event with 250 to 2,000 watches of one type.
// Called by run.ts; calls load-work.ts.

import { defineLoads, LOADS, loadObject, must } from './load-work.ts'
import { cpuMicros, memoryOf, report, withServer } from './measure.ts'
import { openWire } from './wire.ts'

const STEPS = [250, 500, 1_000, 2_000]
const EVENTS = 50
const NEWLINE = 10
/** Each watch is a connection of its own, and one more sends the changes. */
const LIMITS = ['--max-connections-per-address', '4000', '--max-watches-per-user', '4000']

export async function watches(): Promise<void> {
  await withServer(
    'embedded',
    async ({ server }) => {
      const { pid } = server.child
      const client = await openWire(server.kubeconfig)
      await defineLoads(client)
      await must(client, { method: 'POST', path: LOADS, body: loadObject('busy', 0) })
      const before = await memoryOf(pid)
      let open = 0
      let frames = 0
      let onFrame = (): void => undefined
      const count = (bytes: Buffer): void => {
        for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) frames++
        onFrame()
      }
      for (const step of STEPS) {
        while (open < step) {
          await Promise.all(
            Array.from({ length: 50 }, () => client.watch(`${LOADS}?watch=true`, count)),
          )
          open += 50
        }
        const { anonMib } = await memoryOf(pid)
        const kibPerWatch = Math.round(((anonMib - before.anonMib) * 1024) / open)
        const wanted = frames + open * EVENTS
        const all = Promise.withResolvers<void>()
        onFrame = () => {
          if (frames >= wanted) all.resolve()
        }
        const cpu = await cpuMicros(pid)
        for (let i = 0; i < EVENTS; i += 1)
          await must(client, {
            method: 'PATCH',
            path: `${LOADS}/busy`,
            body: { spec: { n: open + i } },
            contentType: 'application/merge-patch+json',
          })
        await all.promise
        const eventUs = ((await cpuMicros(pid)) - cpu) / (open * EVENTS)
        report('watches', { open, kibPerWatch, eventUs: Math.round(eventUs * 10) / 10 })
      }
      client.close()
    },
    LIMITS,
  )
}
