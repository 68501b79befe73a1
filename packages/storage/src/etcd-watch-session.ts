// One stream of etcd's raw watch call, from connecting to its end: whole revisions out, fragments
// joined, progress asked for.
// Called by etcd-watch.ts; calls etcd through etcd-connection.ts, etcd-progress.ts for markers.

import { type EventEmitter, once } from 'node:events'
import type { Readable } from 'node:stream'
import type { IDuplexStream, IEvent, IWatchRequest, IWatchResponse } from 'etcd3'
import type { WatchBatch, WatchEvent } from './backend.ts'
import { StorageError } from './errors.ts'
import type { EtcdConnection, EtcdEndpoint } from './etcd-connection.ts'
import { answersProgress, isMarker, markerKey } from './etcd-progress.ts'
import { prefixEnd } from './key-order.ts'

/**
 * When a revision is wanted that no event has brought: how soon to ask, how often, and when to call
 * the stream stuck.
 */
const PROGRESS_MS = { first: 20, next: 100, stuck: 10_000 }
/** etcd's name for "to the last key". */
const TO_THE_END = Buffer.from([0])
const CREATED_TIMEOUT_MS = 10_000

/** What the library returns is a Node stream, though its type says less. */
type WatchStream = IDuplexStream<IWatchRequest, IWatchResponse> &
  Pick<Readable, 'pause' | 'resume'> &
  EventEmitter

/** The connection was lost, or the stream is stuck. The watch goes on with the next one. */
export class Interrupted extends Error {}

interface SessionOptions {
  readonly connection: EtcdConnection
  readonly prefix: string
  readonly after: number
  readonly onBatch: (batch: WatchBatch) => void
  readonly onEnd: () => void
}

/** One stream with one watch on it, from connecting to its end. */
export class EtcdWatchSession {
  readonly #options: SessionOptions
  readonly #endpoint: EtcdEndpoint
  #stream: WatchStream | undefined
  #failure: Error | undefined
  /** Events of a response whose last fragment has not come yet. */
  #fragments: IEvent[] = []
  #reached: number
  #wanted = 0
  #wantTimer: NodeJS.Timeout | undefined
  #wantedForMs = 0
  #createdTimer: NodeJS.Timeout | undefined
  #answersProgress = false
  #isPaused = false
  #closed = false

