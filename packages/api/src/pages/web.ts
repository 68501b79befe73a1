// Pages that are not hot, on Express: the list of paths and the token issuer's documents. Express sees in-memory HTTP/1
// messages only, so a client that speaks HTTP/2 never reaches its prototype swapping, which ends the process there.
// Called by pages.ts; loaded on the first request that needs it.

import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Express } from 'express'
import type { Incoming, Reply } from '../serving/exchange.ts'

export interface WebOptions {
  /** The paths that `/` lists. */
  readonly paths: () => readonly string[]
  /** /.well-known/openid-configuration and /openid/v1/jwks as JSON. */
  readonly issuer: { configuration(): string; jwks(): string }
}

/** Documents that clients may keep for an hour. Ref: kubernetes/pkg/serviceaccount/openidmetadata.go */
const CACHE_CONTROL = 'public, max-age=3600'

export class Web {
  readonly #options: WebOptions
  #app: Promise<Express> | undefined

  constructor(options: WebOptions) {
    this.#options = options
  }

  /** The paths served here. */
  static readonly paths: readonly string[] = [
    '/',
    '/.well-known/openid-configuration',
    '/openid/v1/jwks',
  ]

  async reply(request: Incoming): Promise<Reply> {
    this.#app ??= createApp(this.#options)
    return await run(await this.#app, request)
  }
}

async function createApp({ paths, issuer }: WebOptions): Promise<Express> {
  const { default: express } = await import('express')
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.get('/', (_request, response) => {
    send(response, 'application/json', JSON.stringify({ paths: paths() }, undefined, 2))
  })
  app.get('/.well-known/openid-configuration', (_request, response) => {
    response.set('cache-control', CACHE_CONTROL)
    send(response, 'application/json', issuer.configuration())
  })
  app.get('/openid/v1/jwks', (_request, response) => {
    response.set('cache-control', CACHE_CONTROL)
    send(response, 'application/jwk-set+json', issuer.jwks())
  })
  return app
}

/** By Node's own words: Express would say a charset, which JSON has none of. */
function send(response: ServerResponse, type: string, text: string): void {
  response.setHeader('content-type', type)
  response.end(text)
}

/** One request through Express, without a socket. */
async function run(app: Express, incoming: Incoming): Promise<Reply> {
  const request = new IncomingMessage(new Socket())
  request.method = incoming.method
  request.url = incoming.target
  for (const name of ['accept', 'content-type', 'user-agent']) {
    const value = incoming.header(name)
    if (value !== undefined) request.headers[name] = value
  }
  request.push(null)
  const response = new ServerResponse(request)
  const { promise, resolve, reject } = Promise.withResolvers<Reply>()
  const chunks: Buffer[] = []
  response.write = (chunk: string | Uint8Array) => chunks.push(Buffer.from(chunk as string)) > 0
  response.end = ((chunk?: string | Uint8Array) => {
    if (chunk !== undefined && typeof chunk !== 'function')
      chunks.push(Buffer.from(chunk as string))
    resolve(replyOf(response, Buffer.concat(chunks)))
    return response
  }) as ServerResponse['end']
  app(request as never, response as never, (error?: unknown) => {
    reject(error instanceof Error ? error : new Error(`nothing is served at ${incoming.target}`))
  })
  return await promise
}

function replyOf(response: ServerResponse, bytes: Buffer): Reply {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(response.getHeaders())) {
    if (name !== 'content-length' && name !== 'content-type') headers[name] = String(value)
  }
  const contentType = String(response.getHeader('content-type') ?? 'text/plain')
  return { code: response.statusCode, contentType, headers, body: { type: 'bytes', bytes } }
}
