// One question to the engine for many readers that ask at the same time: what is the store's revision now? Called by
// storage.ts for every read that must be linearizable; calls backend.ts.

import type { Backend } from './backend.ts'

/**
 * A function that resolves with the store's revision, not older than any write acknowledged before the call. Calls made
 * while an answer is awaited share the next question, as the one under way may have been answered already.
 */
export function latestRevision(backend: Backend): () => Promise<number> {
  let current: Promise<number> | undefined
  let next: Promise<number> | undefined

  const askNow = (): Promise<number> => {
    const asked = backend.revision().finally(() => {
      if (current === asked) current = undefined
    })
    current = asked
    return asked
  }
  const askAfter = async (before: Promise<number>): Promise<number> => {
    await before.catch(ignoreOthers)
    next = undefined
    return askNow()
  }
  return () => {
    if (current === undefined) return askNow()
    next ??= askAfter(current)
    return next
  }
}

/** The question's own callers hear of its failure; the next question is not about it. */
function ignoreOthers(_error: unknown): void {}
