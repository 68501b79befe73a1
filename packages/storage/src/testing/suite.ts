// The meaning of the Backend contract, as tests that every engine passes. Run by memory.test.ts,
// embedded.test.ts and etcd.etcd.test.ts; its parts are one file a topic.

import { describe, type TestContext, test } from 'node:test'
import { compactionTests } from './suite-compaction.ts'
import { modelTests } from './suite-model.ts'
import { readTests } from './suite-read.ts'
import type { OpenSuiteStore, Scene } from './suite-store.ts'
import { watchTests } from './suite-watch.ts'
import { writeTests } from './suite-write.ts'

export type { OpenSuiteStore, Scene, SuiteStore } from './suite-store.ts'

export type SuiteTests = Readonly<Record<string, (scene: Scene, t: TestContext) => Promise<void>>>

export interface SuiteOptions {
  /** Known gaps, each with the reason. A name that is no test of the suite fails the run. */
  readonly skip?: readonly { readonly reason: string; readonly tests: readonly string[] }[]
}

const TOPICS: Readonly<Record<string, SuiteTests>> = {
  read: readTests,
  write: writeTests,
  watch: watchTests,
  compact: compactionTests,
  model: modelTests,
}

/** Runs every test of the contract against stores that `open` makes, one for each test. */
export function runBackendSuite(
  name: string,
  open: OpenSuiteStore,
  { skip = [] }: SuiteOptions = {},
): void {
  const reasons = new Map(skip.flatMap(({ reason, tests }) => tests.map(test => [test, reason])))
  let scenes = 0
  for (const [topic, tests] of Object.entries(TOPICS)) {
    describe(`${name}: ${topic}`, () => {
      for (const [title, run] of Object.entries(tests)) {
        const reason = reasons.get(title)
        reasons.delete(title)
        test(title, { skip: reason ?? false }, async t => {
          const store = await open()
          try {
            const base = await store.backend.revision()
            const root = `/suite/${base}-${++scenes}/`
            await run({ ...store, root, base }, t)
          } finally {
            await store.backend.close()
          }
        })
      }
    })
  }
  for (const title of reasons.keys()) throw new Error(`skip names no test of the suite: ${title}`)
}