  constructor(options: SessionOptions) {
    this.#options = options
    this.#endpoint = options.connection.endpoint
    this.#reached = options.after
    this.#open().catch((error: unknown) => this.#fail(error))
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  pause(): void {
    this.#isPaused = true
    this.#stream?.pause()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#stream?.resume()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#wantTimer)
    clearTimeout(this.#createdTimer)
    // Ending first: the library resets all its connections when a stream that is still writable is
    // cancelled.
    this.#stream?.end()
    this.#stream?.cancel()
  }

  want(revision: number): void {
    if (revision <= this.#reached || this.#closed) return
    this.#wanted = Math.max(this.#wanted, revision)
    if (this.#wantTimer !== undefined) return
    this.#wantedForMs = 0
    this.#scheduleWant(PROGRESS_MS.first)
  }

  async #open(): Promise<void> {
    const { client } = this.#endpoint
    this.#createdTimer = setTimeout(
      () => this.#fail(new Interrupted('etcd did not begin the watch')),
      CREATED_TIMEOUT_MS,
    )
    // The read renews a token that expired, which opening a stream does not, and shows that the
    // member has a quorum.
    const [status] = await Promise.all([
      client.maintenance.status(),
      client.kv.range({ key: Buffer.from(this.#options.prefix || '/'), count_only: true }),
    ])
    this.#answersProgress = answersProgress(status.version)
    const stream = (await client.watchClient.watch()) as WatchStream
    if (this.#closed) {
      stream.on('error', () => undefined)
      stream.end()
      stream.cancel()
      return
    }
    this.#stream = stream
    stream.on('error', error => this.#fail(error))
    stream.on('end', () => this.#fail(new Interrupted('etcd ended the watch')))
    stream.on('data', response => this.#onResponse(response))
    stream.write({ create_request: createRequest(this.#options) })
  }

  #onResponse(response: IWatchResponse): void {
    if (this.#closed || this.#failure !== undefined) return
    if (response.created) clearTimeout(this.#createdTimer)
    if (response.canceled) {
      this.#fail(this.#cancelled(response))
      return
    }
    const { events } = response
    if (events.length === 0 && !response.fragment && this.#fragments.length === 0) {
      if (!response.created) this.#progress(Number(response.header.revision))
      return
    }
    this.#fragments.push(...events)
    if (response.fragment) return
    const whole = this.#fragments
    this.#fragments = []
    this.#deliver(whole)
  }

  #cancelled(response: IWatchResponse): Error {
    const { prefix, connection } = this.#options
    const revision = Number(response.compact_revision)
    if (revision > 0) return new StorageError('compacted', { key: prefix, revision })
    const reason = response.cancel_reason
    const message = `storage: etcd at ${connection.addresses} refused the watch: ${reason}`
    return new StorageError('unavailable', { key: prefix, message })
  }

  /** Events come ordered by revision; one revision is one batch. */
  #deliver(events: readonly IEvent[]): void {
    let start = 0
    for (let i = 1; i <= events.length; i++) {
      const revision = events[start]?.kv.mod_revision
      if (i < events.length && events[i]?.kv.mod_revision === revision) continue
      this.#deliverRevision(Number(revision), events.slice(start, i))
      start = i
    }
  }

  #deliverRevision(revision: number, events: readonly IEvent[]): void {
    // The watch begins at `after` itself, so that etcd checks it against the compaction mark.
    if (revision <= this.#reached || this.#failure !== undefined) return
    const ours = events.filter(event => !isMarker(event.kv.key))
    const incomplete = ours.find(event => isWithoutPrevious(event))
    if (incomplete !== undefined) {
      this.#fail(new StorageError('compacted', { key: this.#options.prefix, revision }))
      return
    }
    this.#reached = revision
    this.#options.onBatch({ revision, events: ours.map(watchEvent) })
  }

  #progress(revision: number): void {
    if (revision <= this.#reached) return
    this.#reached = revision
    this.#options.onBatch({ revision, events: [] })
  }

  #scheduleWant(delayMs: number): void {
    this.#wantTimer = setTimeout(() => {
      this.#wantTimer = undefined
      if (this.#closed || this.#reached >= this.#wanted) return
      // While the consumer is behind, what is wanted may be waiting in the stream.
      if (!this.#isPaused) {
        this.#wantedForMs += delayMs
        if (this.#wantedForMs > PROGRESS_MS.stuck) {
          this.#fail(new Interrupted('etcd sends neither events nor progress'))
          return
        }
        this.#ask()
      }
      this.#scheduleWant(PROGRESS_MS.next)
    }, delayMs)
  }

  #ask(): void {
    if (this.#answersProgress) {
      this.#stream?.write({ progress_request: {} })
      return
    }
    const key = markerKey(this.#options.prefix)
    const put = this.#endpoint.client.kv.put({ key, value: Buffer.alloc(0) })
    // The next look asks again, and a stream that stays silent is given up.
    put.catch(() => undefined)
  }

  #fail(error: unknown): void {
    if (this.#closed || this.#failure !== undefined) return
    const { connection } = this.#options
    if (error instanceof StorageError) {
      this.#failure = error
    } else if (connection.classify(error) === 'refused') {
      const refused = connection.unavailable(error, { key: this.#options.prefix }, false)
      this.#failure = refused instanceof Error ? refused : new Error(String(refused))
    } else {
      connection.rotate(this.#endpoint)
      this.#failure = new Interrupted('the watch was interrupted', { cause: error })
    }
    this.#options.onEnd()
  }
}

function createRequest({ prefix, after }: { prefix: string; after: number }) {
  const key = prefix === '' ? TO_THE_END : Buffer.from(prefix)
  return {
    key,
    range_end: prefixEnd(Buffer.from(prefix)) ?? TO_THE_END,
    start_revision: Math.max(after, 1),
    prev_kv: true,
    fragment: true,
  }
}

/** etcd leaves the previous value out when compaction was faster than the watch. */
function isWithoutPrevious({ type, kv, prev_kv }: IEvent): boolean {
  if ((prev_kv as IEvent['prev_kv'] | null) !== null) return false
  return type === 'Delete' || kv.create_revision !== kv.mod_revision
}

function watchEvent({ type, kv, prev_kv }: IEvent): WatchEvent {
  const before = prev_kv as IEvent['prev_kv'] | null
  return {
    type: type === 'Delete' ? 'delete' : 'put',
    key: kv.key.toString(),
    ...(type !== 'Delete' && { value: kv.value }),
    ...(before && { previous: before.value, previousRevision: Number(before.mod_revision) }),
  }
}

/**
 * The mark that makes `revision` unreadable, asked of etcd by a watch from there; 0 when there is
 * none.
 */
export async function compactionMark(endpoint: EtcdEndpoint, revision: number): Promise<number> {
  const stream = (await endpoint.client.watchClient.watch()) as WatchStream
  try {
    const key = Buffer.from('\0')
    stream.write({ create_request: { key, start_revision: Math.max(revision, 1) } })
    for (;;) {
      const [response]: IWatchResponse[] = await once(stream, 'data')
      if (response === undefined || response.canceled) return Number(response?.compact_revision)
      if (!response.created) return 0
    }
  } finally {
    stream.on('error', () => undefined)
    stream.end()
    stream.cancel()
  }
}
