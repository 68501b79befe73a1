// Gives memory back after a burst: V8 keeps a grown heap until something asks it to collect, and an idle server asks for
// nothing. Started by up.ts.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const LOOK_MS = 2_000
/** Looks in a row that must be quiet: after a few requests, and after a burst, which has compiled its code. */
const QUIET_LOOKS = { afterFew: 1, afterBurst: 30 }
/** As many requests since the last collection are a burst. */
const BURST_REQUESTS_MIN = 1_000
/** Less garbage than this is not worth a collection (some 20 ms). */
const GROWTH_BYTES_MIN = 8 * 1024 * 1024
/** Requests since the last look that still count as quiet: probes and leases. */
const QUIET_REQUESTS_MAX = 4

/** `requests` counts those served so far. Ends by itself with the process. */
export function collectWhenIdle(requests: () => number): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options: object) => void
  let seen = requests()
  let quietLooks = 0
  let settled = { heap: 0, requests: 0 }
  const timer = setInterval(() => {
    const now = requests()
    quietLooks = now - seen <= QUIET_REQUESTS_MAX ? quietLooks + 1 : 0
    seen = now
    const isBurst = now - settled.requests >= BURST_REQUESTS_MIN
    if (quietLooks < (isBurst ? QUIET_LOOKS.afterBurst : QUIET_LOOKS.afterFew)) return
    if (process.memoryUsage().heapUsed < settled.heap + GROWTH_BYTES_MIN) return
    // The last resort drops compiled code and feedback as well, and unmaps what is free: what comes next runs at half the
    // speed until it is compiled again.
    collect({ type: 'major', flavor: 'last-resort' })
    settled = { heap: process.memoryUsage().heapUsed, requests: now }
  }, LOOK_MS)
  timer.unref()
}
