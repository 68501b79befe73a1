// A plain HTTPS client for tests: requests and watches exactly as given, nothing retried, nothing cached.
// Used by the trace test, the end-to-end tests and the benchmarks.

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Agent, type RequestOptions, request } from 'node:https'
import { type JsonObject, parseYaml } from '../../packages/apimachinery/src/index.ts'

export interface ApiAccess {
  readonly url: string
  readonly ca: string
  readonly certificate: string
  readonly key: string
}

interface Kubeconfig {
  readonly clusters: readonly {
    cluster: { server: string; 'certificate-authority-data': string }
  }[]
  readonly users: readonly {
    user: { 'client-certificate-data': string; 'client-key-data': string }
  }[]
}

const decode = (text: string): string => Buffer.from(text, 'base64').toString()

/** The credentials in a kubeconfig that podless wrote. */
export function accessOf(kubeconfig: string): ApiAccess {
  const config = parseYaml(Buffer.from(kubeconfig), { strict: false })
    .value as unknown as Kubeconfig
  const cluster = config.clusters[0]?.cluster
  const user = config.users[0]?.user
  if (cluster === undefined || user === undefined) throw new Error('no kubeconfig of podless')
  return {
    url: cluster.server,
    ca: decode(cluster['certificate-authority-data']),
    certificate: decode(user['client-certificate-data']),
    key: decode(user['client-key-data']),
  }
}

export interface ApiRequest {
  readonly method?: string
  /** Path and query. */
  readonly path: string
  readonly body?: string | Buffer | JsonObject
  readonly headers?: Readonly<Record<string, string>>
}

export interface ApiAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly bytes: Buffer
  /** The body as JSON. Throws when it is none. */
  json(): JsonObject
}

export interface WatchStream {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  /** The server or close() ended it. */
  readonly ended: Promise<void>
  close(): void
}

export class ApiClient {
  readonly #access: ApiAccess
  readonly #agent: Agent

  constructor(access: ApiAccess) {
    this.#access = access
    this.#agent = new Agent({
      keepAlive: true,
      ca: access.ca,
      cert: access.certificate,
      key: access.key,
    })
  }

  async send(wanted: ApiRequest): Promise<ApiAnswer> {
    const response = await this.#open(wanted, this.#agent)
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk as Buffer)
    const bytes = Buffer.concat(chunks)
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      bytes,
      json: () => JSON.parse(bytes.toString()) as JsonObject,
    }
  }

  /** Opens a watch on a connection of its own and hands over its bytes as they come. */
  async watch(wanted: ApiRequest, onBytes: (bytes: Buffer) => void): Promise<WatchStream> {
    const response = await this.#open(wanted, this.#agent)
    response.on('data', onBytes)
    const ended = new Promise<void>(resolve => response.on('close', resolve))
    response.on('error', () => response.destroy())
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      ended,
      close: () => response.destroy(),
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  async #open({ method, path, body, headers }: ApiRequest, agent: Agent): Promise<IncomingMessage> {
    const bytes =
      body === undefined || typeof body === 'string' || Buffer.isBuffer(body)
        ? body
        : JSON.stringify(body)
    const options: RequestOptions = {
      method: method ?? 'GET',
      agent,
      headers: {
        accept: 'application/json',
        ...(bytes === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(bytes) }),
        ...headers,
      },
    }
    const sent = request(new URL(path, this.#access.url), options)
    sent.end(bytes)
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    return response
  }
}

/** Cuts a JSON watch stream into its events. */
export function eventReader(onEvent: (event: WatchedEvent) => void): (bytes: Buffer) => void {
  const decoder = new TextDecoder()
  let rest = ''
  return bytes => {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') onEvent(JSON.parse(line) as WatchedEvent)
  }
}

export interface WatchedEvent {
  readonly type: string
  readonly object: JsonObject & {
    readonly kind: string
    readonly apiVersion: string
    readonly metadata: {
      readonly name?: string
      readonly resourceVersion?: string
      readonly annotations?: Readonly<Record<string, string>>
    }
  }
}
