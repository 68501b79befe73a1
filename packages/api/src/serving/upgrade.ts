// HTTP upgrades: a watch over WebSocket is served, anything else gets an ordinary answer on the raw socket.
// Called by server.ts. Ref: apiserver/pkg/endpoints/handlers/watch.go HandleWS

import type { IncomingMessage } from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { WebSocket, WebSocketServer } from 'ws'
import { selectableProtocols } from '../auth/authenticate.ts'
import { abandon, type Incoming, type Reply, type Sink } from './exchange.ts'

interface UpgradeOptions {
  readonly request: IncomingMessage
  readonly socket: Socket
  readonly head: Buffer
  readonly incoming: Incoming
  readonly handle: (request: Incoming) => Promise<Reply>
  readonly draining: AbortSignal
}

/** Control frames and close reasons only: a watch client has nothing to say. */
const CLIENT_MESSAGE_BYTES_MAX = 4096

let sockets: WebSocketServer | undefined

async function webSocketServer(): Promise<WebSocketServer> {
  const { WebSocketServer: Server } = await import('ws')
  sockets ??= new Server({
    noServer: true,
    maxPayload: CLIENT_MESSAGE_BYTES_MAX,
    handleProtocols: (_offered, request) =>
      selectableProtocols(request.headers['sec-websocket-protocol'])[0] ?? false,
  })
  return sockets
}

/** Runs the request and answers it on the upgraded connection. Never throws. */
export function acceptUpgrade(options: UpgradeOptions): void {
  const { socket } = options
  socket.on('error', () => socket.destroy())
  serve(options).catch(() => socket.destroy())
}

async function serve({
  request,
  socket,
  head,
  incoming,
  handle,
  draining,
}: UpgradeOptions): Promise<void> {
  const reply = await handle(incoming)
  const isWebSocket = (request.headers.upgrade ?? '').toLowerCase() === 'websocket'
  if (reply.body.type !== 'stream' || !isWebSocket) {
    abandon(reply)
    return writeRaw(socket, reply)
  }
  const { start } = reply.body
  const server = await webSocketServer()
  let isStarted = false
  server.handleUpgrade(request, socket, head, webSocket => {
    isStarted = true
    start(webSocketSink(webSocket, draining))
  })
  // A handshake that is refused, or whose client has left, never calls back.
  if (!isStarted) abandon(reply)
}

function writeRaw(socket: Socket, reply: Reply): void {
  const { body } = reply
  const bytes = body.type === 'bytes' ? Buffer.from(body.bytes) : Buffer.alloc(0)
  const code = body.type === 'bytes' ? reply.code : 400
  const head = [
    `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? ''}`,
    `Content-Type: ${reply.contentType}`,
    `Content-Length: ${bytes.length}`,
    'Connection: close',
    ...Object.entries(reply.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
  ]
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes]))
}

function webSocketSink(webSocket: WebSocket, draining: AbortSignal): Sink {
  const ended = new AbortController()
  webSocket.once('close', () => ended.abort())
  webSocket.on('error', () => webSocket.terminate())
  if (draining.aborted) ended.abort()
  else draining.addEventListener('abort', () => ended.abort(), { signal: ended.signal })
  return {
    write: frame => {
      webSocket.send(frame.subarray(0, textLength(frame)), { binary: false })
      return webSocket.bufferedAmount === 0
    },
    get pendingBytes() {
      return webSocket.bufferedAmount
    },
    end: () => webSocket.close(1000),
    signal: ended.signal,
  }
}

/** A message is one event: the line end that separates events in a chunked stream is left out. */
function textLength(frame: Buffer): number {
  return frame.at(-1) === 0x0a ? frame.length - 1 : frame.length
}
