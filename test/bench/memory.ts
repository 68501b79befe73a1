// Resident memory of `./podless up`: idle with the 15 Istio CRDs, and with 40 watches open besides.
// Called by run.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import { CRDS, noManifestsReason } from '../conformance/istiod/mesh-files.ts'
import { missingPrograms } from '../harness/child-process.ts'
import { apply, openWatches, report, residentMib, withServer } from './measure.ts'

const SETTLE_MS = 10_000
const WATCHES = 40

export async function memory(): Promise<void> {
  const missing = noManifestsReason() || missingPrograms('kubectl')
  if (missing) return report('memory', { skipped: missing })
  await withServer('embedded', async ({ server, client }) => {
    const { pid } = server.child
    const fresh = await residentMib(pid)
    await apply(server, CRDS)
    await sleep(SETTLE_MS)
    const idle = await residentMib(pid)
    const streams = await openWatches(client, WATCHES)
    await sleep(SETTLE_MS)
    const watched = await residentMib(pid)
    for (const stream of streams) stream.close()
    report('memory', { justStarted: fresh, idleWithCrds: idle, with40Watches: watched })
  })
}
