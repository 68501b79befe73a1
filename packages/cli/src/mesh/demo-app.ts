// The app on each demo VM: answers with the headers it was sent, and calls another app through its own Envoy when asked.
// Run by `podless mesh app`, one a VM. Envoy's outbound HTTP proxy stands in for a redirect of its traffic.

import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server } from 'node:http'

export interface DemoAppOptions {
  readonly name: string
  /** The address others reach its Envoy at; here it listens for /call only. */
  readonly address: string
  readonly namespace: string
}

/** Where the app listens, on the loopback device of its VM: only its Envoy reaches it. */
export const APP_PORT = 8081
/** Where Envoy takes mTLS requests for the app. */
export const INBOUND_PORT = 8080
/** Where the app hands Envoy its own requests. */
export const PROXY_PORT = 15_007
/** Where people ask the app to call another. */
export const CALL_PORT = 8090
const REQUESTS_MAX = 10_000
/** Less than `mesh up` waits for an answer. */
const TIMEOUT_MS = 9_000

interface Reply {
  readonly status: number
  readonly body: string
}

/** Listens until SIGTERM or SIGINT. */
export async function demoApp(options: DemoAppOptions): Promise<void> {
  const servers = [
    await listening(echoServer(options), APP_PORT, '127.0.0.1'),
    await listening(callServer(options), CALL_PORT, options.address),
  ]
  process.stdout.write(`${options.name} listens\n`)
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  for (const server of servers) {
    server.close()
    server.closeAllConnections()
  }
}

async function listening(server: Server, port: number, address: string): Promise<Server> {
  server.listen(port, address)
  await once(server, 'listening')
  return server
}

const echoServer = ({ name }: DemoAppOptions): Server =>
  createServer(({ method, url, headers }, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(`${JSON.stringify({ app: name, method, path: url, headers })}\n`)
  })

/** GET /call/NAME answers what NAME, or a host with dots, answered; with ?count=N how often each app and status did. */
const callServer = ({ namespace }: DemoAppOptions): Server =>
  createServer(async (incoming, response) => {
    response.setHeader('content-type', 'application/json')
    const url = new URL(incoming.url ?? '/', 'http://localhost')
    const name = /^\/call\/([a-z0-9.-]+)$/.exec(url.pathname)?.[1]
    if (name === undefined) {
      response.statusCode = 404
      response.end('{"message":"ask for /call/NAME, or /call/NAME?count=N"}\n')
      return
    }
    const host = name.includes('.') ? name : `${name}.${namespace}.svc.cluster.local`
    const count = Number(url.searchParams.get('count') ?? '0')
    const found = count > 0 ? await tally(host, Math.min(count, REQUESTS_MAX)) : await single(host)
    response.end(`${JSON.stringify(found)}\n`)
  })

async function single(host: string): Promise<object> {
  const { status, body } = await callThroughEnvoy(host)
  return { status, answer: body.startsWith('{') ? JSON.parse(body) : body }
}

async function tally(host: string, count: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (let sent = 0; sent < count; sent += 1) {
    const { status, body } = await callThroughEnvoy(host)
    const from = status === 200 ? (JSON.parse(body) as { app: string }).app : `status ${status}`
    counts[from] = (counts[from] ?? 0) + 1
  }
  return counts
}

/** A request as to an HTTP proxy; status 0 and the reason when Envoy does not answer. */
async function callThroughEnvoy(host: string): Promise<Reply> {
  const sent = request({
    host: '127.0.0.1',
    port: PROXY_PORT,
    path: `http://${host}/`,
    headers: { host },
    timeout: TIMEOUT_MS,
  })
  sent.on('timeout', () => sent.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)))
  sent.end()
  try {
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk as Buffer)
    return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }
  } catch (error) {
    return { status: 0, body: error instanceof Error ? error.message : String(error) }
  }
}
