// The engine for more than one machine: an etcd cluster, over etcd3's raw calls. Its own watcher and retries are not used:
// the one loses events on reconnect, the other repeats writes that may have applied.
// Opened by cli's `up`; calls etcd-connection.ts, etcd-watch.ts, etcd-lease.ts and compactor.ts.

import { assert } from '@podless/apimachinery'
import type { IKeyValue, IOptions, IResponseOp, ITxnRequest } from 'etcd3'
import type { Backend, Entry, Page, ReadOptions, WatchBatch } from './backend.ts'
import { type CompactorOptions, startCompactor } from './compactor.ts'
import { StorageError } from './errors.ts'
import {
  type CallContext,
  type ClassifyFailure,
  EtcdConnection,
  type EtcdEndpoint,
} from './etcd-connection.ts'
import { EtcdLeases } from './etcd-lease.ts'
import { isMarker, markerKey } from './etcd-progress.ts'
import { compactionMark, type EtcdWatch, watchEtcd } from './etcd-watch.ts'
import { type Every, everyInterval } from './timer.ts'

export interface EtcdOptions {
  /** `http://host:port` or `https://host:port`, all of one scheme. */
  readonly endpoints: readonly string[]
  /** PEM. `ca`: who signs etcd's certificate; `cert` and `key`: this server's own. */
  readonly tls?: { readonly ca: Buffer; readonly cert?: Buffer; readonly key?: Buffer }
  readonly username?: string
  readonly password?: string
  /** The wall clock in milliseconds; deadlines of calls depend on it. */
  readonly now?: () => number
  /** The timer of the compactor and of the look whether watches are alive. */
  readonly every?: Every
  /** How long to look for etcd at the start. Default 5 s. */
  readonly connectTimeoutMs?: number
  /** How long one call may take. Default 10 s. */
  readonly callTimeoutMs?: number
  /** How much history to keep; false: somebody else compacts this etcd. */
  readonly compaction?: Pick<CompactorOptions, 'historyMs' | 'revisionsMax' | 'intervalMs'> | false
}

const CONNECT_TIMEOUT_MS = 5000
const CALL_TIMEOUT_MS = 10_000
/** Between two tries to reach an endpoint at the start. */
const RETRY_MS = 200
const COMPACTION_INTERVAL_MS = 60_000
/** Quiet watches learn this often how far they are, so that a reconnect does not begin before the compaction mark. */
const PROGRESS_INTERVAL_MS = 60_000
/** etcd's default limit for a request is 1.5 MiB. */
const REQUEST_BYTES_MAX = 1.5 * 1024 * 1024
const TO_THE_END = Buffer.from([0])

const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
}

/** Connects to etcd. Throws StorageError `unavailable` that says what to check when no endpoint answers in time. */
export async function openEtcd(options: EtcdOptions): Promise<Backend> {
  const now = options.now ?? Date.now
  const { endpoints, classify } = await openClients(options)
  const callTimeoutMs = options.callTimeoutMs ?? CALL_TIMEOUT_MS
  const connection = new EtcdConnection({ endpoints, classify, now, callTimeoutMs })
  try {
    await reach(connection, endpoints, now() + (options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS))
  } catch (error) {
    connection.close()
    throw error
  }
  return new EtcdBackend(connection, { ...options, now })
}

/** Loads the library, which takes a while and some memory: those who use no etcd never pay for it. */
async function openClients(options: EtcdOptions) {
  const [library, { noop }] = await Promise.all([import('etcd3'), import('cockatiel')])
  const { username, password = '', tls } = options
  const clientOptions = (address: string): IOptions => ({
    hosts: address,
    grpcOptions: CHANNEL_OPTIONS,
    faultHandling: { host: () => noop, global: noop },
    ...(username !== undefined && { auth: { username, password } }),
    ...(tls !== undefined && {
      credentials: {
        rootCertificate: tls.ca,
        ...(tls.key && { privateKey: tls.key }),
        ...(tls.cert && { certChain: tls.cert }),
      },
    }),
  })
  const endpoints = options.endpoints.map(
    (address): EtcdEndpoint => ({ address, client: new library.Etcd3(clientOptions(address)) }),
  )
  return { endpoints, classify: classifier(library) }
}

