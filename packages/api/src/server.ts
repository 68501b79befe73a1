// The edge: TLS sockets, HTTP/1.1, HTTP/2 and WebSocket. Turns them into Incoming and Reply for handler-chain.ts and
// knows nothing of Kubernetes but the body limit. cli starts it. Ref: apiserver/pkg/server/secure_serving.go

import type { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { requestEntityTooLarge } from '@podless/apimachinery'
import {
  BODY_BYTES_MAX,
  CONCURRENT_STREAMS_MAX,
  LISTEN_BACKLOG,
  REQUEST_TIMEOUT_MS,
} from './config.ts'
import type { Incoming, PeerCertificate, Reply } from './exchange.ts'
import { acceptUpgrade } from './upgrade.ts'
import { type AnyResponse, writeReply } from './write-reply.ts'

type AnyRequest = Http2ServerRequest | IncomingMessage

/** As Go's net/http. */
const KEEP_ALIVE_MS = 3 * 60 * 1000

export interface ListenOptions {
  readonly bind: string
  readonly port: number
  readonly tls: TlsMaterial
  readonly handle: (request: Incoming) => Promise<Reply>
  /** A failure of one connection, for the debug log. */
  readonly onClientError: (error: Error) => void
  /** An answer that could not be written: its connection is cut, and every other goes on. */
  readonly onAnswerError: (error: unknown) => void
}

export interface TlsMaterial {
  readonly key: string
  readonly cert: string
  /** PEM of the CAs whose client certificates are trusted. */
  readonly clientCa: string
}

export interface Listener {
  readonly port: number
  readonly address: string
  /** New connections use this certificate; open ones go on. */
  replaceTls(tls: TlsMaterial): void
  /** Cuts the connections of clients whose certificate is such. */
  cut(isSuch: (certificate: X509Certificate) => boolean): void
  /** Stops accepting, ends watches cleanly, lets requests in flight finish, at most `graceMs`. */
  close(graceMs: number): Promise<void>
}

/** Starts listening. Rejects with the socket's error (EADDRINUSE, EACCES) when it cannot. */
export async function listen({
  bind,
  port,
  tls,
  handle,
  onClientError,
  onAnswerError,
}: ListenOptions): Promise<Listener> {
  const server = createSecureServer({
    key: tls.key,
    cert: tls.cert,
    ca: tls.clientCa,
    requestCert: true,
    rejectUnauthorized: false,
    allowHTTP1: true,
    minVersion: 'TLSv1.2',
    // A peer that lost its power says no goodbye: its idle connection would stay for ever.
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    settings: { maxConcurrentStreams: CONCURRENT_STREAMS_MAX },
  })
  const open = trackConnections(server)
  const draining = new AbortController()
  server.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
    answer(request, response, handle, draining.signal).catch((error: unknown) => {
      response.destroy()
      onAnswerError(error)
    })
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    acceptUpgrade({
      request,
      socket,
      head,
      incoming: incomingOf(request),
      handle,
      draining: draining.signal,
    })
  })
  server.on('sessionError', onClientError)
  server.on('tlsClientError', onClientError)
  server.on('clientError', (error: Error, socket: Socket) => {
    onClientError(error)
    socket.destroy()
  })
  await started(server, bind, port)
  // A connection that cannot be accepted (no file descriptor left) is no reason to end.
  server.on('error', onClientError)
  const address = server.address() as AddressInfo
  return {
    port: address.port,
    address: address.address,
    replaceTls: next =>
      server.setSecureContext({ key: next.key, cert: next.cert, ca: next.clientCa }),
    cut: isSuch => {
      for (const socket of open.sockets) {
        const certificate = (socket as TLSSocket).getPeerX509Certificate?.()
        if (certificate !== undefined && isSuch(certificate)) socket.destroy()
      }
    },
    close: graceMs => close(server, open, draining, graceMs),
  }
}

async function started(server: Http2SecureServer, bind: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen({ host: bind, port, backlog: LISTEN_BACKLOG }, resolve)
  await promise
  server.off('error', reject)
}

interface OpenConnections {
  /** Every TCP connection: one that has not begun its handshake holds the server open as well. */
  readonly raw: Set<Socket>
  readonly sockets: Set<Socket>
  readonly sessions: Set<ServerHttp2Session>
}

