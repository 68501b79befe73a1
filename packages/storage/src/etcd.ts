// The engine for more than one machine: an etcd cluster, over etcd3's raw calls. Its own watcher
// and retries are not used: the one loses events on reconnect, the other repeats writes that may
// have applied. Opened by cli's `up`; calls etcd-clients.ts, etcd-connection.ts, etcd-watch.ts,
// etcd-lease.ts and compactor.ts.

import { assert } from '@podless/apimachinery'
import type { IKeyValue, IResponseOp, ITxnRequest } from 'etcd3'
import type { Backend, Entry, Page, ReadOptions, WatchBatch } from './backend.ts'
import { type CompactorOptions, startCompactor } from './compactor.ts'
import { StorageError } from './errors.ts'
import { type EtcdAccess, openClients, reachEtcd } from './etcd-clients.ts'
import { type CallContext, EtcdConnection } from './etcd-connection.ts'
import { EtcdLeases } from './etcd-lease.ts'
import { isMarker, markerKey } from './etcd-progress.ts'
import { type EtcdWatch, watchEtcd } from './etcd-watch.ts'
import { compactionMark } from './etcd-watch-session.ts'
import { type Every, everyInterval } from './timer.ts'

export interface EtcdOptions extends EtcdAccess {
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
const COMPACTION_INTERVAL_MS = 60_000
/**
 * Quiet watches learn this often how far they are, so that a reconnect does not begin before the
 * compaction mark.
 */
const PROGRESS_INTERVAL_MS = 60_000
/** etcd's default limit for a request is 1.5 MiB. */
const REQUEST_BYTES_MAX = 1.5 * 1024 * 1024
const TO_THE_END = Buffer.from([0])

/**
 * Connects to etcd. Throws StorageError `unavailable` that says what to check when no endpoint
 * answers in time.
 */
export async function openEtcd(options: EtcdOptions): Promise<Backend> {
  const now = options.now ?? Date.now
  const clients = await openClients(options)
  const callTimeoutMs = options.callTimeoutMs ?? CALL_TIMEOUT_MS
  const connection = new EtcdConnection({ ...clients, now, callTimeoutMs })
  try {
    await reachEtcd(connection, now() + (options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS))
  } catch (error) {
    connection.close()
    throw error
  }
  return new EtcdBackend(connection, { ...options, now })
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

  /**
   * Runs `operation` if the key's revision is `ifRevision`; otherwise finds out what it is, in the
   * same transaction.
   */
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
