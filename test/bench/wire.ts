// A load generator's HTTP/1.1 over TLS: what node:https spends on a request would be measured as the server's on a machine
// with as many cores as processes. One request at a time a connection, bodies handed over as they come.
// Used by load.ts and scale.ts; calls node:tls.

import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, type SecureContextOptions, type TLSSocket } from 'node:tls'
import { type JsonObject, parseYaml } from '../../packages/apimachinery/src/index.ts'

export interface WireRequest {
  readonly method?: string
  /** Path and query. */
  readonly path: string
  readonly body?: JsonObject
  readonly contentType?: string
}

export interface WireAnswer {
  readonly status: number
  readonly bytes: Buffer
}

const HEAD_END = Buffer.from('\r\n\r\n')
const LINE_END = Buffer.from('\r\n')
const EMPTY = Buffer.alloc(0)

/** Cuts one answer out of a connection's bytes. */
class AnswerReader {
  status = 0
  #rest: Buffer = EMPTY
  /** What comes next: a head, bytes of a known length, a chunk's length, its bytes and their line end. */
  #state: 'head' | 'length' | 'size' | 'chunk' | 'done' = 'head'
  #left = 0
  readonly #onBody: (bytes: Buffer) => void

  constructor(onBody: (bytes: Buffer) => void) {
    this.#onBody = onBody
  }

