// The timer that engines and the compactor run on, a parameter so that a test can drive one tick.
// Called by embedded.ts, etcd.ts, compactor.ts; calls setInterval.

/** Runs `run` every `intervalMs` until the returned function is called. */
export type Every = (intervalMs: number, run: () => void) => () => void

/** The real timer. It never keeps the process alive. */
export const everyInterval: Every = (intervalMs, run) => {
  const timer = setInterval(run, intervalMs)
  timer.unref()
  return () => clearInterval(timer)
}
