// Ends an HTTP/1.1 connection whose client may still be sending: closed at once, the kernel's reset would overtake the
// answer. Called by request-body.ts and client-error.ts. Ref: Go's net/http closeWriteAndWait

import type { Socket } from 'node:net'

/** As Go's: long enough for an answer that is on its way, too short to hold a connection with. */
const LINGER_MS = 500

/** Says that nothing more comes, and cuts the connection a little later. */
export function endSoon(socket: Socket, lastWords = ''): void {
  socket.end(lastWords)
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
}
