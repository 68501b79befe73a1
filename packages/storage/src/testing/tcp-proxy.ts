// A TCP proxy that fails on command: cuts connections, refuses new ones, or swallows what the
// server answers.
// Called by tests that need an engine's connection, not its server, to break.

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface TcpProxy {
  readonly port: number
  /** Bytes that came from the server since the start. */
  readonly receivedBytes: number
  /** Ends all connections; with `refuse`, also new ones until mend(). */
  cut(options?: { refuse?: boolean }): void
  /** From now on, what the server answers is thrown away, until mend(). */
  swallow(): void
  /** Cuts, once, when this many more bytes have come from the server. */
  cutAfter(bytes: number): void
  mend(): void
  close(): Promise<void>
}

/** Forwards a free loopback port to `target`, a loopback port. */
export async function startTcpProxy(target: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let isRefusing = false
  let isSwallowing = false
  let receivedBytes = 0
  let cutAt = Number.POSITIVE_INFINITY

  function cut({ refuse = false } = {}): void {
    isRefusing ||= refuse
    for (const socket of sockets) socket.destroy()
  }

  function track(socket: Socket): void {
    sockets.add(socket)
    socket.setNoDelay()
    // An error is followed by close, which is all that matters here.
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  }

  const server = createServer(client => {
    if (isRefusing) {
      client.destroy()
      return
    }
    const upstream = connect(target, '127.0.0.1')
    track(client)
    track(upstream)
    client.on('data', chunk => upstream.write(chunk))
    upstream.on('data', chunk => {
      receivedBytes += chunk.length
      if (!isSwallowing) client.write(chunk)
      if (receivedBytes < cutAt) return
      cutAt = Number.POSITIVE_INFINITY
      cut()
    })
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')

  return {
    port: address.port,
    get receivedBytes() {
      return receivedBytes
    },
    cut,
    swallow: () => {
      isSwallowing = true
    },
    cutAfter: bytes => {
      cutAt = receivedBytes + bytes
    },
    mend: () => {
      isRefusing = false
      isSwallowing = false
    },
    close: async () => {
      cut({ refuse: true })
      server.close()
      await once(server, 'close')
    },
  }
}
