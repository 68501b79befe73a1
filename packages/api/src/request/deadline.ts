// How long a request may take: what its `timeout` parameter says, and never longer than the server allows.
// Called by handler-chain.ts for everything but watches. Ref: apiserver/pkg/endpoints/filters/request_deadline.go,
// apiserver/pkg/server/filters/timeout.go

import { parseTimeoutMs, timeout } from '@podless/apimachinery'
import { REQUEST_TIMEOUT_MS } from '../config.ts'
import type { Incoming, Reply } from '../serving/exchange.ts'

const OVERDUE = 'request did not complete within the allotted timeout'

/** Milliseconds that a request gets. Zero and less ask for nothing in particular. Throws 400. */
export function deadlineOf(query: URLSearchParams): number {
  const asked = parseTimeoutMs(query) ?? 0
  return asked > 0 ? Math.min(asked, REQUEST_TIMEOUT_MS) : REQUEST_TIMEOUT_MS
}

/** What `run` answers, or 504 once the time is over; what still works on it is told to stop. */
export function inTime(
  request: Incoming,
  limitMs: number,
  run: () => Promise<Reply>,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const error = timeout(OVERDUE, 0)
      reject(error)
      request.abort(error)
    }, limitMs)
    timer.unref()
    run().then(
      reply => {
        clearTimeout(timer)
        resolve(reply)
      },
      error => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}
