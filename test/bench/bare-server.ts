// What Node.js and the embedded store can do on this machine when nothing of Kubernetes lies between them: it answers just
// what the load benchmark asks, without users, schemas, versions or history. Its figures are the limit that ours are read
// against. A program of its own, started by bare.ts. Usage: node bare-server.ts FOLDER; prints the path of a kubeconfig.

import { writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import {
  createClientCertificate,
  kubeconfig,
  openPki,
  openServingCertificate,
} from '../../packages/identity/src/index.ts'
import { openEmbedded } from '../../packages/storage/src/index.ts'
import { LOADS } from './load-work.ts'

interface Stored {
  readonly revision: number
  readonly bytes: Buffer
}

const KEY_PREFIX = '/registry/loads/'
const JSON_TYPE = 'application/json'
const COMMA = Buffer.from(',')
const END = Buffer.from(']}')
const NAME_SELECTOR = /^metadata\.name=(.+)$/
const [, , folder = '.'] = process.argv

const store = await openEmbedded({ directory: join(folder, 'store') })
const objects = new Map<string, Stored>()
/** Open watches by the object that they follow. */
const watchers = new Map<string, Set<ServerResponse>>()

function send(response: ServerResponse, code: number, bytes: Buffer | string): void {
  const length = Buffer.byteLength(bytes)
  response.writeHead(code, { 'content-type': JSON_TYPE, 'content-length': length })
  response.end(bytes)
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

async function put(name: string, bytes: Buffer): Promise<void> {
  const ifRevision = objects.get(name)?.revision ?? 0
  const revision = await store.put(`${KEY_PREFIX}${name}`, bytes, { ifRevision })
  objects.set(name, { revision, bytes })
}

async function create(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const object = JSON.parse((await bodyOf(request)).toString()) as { metadata: { name: string } }
  const bytes = Buffer.from(JSON.stringify(object))
  await put(object.metadata.name, bytes)
  send(response, 201, bytes)
}

async function change(
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const patch = JSON.parse((await bodyOf(request)).toString()) as { spec: object }
  const object = JSON.parse(objects.get(name)!.bytes.toString()) as { spec: object }
  Object.assign(object.spec, patch.spec)
  const bytes = Buffer.from(JSON.stringify(object))
  await put(name, bytes)
  const frame = frameOf('MODIFIED', bytes)
  for (const watcher of watchers.get(name) ?? []) watcher.write(frame)
  send(response, 200, bytes)
}

const frameOf = (type: string, bytes: Buffer): string => `{"type":"${type}","object":${bytes}}\n`

function list(response: ServerResponse, query: URLSearchParams): void {
  const all = [...objects.values()]
  const from = Number(query.get('continue') ?? 0)
  const to = from + (Number(query.get('limit') ?? 0) || all.length)
  const token = to < all.length ? `"continue":"${to}"` : ''
  const items = all.slice(from, to).flatMap(({ bytes }) => [COMMA, bytes])
  const head = Buffer.from(`{"metadata":{${token}},"items":[`)
  send(response, 200, Buffer.concat([head, ...items.slice(1), END]))
}

function watch(name: string, response: ServerResponse): void {
  const mine = watchers.get(name) ?? new Set()
  watchers.set(name, mine)
  mine.add(response)
  response.once('close', () => mine.delete(response))
  response.writeHead(200, { 'content-type': JSON_TYPE })
  response.write(frameOf('ADDED', objects.get(name)!.bytes))
}

async function remove(name: string, response: ServerResponse): Promise<void> {
  const { revision, bytes } = objects.get(name)!
  await store.delete(`${KEY_PREFIX}${name}`, { ifRevision: revision })
  objects.delete(name)
  send(response, 200, bytes)
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'https://localhost')
  if (!pathname.startsWith(LOADS)) {
    send(response, 201, '{}')
    return
  }
  const name = pathname.slice(LOADS.length + 1)
  if (request.method === 'POST') return await create(request, response)
  if (request.method === 'PATCH') return await change(name, request, response)
  if (request.method === 'DELETE') return await remove(name, response)
  const followed = NAME_SELECTOR.exec(searchParams.get('fieldSelector') ?? '')?.[1]
  if (followed !== undefined) watch(followed, response)
  else if (name === '') list(response, searchParams)
  else send(response, 200, objects.get(name)!.bytes)
}

const now = new Date()
const pki = await openPki(join(folder, 'pki'), { now, tokenAlgorithm: 'ES256' })
const serving = await openServingCertificate(pki, { names: [], now })
const ca = pki.authority.certificate
const tls = { key: serving.key, cert: serving.certificate, ca, requestCert: true }
const server = createServer({ ...tls, rejectUnauthorized: false }, (request, response) => {
  answer(request, response).catch((error: unknown) => {
    process.stderr.write(`${error}\n`)
    response.destroy()
  })
})
server.listen({ host: '127.0.0.1', port: 0 }, async () => {
  const { port } = server.address() as AddressInfo
  const user = createClientCertificate(pki.authority, {
    user: 'bench',
    groups: [],
    now,
    ttlSeconds: 86_400,
  })
  const path = join(folder, 'bare.kubeconfig')
  const text = kubeconfig({ name: 'bare', server: `https://127.0.0.1:${port}`, ca, user })
  await writeFile(path, text)
  process.stdout.write(`ready ${path}\n`)
})
process.once('SIGTERM', async () => {
  server.closeAllConnections()
  server.close()
  await store.close()
})
