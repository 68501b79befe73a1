// Replays what a real istiod sent from its start until a VM had come and gone, and expects the recorded answers.
// Needs no binaries; record.ts made the trace.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { isObject, type JsonValue } from '../../../packages/apimachinery/src/index.ts'
import {
  type ApiAnswer,
  ApiClient,
  type ApiRequest,
  eventReader,
  type WatchStream,
} from '../../harness/api-client.ts'
import { until } from '../../harness/child-process.ts'
import { startServer, type TestServer } from '../../harness/server.ts'
import { type DenyingWebhook, denyingWebhook } from './denying-webhook.ts'
import { installMinimalIstio, metadataOf, vmToken } from './minimal-istio.ts'
import { readTrace, type TraceEntry } from './trace.ts'

const INITIAL_EVENTS_END = 'k8s.io/initial-events-end'
const FRAME_PREFIX_BYTES = 4
const OWNER = '/apis/networking.istio.io/v1/namespaces/vm/workloadgroups/app'
const VALIDATING = '/validatingwebhookconfigurations/'

const pathOf = (entry: TraceEntry): string => entry.path.split('?')[0] ?? ''
const queryOf = (entry: TraceEntry): URLSearchParams =>
  new URL(entry.path, 'https://localhost').searchParams
const isWatch = (entry: TraceEntry): boolean => queryOf(entry).get('watch') === 'true'
const isBuiltIn = (entry: TraceEntry): boolean => !pathOf(entry).includes('.istio.io/')

/** The API's objects, as istiod's last answer showed them, stand in for the `$` values of the trace. */
class Replay {
  readonly streams: WatchStream[] = []
  readonly #client: ApiClient
  readonly #webhook: DenyingWebhook
  readonly #values = new Map<string, string>()

  constructor(client: ApiClient, webhook: DenyingWebhook) {
    this.#client = client
    this.#webhook = webhook
  }

  async prepare(): Promise<void> {
    await installMinimalIstio(this.#client)
    const owner = metadataOf(await this.#client.send({ path: OWNER }))
    this.#values.set('$owner', String(owner.uid))
    this.#values.set('$token', await vmToken(this.#client, 'istio-ca'))
    this.#values.set('$ca', Buffer.from(this.#webhook.ca).toString('base64'))
  }

  /** Sends one recorded request and returns its answer. */
  async send(entry: TraceEntry): Promise<ApiAnswer> {
    // The first denial was recorded when istiod's webhook had begun to answer.
    if (entry.status === 400) this.#webhook.answer()
    return await this.#client.send(await this.#request(entry))
  }

  /** Opens a recorded watch and returns its bytes once the initial state has ended. */
  async watch(entry: TraceEntry): Promise<{ stream: WatchStream; bytes: Buffer }> {
    const chunks: Buffer[] = []
    const stream = await this.#client.watch(await this.#request(entry), bytes => {
      chunks.push(bytes)
    })
    this.streams.push(stream)
    const bytes = await until(`the initial state of ${entry.path} ends`, () => {
      const all = Buffer.concat(chunks)
      return all.includes(INITIAL_EVENTS_END) ? all : undefined
    })
    return { stream, bytes }
  }

  async #request({ method, path, accept, contentType, body }: TraceEntry): Promise<ApiRequest> {
    const filled = body === undefined ? undefined : JSON.stringify(await this.#fill(path, body))
    return {
      method,
      path,
      headers: {
        ...(accept === undefined ? {} : { accept }),
        ...(contentType === undefined ? {} : { 'content-type': contentType }),
      },
      ...(filled === undefined ? {} : { body: filled }),
    }
  }

  async #fill(path: string, body: JsonValue): Promise<JsonValue> {
    const text = JSON.stringify(body)
    if (!/"\$(live|stale)"/.test(text)) return this.#replace(body, {})
    const live = metadataOf(await this.#client.send({ path: path.replace(/\/status$/, '') }))
    return this.#replace(body, {
      resourceVersion: String(live.resourceVersion),
      uid: String(live.uid),
    })
  }

  #replace(value: JsonValue, live: Readonly<Record<string, string>>, key = ''): JsonValue {
    if (value === '$live') return live[key] ?? ''
    if (value === '$stale') return '1'
    if (typeof value === 'string') return this.#values.get(value) ?? value
    if (Array.isArray(value)) return value.map(item => this.#replace(item, live))
    if (!isObject(value)) return value
    return Object.fromEntries(
      Object.entries(value).map(([name, child]) => [
        name,
        child === undefined ? child : this.#replace(child, live, name),
      ]),
    )
  }
}

