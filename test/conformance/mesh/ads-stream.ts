// One stream of Envoy's aggregated discovery service (ADS) to istiod, as an agent opens it: gRPC over HTTP/2 with a token.
// Called by simulated-vms.ts. Only the few fields that registration needs are written and read.
// Ref: envoy/api/envoy/service/discovery/v3/discovery.proto; grpc/doc/PROTOCOL-HTTP2.md

import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import { Reader, ReverseWriter } from '../../../packages/apimachinery/src/codec/protobuf-wire.ts'

export interface AdsAccess {
  /** Host and port of istiod's TLS port. */
  readonly address: string
  /** The mesh's root certificate, as PEM. */
  readonly ca: string
  readonly token: string
  /** The cluster that istiod asks about the token. */
  readonly clusterId: string
}

export interface AdsNode {
  readonly id: string
  readonly metadata: Readonly<Record<string, Value>>
}

export type Value = string | { readonly [key: string]: Value }

const PATH = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources'
const SERVER_NAME = 'istiod.istio-system.svc'
const CLUSTERS = 'type.googleapis.com/envoy.config.cluster.v3.Cluster'
/** Istio's own: without an error in it, the workload's probe succeeds. Ref: istio/pkg/model/xds.go */
const HEALTH = 'type.googleapis.com/istio.v1.HealthInformation'
/** A flag for compression and four bytes of length come before each message. */
const PREFIX_BYTES = 5

export class AdsStream {
  readonly #session: ClientHttp2Session
  readonly #stream: ClientHttp2Stream
  /** Settles when the connection is no more, for whatever reason. */
  readonly closed: Promise<void>

  constructor({ address, ca, token, clusterId }: AdsAccess, node: AdsNode) {
    this.#session = connect(`https://${address}`, { ca, servername: SERVER_NAME })
    this.closed = new Promise(resolve => this.#session.on('close', resolve))
    // What fails closes the session, which is all that its owner has to know.
    this.#session.on('error', () => this.#session.destroy())
    // istiod lets a connection grow only so old.
    this.#session.on('goaway', () => this.#session.destroy())
    this.#stream = this.#session.request({
      ':method': 'POST',
      ':path': PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${token}`,
      clusterid: clusterId,
    })
    this.#stream.on('error', () => this.#session.destroy())
    this.#stream.on('close', () => this.#session.close())
    this.#stream.on(
      'data',
      reader(response => this.#take(response)),
    )
    this.#send({ typeUrl: CLUSTERS, node })
    this.#send({ typeUrl: HEALTH })
  }

  /** Says goodbye as a program does that ends in good order. */
  async close(): Promise<void> {
    if (this.#stream.closed) return
    this.#stream.end()
    await once(this.#stream, 'close')
  }

  #take({ typeUrl, version, nonce }: DiscoveryResponse): void {
    this.#send({ typeUrl, version, nonce })
  }

  #send(request: DiscoveryRequest): void {
    const message = encodeRequest(request)
    const prefix = Buffer.alloc(PREFIX_BYTES)
    prefix.writeUInt32BE(message.length, 1)
    this.#stream.write(Buffer.concat([prefix, message]))
  }
}

interface DiscoveryRequest {
  readonly typeUrl: string
  readonly node?: AdsNode
  readonly version?: string
  readonly nonce?: string
}

type DiscoveryResponse = Required<Omit<DiscoveryRequest, 'node'>>

/** Fields are written in falling order of their numbers, as ReverseWriter has it. */
function encodeRequest({ typeUrl, node, version, nonce }: DiscoveryRequest): Buffer {
  const writer = new ReverseWriter()
  if (nonce !== undefined) writeText(writer, 5, nonce)
  writeText(writer, 4, typeUrl)
  if (node !== undefined) {
    const mark = writer.length
    writeStruct(writer, 3, node.metadata)
    writeText(writer, 1, node.id)
    writer.close(2, mark)
  }
  if (version !== undefined) writeText(writer, 1, version)
  return writer.finish()
}

function writeText(writer: ReverseWriter, field: number, text: string): void {
  const mark = writer.length
  writer.text(text)
  writer.close(field, mark)
}

/** google.protobuf.Struct: a map from text to Value. */
function writeStruct(
  writer: ReverseWriter,
  field: number,
  struct: Readonly<Record<string, Value>>,
): void {
  const mark = writer.length
  for (const [key, value] of Object.entries(struct)) {
    const entry = writer.length
    writeValue(writer, 2, value)
    writeText(writer, 1, key)
    writer.close(1, entry)
  }
  writer.close(field, mark)
}

function writeValue(writer: ReverseWriter, field: number, value: Value): void {
  const mark = writer.length
  if (typeof value === 'string') writeText(writer, 3, value)
  else writeStruct(writer, 5, value)
  writer.close(field, mark)
}

/** Puts messages together again from the pieces they come in. */
function reader(onResponse: (response: DiscoveryResponse) => void): (bytes: Buffer) => void {
  let rest = Buffer.alloc(0)
  return bytes => {
    rest = Buffer.concat([rest, bytes])
    while (rest.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + rest.readUInt32BE(1)
      if (rest.length < end) return
      onResponse(decodeResponse(rest.subarray(PREFIX_BYTES, end)))
      rest = rest.subarray(end)
    }
  }
}

function decodeResponse(bytes: Buffer): DiscoveryResponse {
  const texts = new Map<number, string>()
  const message = new Reader(bytes)
  while (!message.done) {
    const { field, wireType } = message.tag()
    if (field === 1 || field === 4 || field === 5) texts.set(field, message.text())
    else message.skip(wireType)
  }
  const [version = '', typeUrl = '', nonce = ''] = [1, 4, 5].map(field => texts.get(field))
  return { version, typeUrl, nonce }
}
