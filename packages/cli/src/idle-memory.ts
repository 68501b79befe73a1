// Gives memory back after a burst: V8 keeps a grown heap until something asks it to collect, and an idle server asks for
// nothing. Started by up.ts.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** How often to look, and how long the server must have been quiet. */
const LOOK_MS = 2_000
/** Less garbage than this is not worth a collection (some 20 ms). */
const GROWTH_BYTES_MIN = 8 * 1024 * 1024
/** Requests since the last look that still count as quiet: probes and leases. */
const QUIET_REQUESTS_MAX = 4

/** `requests` counts those served so far. Ends by itself with the process. */
export function collectWhenIdle(requests: () => number): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options: object) => void
  let seen = requests()
  let settled = 0
  const timer = setInterval(() => {
    const now = requests()
    const quiet = now - seen <= QUIET_REQUESTS_MAX
    seen = now
    if (!quiet || process.memoryUsage().heapUsed < settled + GROWTH_BYTES_MIN) return
    // The last resort drops compiled code and feedback of functions that ran once, and unmaps what is free.
    collect({ type: 'major', flavor: 'last-resort' })
    settled = process.memoryUsage().heapUsed
  }, LOOK_MS)
  timer.unref()
}
