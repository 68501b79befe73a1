// One call of one webhook over HTTPS: addresses from the URL or the Service, trust from caBundle, connections kept open.
// Called by webhook.ts; calls service-resolver.ts. Aggregation shares the words for failed connections.
// Ref: apiserver/pkg/util/webhook/client.go

import { Agent, request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { isObject, type JsonObject, parseExact } from '@podless/apimachinery'
import { type ResolvedAddress, resolveService, type ServiceReader } from './service-resolver.ts'
import type { WebhookClientConfig } from './webhook-config.ts'

/** An answer may carry a patch of a whole object. */
const ANSWER_BYTES_MAX = 6 * 1024 * 1024
/** Agents kept, one for each caBundle and server name in use. */
const AGENTS_MAX = 64

interface Target {
  readonly addresses: readonly ResolvedAddress[]
  /** Name that the certificate must carry. */
  readonly serverName: string
  /** Host and port as messages show them. */
  readonly host: string
  readonly path: string
}

export interface WebhookCall {
  readonly config: WebhookClientConfig
  readonly body: JsonObject
  readonly timeoutSeconds: number
  readonly signal: AbortSignal
}

/** The webhook could not be asked: failurePolicy decides what that means. */
export class WebhookUnreachable extends Error {
  override readonly name = 'WebhookUnreachable'
  /** The message without what admission says in front of it. */
  readonly why: string

  constructor(why: string, { cause, prefix = '' }: { cause?: unknown; prefix?: string } = {}) {
    super(`${prefix}${why}`, { cause })
    this.why = why
  }
}

const CALL_FAILED = 'failed to call webhook: '

export class WebhookClient {
  readonly #agents = new Map<string, Agent>()
  readonly #resolver: Readonly<Record<string, string>>
  readonly #reader: ServiceReader

  constructor(resolver: Readonly<Record<string, string>>, reader: ServiceReader) {
    this.#resolver = resolver
    this.#reader = reader
  }

  /** Posts the review and returns the answer's JSON. Throws WebhookUnreachable. */
  async call(call: WebhookCall): Promise<JsonObject> {
    const { config, body, timeoutSeconds, signal } = call
    const target = this.#target(config)
    const bytes = Buffer.from(JSON.stringify(body))
    const path = `${target.path}${target.path.includes('?') ? '&' : '?'}timeout=${timeoutSeconds}s`
    const bound = AbortSignal.any([signal, AbortSignal.timeout(timeoutSeconds * 1000)])
    let last: unknown
    let why = 'no address'
    for (const address of target.addresses) {
      try {
        return await this.#post(address, { ...target, path }, config.caBundle ?? '', bytes, bound)
      } catch (error) {
        if (error instanceof WebhookUnreachable) throw error
        last = error
        why = reasonOf(error, address)
        if (bound.aborted) break
      }
    }
    if (bound.aborted) why = 'context deadline exceeded'
    const url = `https://${target.host}${path}`
    throw new WebhookUnreachable(`Post ${JSON.stringify(url)}: ${why}`, {
      cause: last,
      prefix: CALL_FAILED,
    })
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy()
    this.#agents.clear()
  }

  #target({ url, service }: WebhookClientConfig): Target {
    if (url !== undefined) {
      const parsed = new URL(url)
      const address = {
        host: parsed.hostname.replace(/^\[|\]$/g, ''),
        port: Number(parsed.port || 443),
      }
      return {
        addresses: [address],
        serverName: parsed.hostname,
        host: parsed.host,
        path: `${parsed.pathname}${parsed.search}`,
      }
    }
    if (service === undefined)
      throw new WebhookUnreachable('the webhook has neither a url nor a service')
    const { namespace, name, port = 443, path = '/' } = service
    const found = resolveService({ namespace, name, port }, this.#resolver, this.#reader)
    if ('error' in found) throw new WebhookUnreachable(found.error, { prefix: CALL_FAILED })
    const serverName = `${name}.${namespace}.svc`
    return { addresses: found, serverName, host: `${serverName}:${port}`, path }
  }

  #agent(serverName: string, caBundle: string): Agent {
    const key = `${serverName}\n${caBundle}`
    const known = this.#agents.get(key)
    if (known !== undefined) {
      // The map's order is that of use.
      this.#agents.delete(key)
      this.#agents.set(key, known)
      return known
    }
    this.#forgetOldest()
    const ca = caBundle === '' ? undefined : Buffer.from(caBundle, 'base64').toString()
    const agent = new Agent({
      keepAlive: true,
      maxSockets: 32,
      ...sniOf(serverName),
      ...(ca === undefined ? {} : { ca }),
    })
    this.#agents.set(key, agent)
    return agent
  }

  /** Makes room. */
  #forgetOldest(): void {
    if (this.#agents.size < AGENTS_MAX) return
    const [oldest] = this.#agents
    if (oldest === undefined) return
    const [key, agent] = oldest
    this.#agents.delete(key)
    endIdle(agent)
  }

  #post(
    address: ResolvedAddress,
    { serverName, path }: Target,
    caBundle: string,
    bytes: Buffer,
    signal: AbortSignal,
  ): Promise<JsonObject> {
    const { promise, resolve, reject } = Promise.withResolvers<JsonObject>()
    const request = httpsRequest(
      {
        ...address,
        path,
        method: 'POST',
        agent: this.#agent(serverName, caBundle),
        ...sniOf(serverName),
        signal,
        headers: {
          host: serverName,
          accept: 'application/json',
          'content-type': 'application/json',
          'content-length': bytes.length,
          'user-agent': 'kube-apiserver-admission',
        },
      },
      response => {
        readAnswer(response).then(resolve, reject)
      },
    )
    request.on('error', reject)
    request.end(bytes)
    return promise
  }
}