function classifier(library: typeof import('etcd3')): ClassifyFailure {
  const refusals = [
    library.EtcdPermissionDeniedError,
    library.EtcdAuthenticationFailedError,
    library.GRPCUnauthenticatedError,
    library.GRPCFailedPreconditionError,
  ]
  return error => {
    if (error instanceof library.GRPCOutOfRangeError) return 'outOfRange'
    if (error instanceof library.GRPCInvalidArgumentError) return 'tooLarge'
    if (error instanceof library.GRPCResourceExhastedError) return 'exhausted'
    if (error instanceof library.EtcdLeaseInvalidError) return 'leaseGone'
    return refusals.some(refusal => error instanceof refusal) ? 'refused' : 'unreachable'
  }
}

/** Waits until any endpoint answers a read that needs a quorum: etcd may be starting at the same time. */
async function reach(
  connection: EtcdConnection,
  endpoints: readonly EtcdEndpoint[],
  deadline: number,
): Promise<void> {
  try {
    const first = await Promise.any(
      endpoints.map(endpoint => reachOne(connection, endpoint, deadline)),
    )
    while (connection.endpoint !== first) connection.rotate(connection.endpoint)
  } catch (cause) {
    const reasons =
      cause instanceof AggregateError ? cause.errors.map(messageOf) : [messageOf(cause)]
    throw new StorageError('unavailable', {
      message:
        `etcd cannot be reached at ${connection.addresses}: ${[...new Set(reasons)].join('; ')}. ` +
        'Check that etcd runs there and has a leader, that the address and scheme (http or https) are right, ' +
        'and that the certificates or the password are accepted.',
      cause,
    })
  }
}