  /** True once the answer is complete. */
  feed(bytes: Buffer): boolean {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    while (this.#step());
    return this.#state === 'done'
  }

  #step(): boolean {
    if (this.#state === 'head') return this.#head()
    if (this.#state === 'size') return this.#size()
    if (this.#state === 'done' || this.#rest.length === 0) return false
    const taken = this.#take(Math.min(this.#left, this.#rest.length))
    this.#left -= taken.length
    const isEnd = this.#left === 0
    if (this.#state === 'length') {
      this.#onBody(taken)
      if (isEnd) this.#state = 'done'
      return false
    }
    // A chunk's line end is counted with it.
    const surplus = Math.max(0, LINE_END.length - this.#left)
    const body = taken.subarray(0, Math.max(0, taken.length - surplus))
    if (body.length > 0) this.#onBody(body)
    if (isEnd) this.#state = 'size'
    return true
  }

  #head(): boolean {
    const end = this.#rest.indexOf(HEAD_END)
    if (end < 0) return false
    const head = this.#take(end + HEAD_END.length)
      .toString('latin1')
      .toLowerCase()
    this.status = Number(head.slice(9, 12))
    this.#left = Number(/\r\ncontent-length: *(\d+)/.exec(head)?.[1] ?? 0)
    const isChunked = head.includes('\r\ntransfer-encoding: chunked')
    this.#state = isChunked ? 'size' : this.#left === 0 ? 'done' : 'length'
    return true
  }

  #size(): boolean {
    const end = this.#rest.indexOf(LINE_END)
    if (end < 0) return false
    const size = Number.parseInt(this.#rest.toString('latin1', 0, end), 16)
    // The last chunk is empty and ends with an empty line.
    if (size === 0 && this.#rest.length < end + 2 * LINE_END.length) return false
    this.#take(end + LINE_END.length)
    this.#left = size + LINE_END.length
    this.#state = size === 0 ? 'done' : 'chunk'
    return true
  }

  #take(length: number): Buffer {
    const taken = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    return taken
  }
}

interface Kubeconfig {
  readonly clusters: readonly {
    cluster: { server: string; 'certificate-authority-data'?: string }
  }[]
  readonly users: readonly {
    user: {
      'client-certificate-data'?: string
      'client-key-data'?: string
      token?: string
    }
  }[]
}

/** A client with the credentials of a kubeconfig file: a certificate or a token. A server without a CA is not checked. */
export async function openWire(kubeconfig: string): Promise<WireClient> {
  const text = await readFile(kubeconfig)
  const config = parseYaml(text, { strict: false }).value as unknown as Kubeconfig
  const cluster = config.clusters[0]?.cluster
  const user = config.users[0]?.user
  if (cluster === undefined || user === undefined) throw new Error(`${kubeconfig}: no kubeconfig`)
  const ca = cluster['certificate-authority-data']
  const decode = (name: string, data: string | undefined): SecureContextOptions =>
    data === undefined ? {} : { [name]: Buffer.from(data, 'base64') }
  return new WireClient({
    url: cluster.server,
    token: user.token,
    isChecked: ca !== undefined,
    tls: {
      ...decode('ca', ca),
      ...decode('cert', user['client-certificate-data']),
      ...decode('key', user['client-key-data']),
    },
  })
}

interface WireAccess {
  readonly url: string
  readonly token: string | undefined
  readonly isChecked: boolean
  readonly tls: SecureContextOptions
}

/** As many requests at a time as there are callers; each idle connection is used again. */
export class WireClient {
  readonly #access: WireAccess
  readonly #host: string
  readonly #port: number
  readonly #all = new Set<TLSSocket>()
  #idle: TLSSocket[] = []

  constructor(access: WireAccess) {
    this.#access = access
    const { hostname, port } = new URL(access.url)
    this.#host = hostname
    this.#port = Number(port)
  }

  async send(request: WireRequest): Promise<WireAnswer> {
    const chunks: Buffer[] = []
    const status = await this.stream(request, bytes => chunks.push(bytes))
    return { status, bytes: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks) }
  }

  /** Hands over the body as it comes; resolves with the status at its end. */
  async stream(request: WireRequest, onBody: (bytes: Buffer) => void): Promise<number> {
    const socket = this.#idle.pop() ?? (await this.#connect())
    const status = await exchange(socket, this.#encode(request), onBody)
    this.#idle.push(socket)
    return status
  }

  /** An answer without an end, on a connection of its own. Resolves at its first bytes with what closes it. */
  async watch(
    path: string,
    onBody: (bytes: Buffer) => void,
    onEnd: () => void = () => undefined,
  ): Promise<() => void> {
    const socket = await this.#connect()
    socket.once('end', onEnd)
    socket.once('error', onEnd)
    const reader = new AnswerReader(onBody)
    const first = once(socket, 'data')
    socket.on('data', (bytes: Buffer) => reader.feed(bytes))
    socket.write(this.#encode({ path }))
    await first
    return () => socket.destroy()
  }

  close(): void {
    for (const socket of this.#all) socket.destroy()
  }

  async #connect(): Promise<TLSSocket> {
    const { tls, isChecked } = this.#access
    const target = { host: this.#host, port: this.#port, rejectUnauthorized: isChecked }
    const socket = connect({ ...target, ...tls })
    this.#all.add(socket)
    socket.once('close', () => {
      this.#all.delete(socket)
      this.#idle = this.#idle.filter(other => other !== socket)
    })
    await once(socket, 'secureConnect')
    socket.setNoDelay(true)
    return socket
  }

  #encode({ method = 'GET', path, body, contentType }: WireRequest): string {
    const text = body === undefined ? '' : JSON.stringify(body)
    const type = body === undefined ? '' : `content-type: ${contentType ?? 'application/json'}\r\n`
    const length = method === 'GET' ? '' : `content-length: ${Buffer.byteLength(text)}\r\n`
    const { token } = this.#access
    const who = token === undefined ? '' : `authorization: Bearer ${token}\r\n`
    const host = `host: ${this.#host}:${this.#port}\r\n`
    return `${method} ${path} HTTP/1.1\r\n${host}accept: application/json\r\n${who}${type}${length}\r\n${text}`
  }
}

async function exchange(
  socket: TLSSocket,
  request: string,
  onBody: (bytes: Buffer) => void,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const reader = new AnswerReader(onBody)
  const onData = (bytes: Buffer): void => {
    if (reader.feed(bytes)) resolve(reader.status)
  }
  const onClose = (): void => reject(new Error('the server closed the connection'))
  socket.on('data', onData)
  socket.once('error', reject)
  socket.once('close', onClose)
  socket.write(request)
  try {
    return await promise
  } finally {
    socket.off('data', onData)
    socket.off('error', reject)
    socket.off('close', onClose)
  }
}