/** Ends the connections that nobody uses; calls that are under way go on. */
export function endIdle(agent: Agent): void {
  for (const sockets of Object.values(agent.freeSockets))
    for (const socket of sockets ?? []) socket.destroy()
}

/** Upstream's words for the ways a connection to an address fails. */
export function reasonOf(error: unknown, { host, port }: ResolvedAddress): string {
  if (!(error instanceof Error)) return String(error)
  const code = (error as NodeJS.ErrnoException).code ?? ''
  return REASONS[code]?.(host, port) ?? error.message
}

const unknownAuthority = (): string =>
  'tls: failed to verify certificate: x509: certificate signed by unknown authority'

const REASONS: Readonly<Record<string, (host: string, port: number) => string>> = {
  ECONNREFUSED: (host, port) => `dial tcp ${host}:${port}: connect: connection refused`,
  ENOTFOUND: host => `dial tcp: lookup ${host}: no such host`,
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
}

/** An address is verified as such; only a name is sent in the handshake. Ref: RFC 6066 3 */
const sniOf = (host: string): { servername?: string } =>
  isIP(host.replace(/^\[|\]$/g, '')) === 0 ? { servername: host } : {}

/** More of a page that says why there is no answer is not repeated. */
const REFUSAL_CHARACTERS_MAX = 2048

const REFUSALS: Readonly<Record<number, string>> = {
  400: 'the server rejected our request for an unknown reason',
  401: 'the server has asked for the client to provide credentials',
  404: 'the server could not find the requested resource',
  405: 'the server does not allow this method on the requested resource',
  409: 'the server reported a conflict',
  422: 'the server rejected our request due to an error in our request',
  429: 'the server has received too many requests and has asked us to try again later',
  503: 'the server is currently unable to handle the request',
  504: 'the server was unable to return a response in the time allotted, but may still be processing the request',
}

/** What client-go says of a status that is none of success. Ref: apimachinery/pkg/api/errors NewGenericServerResponse */
function refusalOf(code: number, said: string): string {
  const known = REFUSALS[code]
  if (known !== undefined) return known
  if ([403, 406, 415].includes(code) && said !== '') return said
  return code >= 500
    ? `an error on the server (${JSON.stringify(said)}) has prevented the request from succeeding`
    : `the server responded with the status code ${code} but did not return more information`
}

async function readAnswer(
  response: AsyncIterable<Buffer> & { statusCode?: number | undefined },
): Promise<JsonObject> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response) {
    size += chunk.length
    if (size > ANSWER_BYTES_MAX)
      throw new Error(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString()
  const { statusCode = 0 } = response
  if (statusCode < 200 || statusCode > 206) {
    throw new WebhookUnreachable(refusalOf(statusCode, text.slice(0, REFUSAL_CHARACTERS_MAX)), {
      prefix: CALL_FAILED,
    })
  }
  const answer = parseExact(text)
  if (!isObject(answer)) throw new Error('the webhook answered no AdmissionReview')
  return answer
}
