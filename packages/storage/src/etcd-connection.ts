// Calls to etcd: which endpoint, for how long, and what a failure means. Calls are never repeated
// when they may have taken effect. Called by etcd.ts and etcd-watch.ts; given its clients by
// etcd-clients.ts, which alone loads the library.

import type { Etcd3 } from 'etcd3'
import { StorageError } from './errors.ts'
import { reasonOf } from './etcd-reason.ts'

/** One endpoint and the client that speaks to it alone. */
export interface EtcdEndpoint {
  readonly address: string
  readonly client: Etcd3
}

/** What an error of the library says, by its class. */
export type EtcdFailure =
  /** No answer, or one that says nothing of the outcome. */
  | 'unreachable'
  | 'outOfRange'
  | 'tooLarge'
  | 'exhausted'
  | 'leaseGone'
  /** Credentials or permissions; nothing was done. */
  | 'refused'

export type ClassifyFailure = (error: unknown) => EtcdFailure

export interface EtcdConnectionOptions {
  readonly endpoints: readonly EtcdEndpoint[]
  readonly classify: ClassifyFailure
  /** The wall clock: gRPC's deadlines are points in time. */
  readonly now: () => number
  readonly callTimeoutMs: number
}

export interface CallContext {
  readonly key?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** gRPC's, which the library does not export. */
type CallOptions = NonNullable<Parameters<Etcd3['kv']['range']>[1]>
type Call<T> = (client: Etcd3, options: CallOptions) => Promise<T>

export class EtcdConnection {
  readonly #endpoints: readonly EtcdEndpoint[]
  readonly #options: EtcdConnectionOptions
  #preferred = 0
  #closed: StorageError | undefined

  constructor(options: EtcdConnectionOptions) {
    this.#endpoints = options.endpoints
    this.#options = options
  }

  get closed(): StorageError | undefined {
    return this.#closed
  }

  /** Where calls go now. All go to one endpoint, until one fails there. */
  get endpoint(): EtcdEndpoint {
    const endpoint = this.#endpoints[this.#preferred % this.#endpoints.length]
    if (endpoint === undefined) throw new RangeError('an etcd store needs an endpoint')
    return endpoint
  }

  get endpoints(): readonly EtcdEndpoint[] {
    return this.#endpoints
  }

  get addresses(): string {
    return this.#endpoints.map(({ address }) => address).join(', ')
  }

  now(): number {
    return this.#options.now()
  }

  classify(error: unknown): EtcdFailure {
    return this.#options.classify(error)
  }

  /** Turns to the next endpoint, unless another caller already did since `failed` was current. */
  rotate(failed: EtcdEndpoint): void {
    if (failed === this.endpoint) this.#preferred = (this.#preferred + 1) % this.#endpoints.length
  }

  /**
   * A call that may be repeated: it goes once to each endpoint, and once more. Rejects with the
   * library's error.
   */
  async read<T>(call: Call<T>, context: CallContext = {}): Promise<T> {
    for (let left = this.#endpoints.length; ; left--) {
      const { endpoint } = this
      try {
        return await this.#once(endpoint, call, context)
      } catch (error) {
        if (left === 0 || !this.#isPassing(error, context)) throw error
        this.rotate(endpoint)
      }
    }
  }

  /** A call that must not be repeated. Rejects with the library's error. */
  async write<T>(call: Call<T>, context: CallContext = {}): Promise<T> {
    const { endpoint } = this
    try {
      return await this.#once(endpoint, call, context)
    } catch (error) {
      if (this.#isPassing(error, context)) this.rotate(endpoint)
      throw error
    }
  }

  /** What callers of the engine get for an error that means nothing more special. */
  unavailable(error: unknown, { key = '' }: CallContext, isWrite: boolean): unknown {
    if (error instanceof StorageError) return error
    const isUncertain = isWrite && this.classify(error) === 'unreachable'
    const outcome = isUncertain ? ' Whether the write took effect is not known.' : ''
    return new StorageError('unavailable', {
      key,
      message: `storage: etcd at ${this.addresses} did not do it: ${reasonOf(error)}.${outcome}`,
      cause: error,
    })
  }

  close(): void {
    this.#closed = new StorageError('unavailable', { message: 'storage: the store is closed' })
    for (const { client } of this.#endpoints) client.close()
  }

  async #once<T>(endpoint: EtcdEndpoint, call: Call<T>, { signal }: CallContext): Promise<T> {
    signal?.throwIfAborted()
    if (this.#closed !== undefined) throw this.#closed
    const deadline = this.#options.now() + this.#options.callTimeoutMs
    try {
      return await abortable(call(endpoint.client, { deadline }), signal)
    } catch (error) {
      throw this.#closed ?? error
    }
  }

  #isPassing(error: unknown, { signal }: CallContext): boolean {
    if (error === this.#closed || signal?.aborted === true) return false
    return this.classify(error) === 'unreachable'
  }
}

/**
 * Rejects with the signal's reason as soon as it aborts; the library's calls cannot be cancelled.
 */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
