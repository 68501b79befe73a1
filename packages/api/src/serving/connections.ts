// Every connection of the listener, so that some can be refused, cut or ended. Called by server.ts.

import type { X509Certificate } from 'node:crypto'
import type { Http2SecureServer, ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Connection, PeerCertificate } from './exchange.ts'

export interface OpenConnections {
  /** Every TCP connection: one that has not begun its handshake holds the server open as well. */
  readonly raw: Set<Socket>
  readonly sockets: Set<Socket>
  readonly sessions: Set<ServerHttp2Session>
}

export interface ConnectionRules {
  /** More are cut before their handshake; 0: no limit. */
  readonly maxPerAddress: number
  /** Asked after each handshake; those it does not admit are cut before their first request. */
  readonly admits: (connection: Connection) => boolean
}

/** HTTP/2 shows its requests a stand-in for the socket, which has the socket's properties but is another object. */
const CONNECTION = Symbol('connection')
type Connected = TLSSocket & { [CONNECTION]?: Connection }

/** The connection that a socket carries; undefined before the handshake is over. */
export const connectionOf = (socket: Socket | undefined): Connection | undefined =>
  (socket as Connected | undefined)?.[CONNECTION]

/** Follows every connection of a server and cuts those that the rules do not let in. */
export function trackConnections(
  server: Http2SecureServer,
  { maxPerAddress, admits }: ConnectionRules,
): OpenConnections {
  const open: OpenConnections = { raw: new Set(), sockets: new Set(), sessions: new Set() }
  const counts = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    const { remoteAddress = '' } = socket
    const count = (counts.get(remoteAddress) ?? 0) + 1
    if (maxPerAddress > 0 && count > maxPerAddress) {
      socket.destroy()
      return
    }
    counts.set(remoteAddress, count)
    open.raw.add(socket)
    socket.once('close', () => {
      open.raw.delete(socket)
      leave(counts, remoteAddress)
    })
  })
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.setNoDelay(true)
    open.sockets.add(socket)
    socket.once('close', () => open.sockets.delete(socket))
    const connection = connectionOver(socket)
    ;(socket as Connected)[CONNECTION] = connection
    if (!admits(connection)) socket.destroy()
  })
  server.on('session', session => {
    open.sessions.add(session)
    session.once('close', () => open.sessions.delete(session))
  })
  return open
}

/** The certificate is read once: the handshake fixed it. */
function connectionOver(socket: TLSSocket): Connection {
  const certificate = socket.getPeerX509Certificate()
  const peer: PeerCertificate | undefined =
    certificate === undefined ? undefined : { der: certificate.raw, trusted: socket.authorized }
  return {
    peer,
    onClose: run => {
      if (socket.destroyed) run()
      else socket.once('close', run)
    },
  }
}

function leave(counts: Map<string, number>, address: string): void {
  const count = (counts.get(address) ?? 0) - 1
  if (count > 0) counts.set(address, count)
  else counts.delete(address)
}

/** Cuts the connections of clients whose certificate is such. */
export function cutSuch(
  { sockets }: OpenConnections,
  isSuch: (certificate: X509Certificate) => boolean,
): void {
  for (const socket of sockets) {
    const certificate = (socket as TLSSocket).getPeerX509Certificate?.()
    if (certificate !== undefined && isSuch(certificate)) socket.destroy()
  }
}

/** HTTP/1.1 keep-alive connections have no goaway: those without a request in flight are simply ended. */
function closeIdle(open: OpenConnections): void {
  for (const socket of open.sockets) {
    const { _httpMessage: busy } = socket as Socket & { _httpMessage?: unknown }
    const isHttp1 = (socket as TLSSocket).alpnProtocol !== 'h2'
    if (isHttp1 && (busy === undefined || busy === null)) socket.end()
  }
}

/** Stops accepting, ends what is idle and all streams, and cuts what is left after `graceMs`. */
export async function closeConnections(
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
