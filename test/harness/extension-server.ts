// An extension API server for tests: real TLS on a port of its own, and whatever answers its test gives. It asks for client
// certificates, and believes what the front proxy says. Used by tests of aggregation.

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createServingCertificate, type Issuer } from '../../packages/identity/src/index.ts'

export interface ExtensionServer {
  readonly port: number
  /** Requests of clients that were passed on, in order; what the system asks for itself is left out. */
  readonly passed: IncomingMessage[]
  close(): Promise<void>
}

/** Common name of the certificate that came with a request. */
export const showing = ({ socket }: IncomingMessage): unknown =>
  (socket as TLSSocket).getPeerCertificate().subject?.CN

/** Serves as NAME.NAMESPACE.svc; `authority` signs its certificate and is whom it trusts. */
export async function startExtensionServer(options: {
  readonly name: string
  readonly authority: Issuer
  readonly answer: (request: IncomingMessage, response: ServerResponse) => void
}): Promise<ExtensionServer> {
  const { name, authority, answer } = options
  const serving = createServingCertificate(authority, {
    names: [`${name}.svc`],
    now: new Date(),
    ttlSeconds: 86_400,
  })
  const passed: IncomingMessage[] = []
  const server = createServer(
    {
      key: serving.key,
      cert: serving.certificate,
      ca: authority.certificate,
      requestCert: true,
      keepAliveTimeout: 0,
    },
    (request, response) => {
      if (request.headers['x-remote-user'] !== 'system:kube-aggregator') passed.push(request)
      answer(request, response)
    },
  )
  server.listen(0, 'localhost')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    passed,
    close: async () => {
      server.closeAllConnections()
      const closed = once(server, 'close')
      server.close()
      await closed
    },
  }
}
