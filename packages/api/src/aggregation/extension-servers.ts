// Connections to extension servers over HTTPS: the addresses of their Service, whom they must prove to be, and who this
// server is to them. Called by extension-proxy.ts and remote-services.ts; calls service-resolver.ts.
// Ref: kube-aggregator/pkg/apiserver/handler_proxy.go

import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import type { KeyedCertificate } from '@podless/identity'
import {
  type ResolvedAddress,
  resolveService,
  type ServiceReader,
} from '../admission/service-resolver.ts'
import { endIdle, reasonOf } from '../admission/webhook-client.ts'
import type { UserInfo } from '../resource.ts'
import type { RemoteService } from './api-services.ts'

/** Idle connections kept to one server. */
const FREE_SOCKETS_MAX = 4

export interface ExtensionServersOptions {
  /** `name.namespace` of a Service -> `host:port`, before all else. */
  readonly resolver: Readonly<Record<string, string>>
  readonly reader: ServiceReader
  readonly certificate: () => KeyedCertificate | undefined
}

export interface ExtensionCall {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: OutgoingHttpHeaders
  readonly body?: Buffer | undefined
  readonly signal: AbortSignal
}

/** No answer came. The message is what Go says of such a connection. */
export class ExtensionUnreachable extends Error {
  override readonly name = 'ExtensionUnreachable'
  /** HOST:PORT that was tried last; undefined when there is none. */
  readonly host: string | undefined

  constructor(why: string, host?: string, cause?: unknown) {
    super(why, { cause })
    this.host = host
  }
}

/** One agent for each APIService, as long as trust and identity stay the same. */
interface KnownAgent {
  readonly terms: string
  readonly agent: Agent
}

export class ExtensionServers {
  readonly #options: ExtensionServersOptions
  readonly #agents = new Map<string, KnownAgent>()

  constructor(options: ExtensionServersOptions) {
    this.#options = options
  }

  /** Where the server may be reached. */
  resolve({ service }: RemoteService): readonly ResolvedAddress[] | { readonly error: string } {
    const { resolver, reader } = this.#options
    return resolveService(service, resolver, reader)
  }

  /** Sends a request and resolves with the head of its answer, whose body is to be read. Throws ExtensionUnreachable. */
  async open(remote: RemoteService, call: ExtensionCall): Promise<IncomingMessage> {
    const addresses = this.resolve(remote)
    if ('error' in addresses) throw new ExtensionUnreachable(addresses.error)
    return await this.openAt(addresses, remote, call)
  }

  /** As open(), by addresses that are known already. */
  async openAt(
    addresses: readonly ResolvedAddress[],
    remote: RemoteService,
    call: ExtensionCall,
  ): Promise<IncomingMessage> {
    let last: ExtensionUnreachable | undefined
    for (const address of addresses) {
      try {
        return await this.#send(remote, address, call)
      } catch (error) {
        last = unreachable(error, address)
        if (!isUnsent(error) || call.signal.aborted) break
      }
    }
    throw last ?? new ExtensionUnreachable('no address')
  }

  /** The APIService is gone: its idle connections are let go. */
  forget(name: string): void {
    this.#agents.get(name)?.agent.destroy()
    this.#agents.delete(name)
  }

  close(): void {
    for (const name of [...this.#agents.keys()]) this.forget(name)
  }

  async #send(
    remote: RemoteService,
    address: ResolvedAddress,
    call: ExtensionCall,
  ): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const { method, path, headers, body, signal } = call
    const servername = serverNameOf(remote)
    const agent = this.#agent(remote)
    const sent = httpsRequest(
      { ...address, method, path, headers, agent, servername, signal },
      resolve,
    )
    sent.on('error', error => {
      // A kept connection may end just as it is used again: the request has not been read then.
      const isStale = sent.reusedSocket && (method === 'GET' || method === 'HEAD')
      if (isStale && !signal.aborted) this.#send(remote, address, call).then(resolve, reject)
      else reject(error)
    })
    sent.end(body)
    return await promise
  }

  #agent(remote: RemoteService): Agent {
    const { name, caBundle, isInsecure } = remote
    const pair = this.#options.certificate()
    const terms = [serverNameOf(remote), caBundle, isInsecure, pair?.certificate].join('\n')
    const known = this.#agents.get(name)
    if (known?.terms === terms) return known.agent
    const agent = new Agent({
      keepAlive: true,
      maxFreeSockets: FREE_SOCKETS_MAX,
      rejectUnauthorized: !isInsecure,
      ...(caBundle === '' ? {} : { ca: Buffer.from(caBundle, 'base64').toString() }),
      ...(pair === undefined ? {} : { cert: pair.certificate, key: pair.key }),
    })
    this.#agents.set(name, { terms, agent })
    // What is under way goes on; idle connections end by themselves when their server wants.
    if (known !== undefined) endIdle(known.agent)
    return agent
  }
}

const serverNameOf = ({ service }: RemoteService): string =>
  `${service.name}.${service.namespace}.svc`

const unreachable = (error: unknown, address: ResolvedAddress): ExtensionUnreachable => {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return new ExtensionUnreachable(reasonOf(error, address), `${host}:${address.port}`, error)
}

/** No connection came about, so another address may be tried. */
const UNSENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
])
const isUnsent = (error: unknown): boolean =>
  error instanceof Error && UNSENT.has((error as NodeJS.ErrnoException).code ?? '')

/** Who asks, as the headers that extension servers believe the front proxy. Ref: client-go/transport/round_trippers.go */
export function identityHeaders({
  name,
  uid = '',
  groups,
  extra = {},
}: UserInfo): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { 'x-remote-user': encoded(name) }
  if (uid !== '') headers['x-remote-uid'] = encoded(uid)
  if (groups.length > 0) headers['x-remote-group'] = groups.map(encoded)
  for (const [key, values] of Object.entries(extra))
    headers[`x-remote-extra-${escapedKey(key)}`] = values.map(encoded)
  return headers
}

/** Go writes the bytes of a header as they are, and Node.js one for each character. */
const encoded = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

const TOKEN = /^[!#$&'*+\-.^_`|~0-9A-Za-z]$/
const escapedKey = (key: string): string =>
  [...Buffer.from(key)]
    .map(byte => {
      const character = String.fromCharCode(byte)
      const hex = byte.toString(16).toUpperCase().padStart(2, '0')
      return TOKEN.test(character) ? character : `%${hex}`
    })
    .join('')