/** Splits a protobuf watch into its frames. Throws when the last one is cut. */
function framesOf(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + FRAME_PREFIX_BYTES + bytes.readUInt32BE(at)
    assert(end <= bytes.length, 'a frame is cut')
    frames.push(bytes.subarray(at + FRAME_PREFIX_BYTES, end))
    at = end
  }
  return frames
}

function assertEndsInBookmark(entry: TraceEntry, bytes: Buffer): void {
  if (isBuiltIn(entry)) {
    const frames = framesOf(bytes)
    const marked = frames.filter(frame => frame.includes(INITIAL_EVENTS_END))
    assert.deepEqual(marked, frames.slice(-1), entry.path)
    assert(marked[0]?.includes('BOOKMARK'), entry.path)
    return
  }
  const types: string[] = []
  eventReader(({ type, object }) => {
    const ends = object.metadata.annotations?.[INITIAL_EVENTS_END] === 'true'
    types.push(ends ? `${type} that ends` : type)
  })(bytes)
  assert.equal(types.pop(), 'BOOKMARK that ends', entry.path)
  assert(
    types.every(type => type === 'ADDED'),
    entry.path,
  )
}

/** istiod accepts protobuf before JSON. Custom resources have no protobuf form; an error's Status always has. */
function assertMedia(entry: TraceEntry, contentType: string | undefined): void {
  const hasProtobuf = isBuiltIn(entry) || entry.status >= 400
  const wanted = hasProtobuf ? 'application/vnd.kubernetes.protobuf' : 'application/json'
  assert.equal(contentType?.split(';')[0], wanted, `${entry.method} ${entry.path}`)
}

describe('the recorded start of istiod', () => {
  const trace = readTrace()
  const webhook = denyingWebhook(new Date())
  let server: TestServer
  let client: ApiClient
  let replay: Replay

  before(async () => {
    const port = await webhook.listen()
    server = await startServer({ serviceResolver: { 'istiod.istio-system': `127.0.0.1:${port}` } })
    client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
    replay = new Replay(client, webhook)
    await replay.prepare()
  })
  after(async () => {
    for (const stream of replay.streams) stream.close()
    webhook.close()
    client.close()
    await server.close()
  })

  it('gets the recorded answers, in the recorded order', async () => {
    for (const entry of trace) {
      if (isWatch(entry)) {
        const { stream, bytes } = await replay.watch(entry)
        assert.equal(stream.status, entry.status, entry.path)
        assertMedia(entry, stream.headers['content-type'])
        assertEndsInBookmark(entry, bytes)
        continue
      }
      const answer = await replay.send(entry)
      const what = `${entry.method} ${entry.path}: ${answer.bytes.toString('latin1')}`
      assert.equal(answer.status, entry.status, what)
      assertMedia(entry, answer.headers['content-type'])
    }
  })

  it('asked the webhook on dry runs, and left it failing closed', async () => {
    assert.deepEqual(new Set(webhook.reviews), new Set([true]))
    const [put] = trace.filter(({ method, path }) => method === 'PUT' && path.includes(VALIDATING))
    assert(put)
    const { webhooks } = (await client.send({ path: put.path })).json()
    assert(Array.isArray(webhooks) && isObject(webhooks[0]))
    assert.equal(webhooks[0].failurePolicy, 'Fail')
  })

  it('left no WorkloadEntry of the VM that went', async () => {
    const path = '/apis/networking.istio.io/v1/workloadentries'
    assert.deepEqual((await client.send({ path })).json().items, [])
  })

  it('keeps every watch open', () => {
    assert.equal(replay.streams.length, trace.filter(isWatch).length)
    assert(replay.streams.length > 30)
  })
})
