// One watch of etcd and its life across lost connections: it resumes after the last whole revision.
// Called by etcd.ts; calls etcd-watch-session.ts, once for each connection.

import type { WatchBatch } from './backend.ts'
import type { EtcdConnection } from './etcd-connection.ts'
import { EtcdWatchSession, Interrupted } from './etcd-watch-session.ts'

/** Over this many undelivered bytes the stream is paused, and etcd holds the rest. */
const QUEUE_BYTES_MAX = 8 * 1024 * 1024
const BATCH_OVERHEAD_BYTES = 256
const RECONNECT_MS = { first: 50, max: 2000 }
export interface EtcdWatchOptions {
  readonly connection: EtcdConnection
  readonly prefix: string
  readonly after: number
  readonly signal: AbortSignal
  /**
   * Open watches: etcd.ts wakes them when it is closed, and tells them of revisions that readers
   * wait for.
   */
  readonly watches: Set<EtcdWatch>
}

/** See Backend.watch. */
export async function* watchEtcd(
  options: EtcdWatchOptions,
): AsyncGenerator<WatchBatch, void, void> {
  const watch = new EtcdWatch(options)
  const onAbort = () => watch.wake()
  options.signal.addEventListener('abort', onAbort)
  options.watches.add(watch)
  try {
    while (!options.signal.aborted) {
      const batch = await watch.next()
      if (batch !== undefined) yield batch
    }
  } finally {
    options.signal.removeEventListener('abort', onAbort)
    options.watches.delete(watch)
    watch.stop()
  }
}

/**
 * Either *connected* (a session feeds the queue) or *waiting* to connect again. What is in the
 * queue survives a lost connection, because `position` is behind it.
 */
export class EtcdWatch {
  readonly #options: EtcdWatchOptions
  #session: EtcdWatchSession | undefined
  readonly #queue: WatchBatch[] = []
  #queueBytes = 0
  /** The last whole revision received. */
  #position: number
  #retries = 0
  /** The largest revision that somebody waits for. */
  #wanted = 0
  #wake: () => void = () => undefined
  #stopped = false

  constructor(options: EtcdWatchOptions) {
    this.#options = options
    this.#position = options.after
  }

  get position(): number {
    return this.#position
  }

  wake(): void {
    this.#wake()
  }

  /** Somebody waits until the watch has reached `revision`. */
  want(revision: number): void {
    this.#wanted = Math.max(this.#wanted, revision)
    this.#session?.want(revision)
  }

  /**
   * The next batch; undefined when the caller should look whether it is aborted. Throws what ends
   * the watch.
   */
  async next(): Promise<WatchBatch | undefined> {
    const batch = this.#queue.shift()
    if (batch !== undefined) {
      this.#queueBytes -= bytesOf(batch)
      if (this.#queueBytes < QUEUE_BYTES_MAX / 2) this.#session?.resume()
      return batch
    }
    const { connection } = this.#options
    if (connection.closed !== undefined) throw connection.closed
    this.#session ??= this.#connect()
    const { failure } = this.#session
    if (failure !== undefined) await this.#interrupted(failure)
    else await this.#sleep()
    return undefined
  }

  stop(): void {
    this.#stopped = true
    this.#session?.close()
  }

  #connect(): EtcdWatchSession {
    const { connection, prefix } = this.#options
    const session = new EtcdWatchSession({
      connection,
      prefix,
      after: this.#position,
      onBatch: batch => this.#receive(batch),
      onEnd: () => this.wake(),
    })
    session.want(this.#wanted)
    return session
  }

  #receive(batch: WatchBatch): void {
    if (this.#stopped || batch.revision <= this.#position) return
    this.#position = batch.revision
    this.#retries = 0
    const last = this.#queue.at(-1)
    if (last !== undefined && last.events.length === 0) {
      this.#queue.pop()
      this.#queueBytes -= bytesOf(last)
    }
    this.#queue.push(batch)
    this.#queueBytes += bytesOf(batch)
    if (this.#queueBytes > QUEUE_BYTES_MAX) this.#session?.pause()
    this.wake()
  }

  /** Rethrows what cannot be mended by connecting again; otherwise waits a little. */
  async #interrupted(failure: Error): Promise<void> {
    this.#session?.close()
    this.#session = undefined
    if (!(failure instanceof Interrupted)) throw failure
    const delay = Math.min(RECONNECT_MS.first * 2 ** this.#retries++, RECONNECT_MS.max)
    const timer = setTimeout(() => this.wake(), delay)
    await this.#sleep()
    clearTimeout(timer)
  }

  async #sleep(): Promise<void> {
    if (this.#options.signal.aborted) return
    await new Promise<void>(resolve => {
      this.#wake = resolve
    })
  }
}

function bytesOf(batch: WatchBatch): number {
  let bytes = BATCH_OVERHEAD_BYTES
  for (const { key, value, previous } of batch.events) {
    bytes += key.length + (value?.length ?? 0) + (previous?.length ?? 0)
  }
  return bytes
}
