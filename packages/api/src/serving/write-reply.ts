// Writes a Reply to an HTTP response: bytes at once, lists chunk by chunk with back-pressure, watches as a Sink.
// Called by server.ts; both HTTP/1.1 and HTTP/2 responses come through here.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Readable } from 'node:stream'
import { createGzip, gzip } from 'node:zlib'
import { abandon, type Incoming, type Reply, type Sink } from './exchange.ts'
import { cutUnread, drained } from './unread.ts'

export type AnyResponse = Http2ServerResponse | ServerResponse

/** Ref: apiserver/pkg/endpoints/handlers/responsewriters/writers.go defaultGzipThresholdBytes */
const GZIP_BYTES_MIN = 128 * 1024
/** Level 1, as upstream: a list shrinks to a third in 6 ms per MiB; higher levels cost more than the bytes are worth. */
const GZIP = { level: 1 }

interface WriteOptions {
  readonly request: Incoming
  readonly response: AnyResponse
  readonly reply: Reply
  /** Aborted when the server shuts down: streams end. */
  readonly draining: AbortSignal
  /** False: no request can follow on this HTTP/1.1 connection. HTTP/2 has its goaway. */
  readonly isReusable: boolean
  /** How long a client may read nothing of a large answer. */
  readonly unreadMs: number
}

/** Resolves when the answer has been handed to the socket; a stream's answer resolves once it has started. */
export async function writeReply({
  request,
  response,
  reply,
  draining,
  isReusable,
  unreadMs,
}: WriteOptions): Promise<void> {
  if (isGone(response)) return abandon(reply)
  if (!isReusable && !('stream' in response)) response.setHeader('connection', 'close')
  const { body } = reply
  if (body.type === 'stream') {
    sendHead(response, reply, {})
    if (request.method === 'HEAD') {
      abandon(reply)
      response.end()
    } else body.start(responseSink(response, draining))
    return
  }
  if (body.type === 'piped') return pipe(response, reply, body.source, draining)
  if (body.type === 'chunks')
    return await writeChunks({ request, response, reply, unreadMs }, body.chunks)
  const bytes = typeof body.bytes === 'string' ? Buffer.from(body.bytes) : body.bytes
  if (bytes.length >= GZIP_BYTES_MIN && wantsGzip(request))
    return sendGzipped({ response, reply, unreadMs }, bytes)
  sendHead(response, reply, { 'content-length': String(bytes.length) })
  if (request.method === 'HEAD') response.end()
  else response.end(bytes)
  cutUnread(response, unreadMs)
}

/** Whether the client has left. HTTP/2 has no word for it in a request or response, which once closed tells nobody any more. */
export function isGone(message: AnyResponse | Http2ServerRequest | IncomingMessage): boolean {
  if (!('stream' in message)) return message.destroyed
  // NOTE: Node lets go of the stream, whatever its types say.
  return (message.stream as { destroyed: boolean } | undefined)?.destroyed !== false
}

/** Bytes on loopback are free; compressing them is not. */
function wantsGzip(request: Incoming): boolean {
  const isLoopback = request.remoteAddress.startsWith('127.') || request.remoteAddress === '::1'
  return !isLoopback && (request.header('accept-encoding') ?? '').includes('gzip')
}

function sendHead(response: AnyResponse, reply: Reply, extra: Record<string, string>): void {
  const headers: Record<string, string | string[]> = {
    'cache-control': 'no-cache, private',
    'content-type': reply.contentType,
    ...reply.headers,
    ...extra,
  }
  if (reply.warnings !== undefined && reply.warnings.length > 0)
    headers.warning = [...reply.warnings]
  ;(response as ServerResponse).writeHead(reply.code, headers)
}

function sendGzipped(
  { response, reply, unreadMs }: Pick<WriteOptions, 'response' | 'reply' | 'unreadMs'>,
  bytes: Buffer,
): void {
  gzip(bytes, GZIP, (error, packed) => {
    if (error !== null) return void response.destroy(error)
    const length = String(packed.length)
    sendHead(response, reply, {
      'content-encoding': 'gzip',
      vary: 'Accept-Encoding',
      'content-length': length,
    })
    response.end(packed)
    cutUnread(response, unreadMs)
  })
}

async function writeChunks(
  { request, response, reply, unreadMs }: Omit<WriteOptions, 'draining' | 'isReusable'>,
  chunks: Iterable<Buffer>,
): Promise<void> {
  const packed = wantsGzip(request)
  sendHead(response, reply, packed ? { 'content-encoding': 'gzip', vary: 'Accept-Encoding' } : {})
  if (request.method === 'HEAD') return void response.end()
  const target = packed ? createGzip(GZIP) : (response as ServerResponse)
  if (packed) target.pipe(response as ServerResponse)
  for (const chunk of chunks) {
    if (isGone(response)) return
    if (!target.write(chunk)) await drained(target, response, unreadMs)
  }
  if (packed) target.once('end', () => cutUnread(response, unreadMs))
  target.end()
  if (!packed) cutUnread(response, unreadMs)
}

/** Resolves nothing: it goes on until one of the two ends. A source that breaks off must not look complete. */
function pipe(response: AnyResponse, reply: Reply, source: Readable, draining: AbortSignal): void {
  sendHead(response, reply, {})
  // A watch without events yet must still show its headers.
  if ('flushHeaders' in response) response.flushHeaders()
  const leave = (): void => {
    source.unpipe()
    source.destroy()
    response.end()
  }
  if (draining.aborted) leave()
  else draining.addEventListener('abort', leave)
  source.once('error', () => response.destroy())
  source.once('close', () => draining.removeEventListener('abort', leave))
  response.once('close', () => source.destroy())
  response.on('error', () => source.destroy())
  source.pipe(response as ServerResponse)
}

/** How long a client may take to read what is left of a stream that has ended. */
const LAST_BYTES_MS = 30_000

/** A client that does not read would hold the stream's bytes for as long as its connection lives. */
function endSoon(response: ServerResponse): void {
  const timer = setTimeout(() => response.destroy(), LAST_BYTES_MS)
  timer.unref()
  response.once('close', () => clearTimeout(timer))
  response.end()
}

function responseSink(response: AnyResponse, draining: AbortSignal): Sink {
  const ended = new AbortController()
  response.once('close', () => ended.abort())
  response.on('error', () => ended.abort())
  if (draining.aborted) ended.abort()
  else draining.addEventListener('abort', () => ended.abort(), { signal: ended.signal })
  // A watch without events yet must still show its headers, or the client cannot tell it from a stuck request.
  if ('flushHeaders' in response) response.flushHeaders()
  const stream = 'stream' in response ? response.stream : response
  return {
    write: frame => (response as ServerResponse).write(frame),
    get pendingBytes() {
      return stream.writableLength
    },
    end: () => endSoon(response as ServerResponse),
    signal: ended.signal,
  }
}
