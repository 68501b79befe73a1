// Records what an istiod asks of the API server, one JSON line a request, for test/fixtures/istiod-start.jsonl.
// Usage: node test/conformance/istiod/record.ts ADMIN_KUBECONFIG PORT FILE
// Then run istiod with a kubeconfig whose server is http://127.0.0.1:PORT; requests go on with the admin's certificate.

import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Agent, request } from 'node:https'
import { pathToFileURL } from 'node:url'
import {
  isObject,
  type JsonObject,
  type JsonValue,
} from '../../../packages/apimachinery/src/index.ts'
import { accessOf } from '../../harness/api-client.ts'
import type { TraceEntry } from './trace.ts'

/** Longer strings are replaced: certificates and other projects' texts do not belong in a fixture. */
const TEXT_MAX = 300
const PLACEHOLDER = 'recorded'
/** Values of one run, which a replay fills in with its own: field name -> placeholder. */
const LIVE: Readonly<Record<string, string>> = {
  resourceVersion: '$live',
  uid: '$live',
  token: '$token',
  caBundle: '$ca',
}
/** What other projects' manifests add and no request depends on. */
const DROPPED =
  /^(managedFields|helm\.sh\/|app\.kubernetes\.io\/|operator\.istio\.io\/|install\.|kubectl\.)/

/** Serves plain HTTP on the loopback port until the process ends. */
export function record(kubeconfigPath: string, port: number, file: string): void {
  const access = accessOf(readFileSync(kubeconfigPath, 'utf8'))
  const agent = new Agent({
    keepAlive: true,
    ca: access.ca,
    cert: access.certificate,
    key: access.key,
  })
  writeFileSync(file, '')
  createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const body = Buffer.concat(chunks)
      const url = new URL(incoming.url ?? '/', access.url)
      const { host: _host, connection: _connection, ...headers } = incoming.headers
      const forwarded = request(url, { method: incoming.method, headers, agent }, answer => {
        appendFileSync(file, `${JSON.stringify(entryOf(incoming, body, answer))}\n`)
        passOn(answer, outgoing)
      })
      forwarded.on('error', () => outgoing.destroy())
      outgoing.on('close', () => forwarded.destroy())
      forwarded.end(body)
    })
  }).listen(port, '127.0.0.1')
}

function passOn(answer: IncomingMessage, outgoing: ServerResponse): void {
  outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
  outgoing.flushHeaders()
  answer.on('error', () => outgoing.destroy())
  answer.pipe(outgoing)
}

function entryOf(incoming: IncomingMessage, body: Buffer, answer: IncomingMessage): TraceEntry {
  const { accept, 'content-type': contentType } = incoming.headers
  return {
    method: incoming.method ?? 'GET',
    path: incoming.url ?? '/',
    ...(accept === undefined ? {} : { accept }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(body.length === 0 ? {} : { body: bodyOf(body, answer.statusCode === 409) }),
    status: answer.statusCode ?? 0,
  }
}

/** A refused update was made of an older object: the replay has to send an older resourceVersion too. */
function bodyOf(bytes: Buffer, refused: boolean): JsonValue {
  const body = minimal(JSON.parse(bytes.toString()) as JsonValue)
  if (!refused || !isObject(body) || !isObject(body.metadata)) return body
  const { resourceVersion } = body.metadata
  if (resourceVersion !== undefined) body.metadata.resourceVersion = '$stale'
  return body
}

/** The same shape with short texts and without what only one run has. */
function minimal(value: JsonValue, key = ''): JsonValue {
  if (typeof value === 'string') {
    return LIVE[key] ?? (value.length > TEXT_MAX ? shortened(value) : value)
  }
  if (Array.isArray(value)) {
    // One webhook tells as much as four that differ in their selectors.
    const items = (key === 'webhooks' ? value.slice(0, 1) : value).map(item => minimal(item))
    return key === 'ownerReferences' ? items.map(owned) : items
  }
  if (!isObject(value)) return value
  const kept: JsonObject = {}
  for (const [name, child] of Object.entries(value)) {
    if (!DROPPED.test(name) && child !== undefined) kept[name] = minimal(child, name)
  }
  return kept
}

const owned = (reference: JsonValue): JsonValue =>
  isObject(reference) ? { ...reference, uid: '$owner' } : reference

/** Keeps base64 base64, so that Secrets and CA bundles stay valid. */
function shortened(text: string): string {
  const isBase64 = /^[A-Za-z0-9+/]+=*$/.test(text)
  return isBase64 ? Buffer.from(PLACEHOLDER).toString('base64') : PLACEHOLDER
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [kubeconfig = '', port = '0', file = ''] = process.argv.slice(2)
  record(kubeconfig, Number(port), file)
}
