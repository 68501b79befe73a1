// A small client of the running server for commands: JSON over HTTPS with the credentials of a kubeconfig.
// Used by kubeconfig.ts, istio/* and vm/*; an answer that is no success becomes a CliError of one line.

import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { join, resolve } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { isObject, type JsonObject, type JsonValue, parseYaml } from '@podless/apimachinery'
import { CliError, EXIT } from './exit.ts'
import { silent, unreachable } from './unreachable.ts'

export interface ServerAccess {
  /** URL without a trailing slash. */
  readonly server: string
  readonly ca?: string
  readonly certificate?: string
  readonly key?: string
  readonly token?: string
}

/** Longer than the server itself takes for any request. */
const ANSWER_MS_MAX = 90_000

const NEW_CREDENTIALS =
  '; the credentials have ended or are of other keys: podless kubeconfig makes new ones'

/** How commands say which server they mean. */
export interface ServerOptions {
  readonly data: string
  readonly kubeconfig?: string
}

/** Any object of the API, as far as commands read it. */
export interface ApiObject extends JsonObject {
  metadata: {
    name: string
    namespace?: string
    uid?: string
    resourceVersion?: string
    creationTimestamp?: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
  }
}

export interface Answer {
  readonly code: number
  /** The server's clock, as HTTP writes it. */
  readonly date: string | undefined
  readonly text: string
}

interface RequestParts {
  readonly body?: string | JsonObject
  readonly contentType?: string
  readonly accept?: string
}

/** Opens the server of --kubeconfig, or the one whose data folder is given. */
export async function openServer({ data, kubeconfig }: ServerOptions): Promise<ServerClient> {
  const path = kubeconfig ?? join(resolve(data), 'admin.kubeconfig')
  return new ServerClient(await readServerAccess(path))
}

/** The current context of a kubeconfig: inline credentials, or files named in it. */
export async function readServerAccess(path: string): Promise<ServerAccess> {
  const config = await readKubeconfig(path)
  const context = named(config, 'contexts', config['current-context'])
  const cluster = named(config, 'clusters', context?.cluster)
  const user = named(config, 'users', context?.user)
  const server = cluster?.server
  if (typeof server !== 'string' || !URL.canParse(server))
    throw new CliError(EXIT.data, `${path} names no server URL in its current context`)
  const material = async (
    from: JsonObject | undefined,
    name: string,
  ): Promise<string | undefined> => {
    const inline = from?.[`${name}-data`]
    if (typeof inline === 'string') return Buffer.from(inline, 'base64').toString()
    const file = from?.[name]
    return typeof file === 'string' ? await readFile(resolve(path, '..', file), 'utf8') : undefined
  }
  const [ca, certificate, key] = await Promise.all([
    material(cluster, 'certificate-authority'),
    material(user, 'client-certificate'),
    material(user, 'client-key'),
  ])
  return {
    server: server.replace(/\/+$/, ''),
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
    ...(typeof user?.token === 'string' ? { token: user.token } : {}),
  }
}

async function readKubeconfig(path: string): Promise<JsonObject> {
  try {
    const { value } = parseYaml(await readFile(path), { strict: false })
    if (isObject(value)) return value
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const why = error instanceof Error ? error.message : String(error)
    throw unreadable(isMissing ? `there is no ${path}` : `${path} cannot be read (${why})`, error)
  }
  throw unreadable(`${path} is no kubeconfig`)
}

const unreadable = (what: string, cause?: unknown): CliError =>
  new CliError(
    EXIT.data,
    `${what}; podless up writes a kubeconfig into its data folder: name that with --data, or a file with --kubeconfig`,
    { cause },
  )

/** The entry of that name in one of a kubeconfig's lists: `{name, cluster: {...}}`. */
function named(
  config: JsonObject,
  list: 'clusters' | 'contexts' | 'users',
  name: JsonValue | undefined,
): JsonObject | undefined {
  const items = config[list]
  if (!Array.isArray(items)) return undefined
  const found = items.filter(isObject).find(item => item.name === name)
  const value = found?.[list.slice(0, -1)]
  return isObject(value) ? value : undefined
}

export class ServerClient {
  readonly access: ServerAccess
  readonly #agent: Agent

