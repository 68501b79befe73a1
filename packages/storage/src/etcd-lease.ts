// Leases for keys that expire. Keys of about the same time share one, because etcd pays for each.
// Called by etcd.ts; calls etcd through etcd-connection.ts.
// Ref: apiserver/pkg/storage/etcd3/lease_manager.go

import type { EtcdConnection } from './etcd-connection.ts'

/** Keys that one lease carries at most: they are all deleted in one revision. */
const LEASE_KEYS_MAX = 1000
/** How much longer than asked a key may live, so that others can share its lease. */
const SHARE_FRACTION = 0.05
const SHARE_SECONDS_MAX = 60

interface SharedLease {
  readonly id: string
  readonly ttlSeconds: number
  readonly shareUntilMs: number
  keys: number
}

export class EtcdLeases {
  readonly #connection: EtcdConnection
  readonly #now: () => number
  #last: SharedLease | undefined

  constructor(connection: EtcdConnection, now: () => number) {
    this.#connection = connection
    this.#now = now
  }

  /** The id of a lease that lasts at least `ttlSeconds` from now. */
  async get(ttlSeconds: number): Promise<string> {
    const nowMs = this.#now()
    const last = this.#last
    const isFit = last?.ttlSeconds === ttlSeconds && nowMs < last.shareUntilMs
    if (isFit && last.keys < LEASE_KEYS_MAX) {
      last.keys++
      return last.id
    }
    const share = Math.min(SHARE_SECONDS_MAX, Math.ceil(ttlSeconds * SHARE_FRACTION))
    const granted = await this.#connection.write((client, options) =>
      client.leaseClient.leaseGrant({ TTL: ttlSeconds + share, ID: 0 }, options),
    )
    const shareUntilMs = nowMs + share * 1000
    this.#last = { id: granted.ID, ttlSeconds, shareUntilMs, keys: 1 }
    return granted.ID
  }

  /** Forgets the shared lease: etcd does not know it any more. */
  drop(id: string): void {
    if (this.#last?.id === id) this.#last = undefined
  }
}
