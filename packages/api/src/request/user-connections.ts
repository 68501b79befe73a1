// How many connections stand for one user at once, so that no single one takes them all, from however many addresses.
// Asked by server.ts after a handshake, for the user of the certificate, and by handler-chain.ts once a request has told who
// sends it.

import { UNAUTHENTICATED_GROUP } from '../auth/authenticate.ts'
import { PRIVILEGED_GROUP } from '../auth/authorize.ts'
import type { UserInfo } from '../resource.ts'
import type { Connection } from '../serving/exchange.ts'
import { JOINING_GROUP } from '../vm/vm-policy.ts'

/** Whoever is in the others has proven nothing yet: to count them would let anybody shut the rest of them out. */
const UNCOUNTED_GROUPS: ReadonlySet<string> = new Set([
  PRIVILEGED_GROUP,
  UNAUTHENTICATED_GROUP,
  JOINING_GROUP,
])

export class UserConnections {
  readonly #max: number
  /** For whom a connection counts, by ownerOf(): the last user that was let through on it, until it closes. */
  readonly #holders = new WeakMap<Connection, string>()
  readonly #counts = new Map<string, number>()
  /** What came along with the handshake may still be read of one that was cut. */
  readonly #ending = new WeakSet<Connection>()
  #open = 0
  #refused = 0

  /** `max` connections of one user; 0: no limit. */
  constructor(max: number) {
    this.#max = max
  }

  /** Connections that count for some user. */
  get open(): number {
    return this.#open
  }

  /** Connections that were one too many. */
  get refused(): number {
    return this.#refused
  }

  /**
   * Whether the user may go on with this connection, which from then on counts for them, and for nobody before. When not, it is
   * the caller's to end, and nobody else is let in on it.
   */
  admits(connection: Connection, user: UserInfo): boolean {
    const holder = this.#holders.get(connection)
    const owner = ownerOf(user)
    // Who is not counted takes no connection off another's count: it would be a way to have more.
    if (holder === owner || user.groups.some(group => UNCOUNTED_GROUPS.has(group))) return true
    if (this.#ending.has(connection)) return false
    const count = this.#counts.get(owner) ?? 0
    if (this.#max > 0 && count >= this.#max) {
      this.#ending.add(connection)
      this.#refused += 1
      return false
    }
    this.#counts.set(owner, count + 1)
    this.#open += 1
    this.#holders.set(connection, owner)
    if (holder === undefined) connection.onClose(() => this.#leave(connection))
    else this.#drop(holder)
    return true
  }

  #leave(connection: Connection): void {
    const holder = this.#holders.get(connection)
    this.#holders.delete(connection)
    if (holder !== undefined) this.#drop(holder)
  }

  #drop(owner: string): void {
    const count = (this.#counts.get(owner) ?? 0) - 1
    this.#open -= 1
    if (count > 0) this.#counts.set(owner, count)
    else this.#counts.delete(owner)
  }
}

/** Whose credentials were taken back may keep connections open: the uid tells them from whoever has the name since. */
const ownerOf = ({ name, uid = '' }: UserInfo): string => `${name} ${uid}`
