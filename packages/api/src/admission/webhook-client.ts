// One call of one webhook over HTTPS: addresses from the URL or the Service, trust from caBundle, connections kept open.
// Called by webhook.ts; calls service-resolver.ts. Ref: apiserver/pkg/util/webhook/client.go

import { Agent, request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { isObject, type JsonObject } from '@podless/apimachinery'
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
}

export class WebhookClient {
  readonly #agents = new Map<string, Agent>()
  readonly #resolver: Readonly<Record<string, string>>
  readonly #reader: ServiceReader

  constructor(resolver: Readonly<Record<string, string>>, reader: ServiceReader) {
    this.#resolver = resolver
    this.#reader = reader
  }

  /** Posts the review and returns the answer's JSON. Throws WebhookUnreachable. */
  async call({ config, body, timeoutSeconds, signal }: WebhookCall): Promise<JsonObject> {
    const target = this.#target(config)
    const bytes = Buffer.from(JSON.stringify(body))
    const path = `${target.path}${target.path.includes('?') ? '&' : '?'}timeout=${timeoutSeconds}s`
    const bound = AbortSignal.any([signal, AbortSignal.timeout(timeoutSeconds * 1000)])
    let last: unknown
    for (const address of target.addresses) {
      try {
        return await this.#post(address, { ...target, path }, config.caBundle ?? '', bytes, bound)
      } catch (error) {
        last = error
        if (bound.aborted) break
      }
    }
    const url = `https://${target.serverName}${path}`
    const why = bound.aborted
      ? 'context deadline exceeded'
      : last instanceof Error
        ? last.message
        : String(last)
    throw new WebhookUnreachable(`failed to call webhook: Post ${JSON.stringify(url)}: ${why}`, {
      cause: last,
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
        path: `${parsed.pathname}${parsed.search}`,
      }
    }
    if (service === undefined)
      throw new WebhookUnreachable('the webhook has neither a url nor a service')
    const { namespace, name, port = 443, path = '/' } = service
    const found = resolveService({ namespace, name, port }, this.#resolver, this.#reader)
    if ('error' in found) throw new WebhookUnreachable(`failed to call webhook: ${found.error}`)
    return { addresses: found, serverName: `${name}.${namespace}.svc`, path }
  }

  #agent(serverName: string, caBundle: string): Agent {
    const key = `${serverName}\n${caBundle}`
    const known = this.#agents.get(key)
    if (known !== undefined) return known
    if (this.#agents.size >= AGENTS_MAX) this.close()
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

/** An address is verified as such; only a name is sent in the handshake. Ref: RFC 6066 3 */
const sniOf = (host: string): { servername?: string } =>
  isIP(host.replace(/^\[|\]$/g, '')) === 0 ? { servername: host } : {}

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
  if (response.statusCode !== 200)
    throw new Error(`the webhook answered ${response.statusCode}: ${text.slice(0, 200)}`)
  const answer: unknown = JSON.parse(text)
  if (!isObject(answer)) throw new Error('the webhook answered no AdmissionReview')
  return answer
}