/** Tries until the deadline; rejects with the first reason, which says more than that time ran out. */
async function reachOne(
  connection: EtcdConnection,
  endpoint: EtcdEndpoint,
  deadline: number,
): Promise<EtcdEndpoint> {
  const request = { key: Buffer.from('podless'), count_only: true }
  let reason: unknown
  for (;;) {
    try {
      await endpoint.client.kv.range(request, { deadline })
      return endpoint
    } catch (error) {
      reason ??= error
      const isOver = connection.now() + RETRY_MS >= deadline
      if (isOver || connection.classify(error) !== 'unreachable') throw reason
    }
    await new Promise<void>(resolve => setTimeout(resolve, RETRY_MS))
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

class EtcdBackend implements Backend {
  readonly #connection: EtcdConnection
  readonly #leases: EtcdLeases
  readonly #watches = new Set<EtcdWatch>()
  readonly #stops: (() => void)[]

  constructor(connection: EtcdConnection, options: EtcdOptions & { now: () => number }) {
    const { now, compaction } = options
    const every = options.every ?? everyInterval
    this.#connection = connection
    this.#leases = new EtcdLeases(connection, now)
    this.#stops = [every(PROGRESS_INTERVAL_MS, () => void this.#look())]
    if (compaction !== false) {
      const intervalMs = compaction?.intervalMs ?? COMPACTION_INTERVAL_MS
      this.#stops.push(startCompactor(this, { ...compaction, intervalMs, now, every }).stop)
    }
  }

  async get(key: string, options: ReadOptions = {}) {
    const page = await this.#range({ key: Buffer.from(key) }, key, options)
    return { entry: page.entries[0], revision: page.revision }
  }

  async list(
    prefix: string,
    options: ReadOptions & { after?: string; limit?: number } = {},
  ): Promise<Page> {
    const { after, limit = 0 } = options
    const first = prefix === '' ? TO_THE_END : Buffer.from(prefix)
    const next = after === undefined ? first : Buffer.from(`${after}\0`)
    const key = Buffer.compare(next, first) > 0 ? next : first
    // Marker keys sort last under their prefix and stay outside of the range.
    const end = prefix === '' ? TO_THE_END : markerKey(prefix)
    if (prefix !== '' && Buffer.compare(key, end) >= 0) {
      const { revision } = await this.#range({ key: first }, prefix, options)
      return { entries: [], revision, more: false, remaining: 0 }
    }
    return this.#range({ key, range_end: end, limit }, prefix, options)
  }

  async revision(options: { signal?: AbortSignal } = {}): Promise<number> {
    const request = { key: Buffer.from('podless'), count_only: true }
    const { signal } = options
    try {
      const { header } = await this.#connection.read(
        (client, callOptions) => client.kv.range(request, callOptions),
        { signal },
      )
      const revision = Number(header.revision)
      for (const watch of this.#watches) watch.want(revision)
      return revision
    } catch (error) {
      signal?.throwIfAborted()
      throw this.#connection.unavailable(error, {}, false)
    }
  }

  async put(
    key: string,
    value: Uint8Array,
    options: { ifRevision: number; ttlSeconds?: number; signal?: AbortSignal },
  ): Promise<number> {
    assert(key !== '', 'storage: a key must not be empty')
    const { ifRevision, ttlSeconds, signal } = options
    const context = { key, signal, bytes: value.length }
    for (let isFirst = true; ; isFirst = false) {
      const lease = ttlSeconds === undefined ? '0' : await this.#lease(ttlSeconds, context)
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      const put = { request_put: { key: Buffer.from(key), value: bytes, lease } }
      const outcome = await this.#txn(key, ifRevision, put, context)
      if (outcome.type === 'applied') return outcome.revision
      if (outcome.type === 'leaseGone') {
        this.#leases.drop(lease)
        if (isFirst) continue
        throw new StorageError('unavailable', { key, message: 'storage: etcd forgot a new lease' })
      }
      if (ifRevision === 0) throw new StorageError('exists', { key })
      throw new StorageError('conflict', { key, revision: outcome.revision })
    }
  }

  async delete(
    key: string,
    options: { ifRevision: number; signal?: AbortSignal },
  ): Promise<number> {
    const { ifRevision, signal } = options
    const remove = { request_delete_range: { key: Buffer.from(key) } }
    // No key is at revision -1: a delete of revision 0 must not succeed by finding nothing.
    const expected = ifRevision === 0 ? -1 : ifRevision
    const outcome = await this.#txn(key, expected, remove, { key, signal, bytes: 0 })
    if (outcome.type === 'applied') return outcome.revision
    assert(outcome.type === 'differs', 'storage: a delete has no lease')
    if (outcome.revision === 0) throw new StorageError('notFound', { key })
    throw new StorageError('conflict', { key, revision: outcome.revision })
  }

  watch(
    prefix: string,
    options: { after: number; signal: AbortSignal },
  ): AsyncIterable<WatchBatch> {
    return watchEtcd({
      connection: this.#connection,
      watches: this.#watches,
      prefix,
      ...options,
    })
  }

  async compact(revision: number): Promise<void> {
    try {
      await this.#connection.read((client, options) =>
        client.kv.compact({ revision, physical: false }, options),
      )
    } catch (error) {
      if (this.#connection.classify(error) !== 'outOfRange') {
        throw this.#connection.unavailable(error, {}, false)
      }
      const current = await this.revision()
      if (revision > current) throw new StorageError('futureRevision', { revision: current })
      // Otherwise it was compacted before.
    }
  }

  async close(): Promise<void> {
    if (this.#connection.closed !== undefined) return
    for (const stop of this.#stops) stop()
    this.#connection.close()
    for (const watch of this.#watches) watch.wake()
  }

  async #look(): Promise<void> {
    try {
      if (this.#watches.size > 0) await this.revision()
    } catch (error) {
      // Watches connect again by themselves; this look only helps those that hear nothing.
      if (!(error instanceof StorageError)) throw error
    }
  }

  async #range(
    request: { key: Buffer; range_end?: Buffer; limit?: number },
    key: string,
    { revision, signal }: ReadOptions,
  ): Promise<Page> {
    const context = { key, signal }
    try {
      const response = await this.#connection.read(
        (client, options) =>
          client.kv.range({ ...request, ...(revision !== undefined && { revision }) }, options),
        context,
      )
      const last = response.kvs.at(-1)
      const entries = response.kvs.filter(kv => !isMarker(kv.key)).map(entryOf)
      const current = Number(response.header.revision)
      return {
        entries,
        revision: revision ?? current,
        more: response.more && last !== undefined,
        remaining: Number(response.count) - response.kvs.length,
      }
    } catch (error) {
      signal?.throwIfAborted()
      throw await this.#readError(error, context, revision ?? 0)
    }
  }

  async #readError(error: unknown, context: CallContext, revision: number): Promise<unknown> {
    if (this.#connection.classify(error) !== 'outOfRange') {
      return this.#connection.unavailable(error, context, false)
    }
    const { key = '' } = context
    const current = await this.revision()
    if (revision > current) return new StorageError('futureRevision', { key, revision: current })
    const mark = await compactionMark(this.#connection.endpoint, revision).catch(() => 0)
    return new StorageError('compacted', { key, revision: mark })
  }

  async #lease(ttlSeconds: number, context: CallContext): Promise<string> {
    try {
      return await this.#leases.get(ttlSeconds)
    } catch (error) {
      throw this.#connection.unavailable(error, context, false)
    }
  }

  /** Runs `operation` if the key's revision is `ifRevision`; otherwise finds out what it is, in the same transaction. */
  async #txn(
    key: string,
    ifRevision: number,
    operation: NonNullable<ITxnRequest['success']>[number],
    context: CallContext & { bytes: number },
  ): Promise<TxnOutcome> {
    const keyBytes = Buffer.from(key)
    const request: ITxnRequest = {
      compare: [{ key: keyBytes, target: 'Mod', result: 'Equal', mod_revision: ifRevision }],
      success: [operation],
      failure: [{ request_range: { key: keyBytes, keys_only: true } }],
    }
    try {
      const response = await this.#connection.write(
        (client, options) => client.kv.txn(request, options),
        context,
      )
      if (response.succeeded) return { type: 'applied', revision: Number(response.header.revision) }
      return { type: 'differs', revision: revisionIn(response.responses) }
    } catch (error) {
      context.signal?.throwIfAborted()
      if (this.#connection.classify(error) === 'leaseGone') return { type: 'leaseGone' }
      throw this.#writeError(error, context)
    }
  }

  #writeError(error: unknown, context: CallContext & { bytes: number }): unknown {
    const failure = this.#connection.classify(error)
    // A server whose disk quota is used up says "exhausted" too, whatever the size.
    const isTooLarge =
      failure === 'tooLarge' || (failure === 'exhausted' && context.bytes > REQUEST_BYTES_MAX)
    if (!isTooLarge) return this.#connection.unavailable(error, context, true)
    return new StorageError('tooLarge', {
      key: context.key ?? '',
      message: `storage: a value of ${context.bytes} bytes is over etcd's limit for a request`,
      cause: error,
    })
  }
}

type TxnOutcome =
  | { readonly type: 'applied'; readonly revision: number }
  /** The key is at another revision; 0: there is none. */
  | { readonly type: 'differs'; readonly revision: number }
  | { readonly type: 'leaseGone' }

function revisionIn(responses: readonly IResponseOp[]): number {
  return Number(responses[0]?.response_range.kvs[0]?.mod_revision ?? 0)
}

function entryOf(kv: IKeyValue): Entry {
  return { key: kv.key.toString(), value: kv.value, revision: Number(kv.mod_revision) }
}