function trackConnections(server: Http2SecureServer): OpenConnections {
  const open: OpenConnections = { raw: new Set(), sockets: new Set(), sessions: new Set() }
  server.on('connection', (socket: Socket) => {
    open.raw.add(socket)
    socket.once('close', () => open.raw.delete(socket))
  })
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.setNoDelay(true)
    open.sockets.add(socket)
    socket.once('close', () => open.sockets.delete(socket))
  })
  server.on('session', session => {
    open.sessions.add(session)
    session.once('close', () => open.sessions.delete(session))
  })
  return open
}

async function close(
  server: Http2SecureServer,
  open: OpenConnections,
  draining: AbortController,
  graceMs: number,
): Promise<void> {
  const closed = Promise.withResolvers<void>()
  server.close(() => closed.resolve())
  draining.abort()
  for (const session of open.sessions) session.close()
  closeIdle(open)
  const timer = setTimeout(() => {
    for (const socket of [...open.sockets, ...open.raw]) socket.destroy()
  }, graceMs)
  await closed.promise
  clearTimeout(timer)
}

/** HTTP/1.1 keep-alive connections have no goaway: those without a request in flight are simply ended. */
function closeIdle(open: OpenConnections): void {
  for (const socket of open.sockets) {
    const { _httpMessage: busy } = socket as Socket & { _httpMessage?: unknown }
    const isHttp1 = (socket as TLSSocket).alpnProtocol !== 'h2'
    if (isHttp1 && (busy === undefined || busy === null)) socket.end()
  }
}

async function answer(
  request: AnyRequest,
  response: AnyResponse,
  handle: ListenOptions['handle'],
  draining: AbortSignal,
): Promise<void> {
  const incoming = incomingOf(request, response)
  const reply = await handle(incoming)
  await writeReply({ request: incoming, response, reply, draining })
}

function incomingOf(request: AnyRequest, response?: AnyResponse): Incoming {
  const { headers } = request
  const socket = socketOf(request)
  let signal: AbortSignal | undefined
  return {
    method: request.method ?? 'GET',
    target: request.url ?? '/',
    header: name => {
      const value = headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    },
    headersWithPrefix: prefix => headersWithPrefix(request, prefix),
    body: () => readBody(request),
    get peer() {
      return peerOf(request, socket)
    },
    remoteAddress: socket.remoteAddress ?? '',
    get signal() {
      signal ??= requestSignal(request, response)
      return signal
    },
  }
}

function socketOf(request: AnyRequest): TLSSocket {
  return (
    'stream' in request && request.stream.session ? request.stream.session.socket : request.socket
  ) as TLSSocket
}

function headersWithPrefix(
  request: AnyRequest,
  prefix: string,
): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  const { rawHeaders } = request
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    if (!name.startsWith(prefix)) continue
    const values = found.get(name) ?? []
    values.push(rawHeaders[i + 1]!)
    found.set(name, values)
  }
  return found
}

async function readBody(request: AnyRequest): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= BODY_BYTES_MAX) chunks.push(chunk)
  }
  if (size > BODY_BYTES_MAX) throw requestEntityTooLarge(`limit is ${BODY_BYTES_MAX}`)
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}

/** One certificate per connection, read once: the handshake fixed it. */
const peers = new WeakMap<object, { peer: PeerCertificate | undefined }>()

function peerOf(request: AnyRequest, socket: TLSSocket): PeerCertificate | undefined {
  const connection = 'stream' in request && request.stream.session ? request.stream.session : socket
  const known = peers.get(connection)
  if (known !== undefined) return known.peer
  const certificate = socket.getPeerX509Certificate?.()
  const peer =
    certificate === undefined ? undefined : { der: certificate.raw, trusted: socket.authorized }
  peers.set(connection, { peer })
  return peer
}

// One reason for all: making a DOMException for every finished request costs more than routing it.
const GONE = new Error('the client is gone')
const OVERDUE = new Error('the request took too long')

/** Aborts when the client leaves or the deadline passes; made only for requests that ask for it. */
function requestSignal(request: AnyRequest, response: AnyResponse | undefined): AbortSignal {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(OVERDUE), REQUEST_TIMEOUT_MS)
  timer.unref()
  ;(response ?? request).once('close', () => {
    clearTimeout(timer)
    controller.abort(GONE)
  })
  return controller.signal
}
