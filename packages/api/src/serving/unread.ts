// Answers that their clients do not read: each holds its bytes, and a list the objects it is made of, for as long as its
// connection lives. Called by write-reply.ts. Ref: apiserver/pkg/server/filters/timeout.go, which gives an answer as long in all

import type { AnyResponse } from './write-reply.ts'

/** How long a client may read nothing at all. */
export const UNREAD_MS = 60_000
/** Less than this is in the kernel's buffers in no time. */
const LARGE_BYTES = 64 * 1024

/** Resolves when `target`, which the response is written by, takes more, or the client has left. Cuts one that reads nothing. */
export async function drained(
  target: NodeJS.WritableStream,
  response: AnyResponse,
  unreadMs: number,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(() => response.destroy(), unreadMs)
  timer.unref()
  target.once('drain', resolve)
  response.once('close', resolve)
  await promise
  clearTimeout(timer)
  target.off('drain', resolve)
  response.off('close', resolve)
}

/** Called once all of an answer is written: cuts a client that stops reading what waits for it. */
export function cutUnread(response: AnyResponse, unreadMs: number): void {
  let before = waitingBytes(response)
  if (before < LARGE_BYTES) return
  const timer = setInterval(() => {
    const left = waitingBytes(response)
    if (left >= before) response.destroy()
    before = left
  }, unreadMs)
  timer.unref()
  response.once('close', () => clearInterval(timer))
}

/** NOTE: an HTTP/2 response lets go of its stream once that is closed, whatever its types say. */
function waitingBytes(response: AnyResponse): number {
  if (!('stream' in response)) return response.writableLength
  return (response.stream as { writableLength: number } | undefined)?.writableLength ?? 0
}
