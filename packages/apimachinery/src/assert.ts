// Invariants. A broken one is our bug, never the client's; see design: a request answers 500, a loop ends the process.

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Throws AssertionError when the condition does not hold. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** Runs a costly check only when VERIFY=1 is set, as every test run does. */
export function verify(check: () => boolean, message: string): void {
  if (process.env.VERIFY === '1') assert(check(), message)
}
