// A clock and timers that move only when a test says so.
// Called by tests of engines and of the compactor.

import type { Every } from '../timer.ts'

export interface ManualTime {
  readonly now: () => number
  readonly every: Every
  /** Moves the clock and runs each timer that came due, once. */
  advance(ms: number): void
}

export function manualTime(startMs = 1_000_000): ManualTime {
  let nowMs = startMs
  const timers = new Set<{ intervalMs: number; dueMs: number; run: () => void }>()
  return {
    now: () => nowMs,
    every: (intervalMs, run) => {
      const timer = { intervalMs, dueMs: nowMs + intervalMs, run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    advance: ms => {
      nowMs += ms
      for (const timer of [...timers]) {
        if (timer.dueMs > nowMs || !timers.has(timer)) continue
        timer.dueMs = nowMs + timer.intervalMs
        timer.run()
      }
    },
  }
}
