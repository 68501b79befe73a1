// The body of a request, bounded in bytes, and what becomes of the part that nobody reads. Called by server.ts; its time
// is bounded by the deadline in handler-chain.ts, whose answer ends the stream. Ref: Go's net/http (*chunkWriter).writeHeader

import type { IncomingMessage } from 'node:http'
import { constants, type Http2ServerRequest, type ServerHttp2Stream } from 'node:http2'
import { requestEntityTooLarge } from '@podless/apimachinery'
import { BODY_BYTES_MAX } from '../config.ts'
import { CLIENT_GONE } from './exchange.ts'
import { endSoon } from './linger.ts'
import { isGone } from './write-reply.ts'

export type AnyRequest = Http2ServerRequest | IncomingMessage

/** As Go's: so much of an unread body is thrown away to keep its HTTP/1.1 connection. */
const DISCARD_BYTES_MAX = 256 * 1024
/** Clients that are still sending have about this long until their refusal is written. */
const DISCARD_MS_MAX = 500
/** No event tells that an HTTP/2 answer's last frame has left; most have in the same turn. */
const SENT_POLL_MS = 5

/** The whole body. Reads no further than the limit: 413 over it. Rejects with CLIENT_GONE when the rest never comes. */
export function readBody(request: AnyRequest): Promise<Buffer> {
  // Nothing more is told of a request whose client left before anybody asked for its body.
  if (isGone(request)) return Promise.reject(CLIENT_GONE)
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  let size = 0
  const take = (chunk: Buffer): void => {
    size += chunk.length
    chunks.push(chunk)
    if (size <= BODY_BYTES_MAX) return
    request.off('data', take)
    request.pause()
    chunks.length = 0
    reject(requestEntityTooLarge(`limit is ${BODY_BYTES_MAX}`))
  }
  request.on('data', take)
  request.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
  const leave = (): void => reject(CLIENT_GONE)
  request.once('error', leave)
  request.once('close', leave)
  return promise
}

/**
 * Called before an answer is written: sees to a body that has not come to its end. True when the connection can carry
 * another request. An HTTP/2 stream is closed after its answer, which asks the client to stop.
 */
export function leaveBody(request: AnyRequest): boolean | Promise<boolean> {
  if ('stream' in request) {
    const { stream } = request
    if (isGone(request) || stream.endAfterHeaders || request.complete) return true
    stream.once('finish', () => closeOnceSent(stream))
    return true
  }
  return request.complete || request.destroyed || endUnread(request)
}

async function endUnread(request: IncomingMessage): Promise<boolean> {
  if (await discard(request)) return true
  const { socket } = request
  // Node calls this when an answer was the connection's last.
  socket.destroySoon = () => endSoon(socket)
  return false
}

/** A reset overtakes the answer's last frame, and a client that gets it first has no answer. */
function closeOnceSent(stream: ServerHttp2Stream): void {
  if (stream.destroyed || stream.closed) return
  if (stream.state.localClose === 1) stream.close(constants.NGHTTP2_NO_ERROR)
  else setTimeout(closeOnceSent, SENT_POLL_MS, stream).unref()
}

/** Throws away what comes. False when it is too much or too slow. */
async function discard(request: IncomingMessage): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  let left = DISCARD_BYTES_MAX
  const take = (chunk: Buffer): void => {
    left -= chunk.length
    if (left < 0) resolve(false)
  }
  const end = (): void => resolve(true)
  // What came while this process had no turn is looked at before the verdict.
  const timer = setTimeout(() => setImmediate(resolve, false), DISCARD_MS_MAX)
  request.on('data', take).once('end', end).once('close', end).resume()
  const isOver = await promise
  clearTimeout(timer)
  request.off('data', take).off('end', end).off('close', end)
  if (!isOver) request.pause()
  return isOver
}