  constructor(access: ServerAccess) {
    this.access = access
    this.#agent = new Agent({
      keepAlive: true,
      ...(access.ca === undefined ? {} : { ca: access.ca }),
      ...(access.certificate === undefined ? {} : { cert: access.certificate }),
      ...(access.key === undefined ? {} : { key: access.key }),
    })
  }

  /** The object, or undefined on 404. */
  async get(path: string): Promise<ApiObject | undefined> {
    const answer = await this.send('GET', path)
    return answer.code === 404 ? undefined : this.#object(answer, path)
  }

  async list(path: string): Promise<readonly ApiObject[]> {
    const answer = await this.send('GET', path)
    if (answer.code === 404) return []
    const { items } = this.#object(answer, path) as JsonObject
    return (Array.isArray(items) ? items : []) as unknown as readonly ApiObject[]
  }

  async create(path: string, body: JsonObject): Promise<ApiObject> {
    return this.#object(await this.send('POST', path, { body }), path)
  }

  async replace(path: string, body: JsonObject): Promise<ApiObject> {
    return this.#object(await this.send('PUT', path, { body }), path)
  }

  async mergePatch(path: string, body: JsonObject): Promise<ApiObject> {
    const contentType = 'application/merge-patch+json'
    return this.#object(await this.send('PATCH', path, { body, contentType }), path)
  }

  /** Server-side apply as the field manager podless, which wins over others. */
  async apply(path: string, body: JsonObject): Promise<ApiObject> {
    const contentType = 'application/apply-patch+yaml'
    const target = `${path}?fieldManager=podless&force=true`
    return this.#object(await this.send('PATCH', target, { body, contentType }), path)
  }

  /** False when it was not there. */
  async delete(path: string): Promise<boolean> {
    const answer = await this.send('DELETE', path)
    if (answer.code === 404) return false
    this.#object(answer, path)
    return true
  }

  /** The body of a page that is no object. */
  async text(path: string): Promise<string> {
    const answer = await this.send('GET', path)
    if (answer.code >= 300) throw this.#failure(answer, path)
    return answer.text
  }

  /** One request and its answer, whatever the code. Throws a CliError when nobody answers. */
  async send(method: string, path: string, parts: RequestParts = {}): Promise<Answer> {
    const { body, contentType = 'application/json', accept = 'application/json' } = parts
    const bytes = typeof body === 'object' ? JSON.stringify(body) : body
    const { token } = this.access
    const { promise, resolve: done, reject } = Promise.withResolvers<Answer>()
    const sent = request(
      new URL(path, this.access.server),
      {
        method,
        agent: this.#agent,
        headers: {
          accept,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(bytes === undefined
            ? {}
            : { 'content-type': contentType, 'content-length': Buffer.byteLength(bytes) }),
        },
      },
      response => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          done({
            code: response.statusCode ?? 0,
            date: response.headers.date,
            text: Buffer.concat(chunks).toString(),
          }),
        )
        response.on('error', reject)
      },
    )
    sent.setTimeout(ANSWER_MS_MAX, () => sent.destroy(silent(ANSWER_MS_MAX)))
    sent.on('error', error => reject(this.#unreachable(error)))
    sent.end(bytes)
    return await promise
  }

  /** SHA-256 of the server's public key as curl's --pinnedpubkey takes it. */
  async publicKeyPin(hash: (spki: Buffer) => string): Promise<string> {
    const { promise, resolve: done, reject } = Promise.withResolvers<string>()
    const sent = request(new URL('/livez', this.access.server), {
      agent: false,
      ...(this.access.ca === undefined ? {} : { ca: this.access.ca }),
    })
    sent.on('response', response => {
      const certificate = (response.socket as TLSSocket).getPeerX509Certificate()
      response.resume()
      if (certificate === undefined) reject(new Error('the server showed no certificate'))
      else done(hash(certificate.publicKey.export({ type: 'spki', format: 'der' })))
    })
    sent.on('error', error => reject(this.#unreachable(error)))
    sent.end()
    return await promise
  }

  close(): void {
    this.#agent.destroy()
  }

  #object(answer: Answer, path: string): ApiObject {
    if (answer.code >= 300) throw this.#failure(answer, path)
    return JSON.parse(answer.text) as ApiObject
  }

  #failure({ code, text }: Answer, path: string): CliError {
    const { server } = this.access
    const cure = code === 401 ? NEW_CREDENTIALS : ''
    return new CliError(
      code === 503 ? EXIT.unavailable : EXIT.refused,
      `${server} refused ${path.replace(/\?.*/, '')} with ${code}: ${messageOf(text)}${cure}`,
    )
  }

  #unreachable(error: Error): CliError {
    return new CliError(EXIT.unavailable, unreachable(this.access.server, error), { cause: error })
  }
}

/** The sentence in a Status, or the text itself when it is none. */
function messageOf(text: string): string {
  if (!text.startsWith('{')) return text.trim()
  const { message } = JSON.parse(text) as { message?: string }
  return message ?? text
}

/** The path of a named object, or of its collection without a name. */
export function objectPath(resource: string, name = '', namespace = ''): string {
  const cut = resource.indexOf('/')
  const prefix = cut < 0 ? '/api/v1' : `/apis/${resource.slice(0, resource.lastIndexOf('/'))}`
  const plural = resource.slice(resource.lastIndexOf('/') + 1)
  const scope = namespace === '' ? '' : `/namespaces/${encodeURIComponent(namespace)}`
  return `${prefix}${scope}/${plural}${name === '' ? '' : `/${encodeURIComponent(name)}`}`
}
