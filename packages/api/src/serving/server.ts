// The edge: TLS sockets, HTTP/1.1, HTTP/2 and WebSocket. Turns them into Incoming and Reply for handler-chain.ts and
// knows nothing of Kubernetes. cli starts it. Ref: apiserver/pkg/server/secure_serving.go

import type { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { CONCURRENT_STREAMS_MAX, HEADER_BYTES_MAX, LISTEN_BACKLOG } from '../config.ts'
import { answerClientError } from './client-error.ts'
import { closeConnections, connectionOf, cutSuch, trackConnections } from './connections.ts'
import { CLIENT_GONE, type Connection, type Incoming, type Reply } from './exchange.ts'
import { type AnyRequest, leaveBody, readBody } from './request-body.ts'
import { UNREAD_MS } from './unread.ts'
import { acceptUpgrade } from './upgrade.ts'
import { type AnyResponse, isGone, writeReply } from './write-reply.ts'

/** As Go's net/http. */
const KEEP_ALIVE_MS = 3 * 60 * 1000
/** Idle connections end after upstream's time, not after Node's five seconds, when clients may be about to reuse them. */
const HTTP1_OPTIONS = { keepAliveTimeout: 90_000, maxHeaderSize: HEADER_BYTES_MAX }

export interface ListenOptions {
  readonly bind: string
  readonly port: number
  readonly tls: TlsMaterial
  /** Connections from one address; more are cut. Default: no limit. */
  readonly connectionsPerAddressMax?: number
  /** Asked after each handshake; a connection it does not admit is cut before its first request. Default: all are. */
  readonly admits?: (connection: Connection) => boolean
  /** How long a client may read nothing of a large answer; default: UNREAD_MS. */
  readonly unreadMs?: number
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
  connectionsPerAddressMax: maxPerAddress = 0,
  admits = () => true,
  unreadMs = UNREAD_MS,
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
    http1Options: HTTP1_OPTIONS,
  })
  // NOTE: Node takes this as an option of its other servers only.
  Object.assign(server, { shouldUpgradeCallback: isWebSocket })
  const open = trackConnections(server, { maxPerAddress, admits })
  const draining = new AbortController()
  server.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
    answer({ request, response, draining: draining.signal, unreadMs }, handle).catch(
      (error: unknown) => {
        response.destroy()
        onAnswerError(error)
      },
    )
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
    answerClientError(error, socket)
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
    cut: isSuch => cutSuch(open, isSuch),
    close: graceMs => closeConnections(server, open, draining, graceMs),
  }
}

/** As Go's, the server does not see any other offer to upgrade: Node would not read the body of such a request. */
function isWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket'
}

async function started(server: Http2SecureServer, bind: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen({ host: bind, port, backlog: LISTEN_BACKLOG }, resolve)
  await promise
  server.off('error', reject)
}

interface Exchange {
  readonly request: AnyRequest
  readonly response: AnyResponse
  readonly draining: AbortSignal
  readonly unreadMs: number
}

async function answer(
  { request, response, draining, unreadMs }: Exchange,
  handle: ListenOptions['handle'],
): Promise<void> {
  const incoming = incomingOf(request, response)
  const reply = await handle(incoming)
  const left = leaveBody(request)
  const isKept = reply.isLast !== true && !draining.aborted
  const isReusable = (left === true || (await left)) && isKept
  await writeReply({ request: incoming, response, reply, draining, isReusable, unreadMs })
  if (reply.isLast === true && 'stream' in request) request.stream.session?.close()
}

function incomingOf(request: AnyRequest, response?: AnyResponse): Incoming {
  const { headers } = request
  const socket = socketOf(request)
  // Read while it is there: once the client has left, HTTP/2's stand-in for the socket throws whatever it is asked.
  const connection = connectionOf(socket)
  let work: AbortController | undefined
  let stopped: Error | undefined
  return {
    method: request.method ?? 'GET',
    target: request.url ?? '/',
    header: name => {
      const value = headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    },
    headersWithPrefix: prefix => headersWithPrefix(request, prefix),
    body: () => readBody(request),
    peer: connection?.peer,
    connection,
    remoteAddress: socket.remoteAddress ?? '',
    get signal() {
      if (work === undefined) {
        work = new AbortController()
        if (stopped === undefined) followClient(work, request, response)
        else work.abort(stopped)
      }
      return work.signal
    },
    abort: reason => {
      stopped ??= reason
      work?.abort(stopped)
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

/** A signal that follows the client; made only for requests that ask for it. */
function followClient(
  controller: AbortController,
  request: AnyRequest,
  response: AnyResponse | undefined,
): void {
  const leave = (): void => controller.abort(CLIENT_GONE)
  if (response !== undefined && isGone(response)) leave()
  else (response ?? request).once('close', leave)
}
