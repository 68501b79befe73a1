// Keeps the history of an engine bounded in time and in number of revisions. Started by embedded.ts
// and etcd.ts, which share it; calls Backend.compact.
// Ref: apiserver/pkg/storage/etcd3/compact.go (a five minute window)

import type { Backend } from './backend.ts'
import { StorageError } from './errors.ts'
import { type Every, everyInterval } from './timer.ts'

export interface CompactorOptions {
  /**
   * Revisions stay readable at least this long, unless there are more than revisionsMax. Default 5
   * minutes.
   */
  readonly historyMs?: number
  /** At most about this many revisions stay readable, however young. Default 50,000. */
  readonly revisionsMax?: number
  /** How often to look. Default 10 s for embedded stores; etcd is asked every minute. */
  readonly intervalMs?: number
  readonly now?: () => number
  readonly every?: Every
}

export interface Compactor {
  /** One look, as the timer does it. What the engine refuses is tried again at the next one. */
  tick(): Promise<void>
  stop(): void
}

const HISTORY_MS = 5 * 60 * 1000
/**
 * The embedded engine takes 4 KB of disk for a version of 2 KB: about 200 MB. It is 50 s of 1,000
 * writes a second.
 */
const REVISIONS_MAX = 50_000
const INTERVAL_MS = 10_000

/**
 * Several servers over one etcd need not agree on who compacts: each compacts to a revision it saw
 * historyMs ago, so none removes younger history than another would.
 */
export function startCompactor(
  backend: Pick<Backend, 'revision' | 'compact'>,
  options: CompactorOptions = {},
): Compactor {
  const { historyMs = HISTORY_MS, revisionsMax = REVISIONS_MAX } = options
  const now = options.now ?? Date.now
  const every = options.every ?? everyInterval
  /**
   * Revisions and when they were current, oldest first. The first one is at least historyMs old,
   * once there is one.
   */
  const seen: { atMs: number; revision: number }[] = []
  let compacted = 0
  let isBusy = false

  async function look(): Promise<void> {
    const atMs = now()
    const revision = await backend.revision()
    seen.push({ atMs, revision })
    while ((seen[1]?.atMs ?? Number.POSITIVE_INFINITY) <= atMs - historyMs) seen.shift()
    const oldest = seen[0]
    const byAge = oldest !== undefined && oldest.atMs <= atMs - historyMs ? oldest.revision : 0
    const target = Math.max(byAge, revision - revisionsMax)
    if (target <= compacted) return
    await backend.compact(target)
    compacted = target
  }

  async function tick(): Promise<void> {
    if (isBusy) return
    isBusy = true
    try {
      await look()
    } catch (error) {
      // A missed compaction only means a longer history, and callers see for themselves that an
      // engine is down.
      if (!(error instanceof StorageError)) throw error
    } finally {
      isBusy = false
    }
  }

  const stop = every(options.intervalMs ?? INTERVAL_MS, () => void tick())
  return { tick, stop }
}
