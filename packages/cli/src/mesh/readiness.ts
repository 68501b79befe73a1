// Waiting for conditions, free ports and short HTTP questions. Called by up.ts and detach.ts.

import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { CliError, EXIT } from '../exit.ts'

const POLL_MS = 50
const ANSWER_MS_MAX = 10_000

export interface WaitOptions {
  readonly signal: AbortSignal
  readonly timeoutMs: number
  /** Makes the error when the time is over; `last` is what the last try failed with. */
  readonly failure?: (last: unknown) => Promise<CliError> | CliError
}

/** Polls until `probe` finds something. What it throws counts as not yet. */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined>,
  { signal, timeoutMs, failure }: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  let last: unknown
  while (performance.now() < deadline) {
    signal.throwIfAborted()
    try {
      const found = await probe()
      if (found !== undefined) return found
    } catch (error) {
      last = error
    }
    await sleep(POLL_MS)
  }
  if (failure !== undefined) throw await failure(last)
  throw new CliError(EXIT.unavailable, `${what}: not within ${timeoutMs / 1_000} s`, {
    cause: last,
  })
}

/** Ports nobody listens on, all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      server.listen(0)
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map(server => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map(server => once(server.close(), 'close')))
  return ports
}

/** True when a GET is answered with 2xx. Throws when nobody answers. */
export async function answersOk(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) })
  await response.arrayBuffer()
  return response.ok
}

/** The JSON of an answer, whatever its code. */
export async function getJson(url: string): Promise<unknown> {
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) })
  return await response.json()
}
