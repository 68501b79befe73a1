// One line of the recorded trace of istiod, and reading the file. Written by record.ts, replayed by trace.test.ts.

import { readFileSync } from 'node:fs'
import type { JsonValue } from '../../../packages/apimachinery/src/index.ts'

export interface TraceEntry {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly accept?: string
  readonly contentType?: string
  /**
   * What stands for values of one run: `$live` is the stored object's, `$stale` an earlier resourceVersion of it,
   * `$owner` the uid of WorkloadGroup vm/app, `$token` a token of ServiceAccount vm/app-sa, `$ca` the webhook's CA.
   */
  readonly body?: JsonValue
  readonly status: number
}

const FILE = new URL('../../fixtures/istiod-start.jsonl', import.meta.url)

export function readTrace(): readonly TraceEntry[] {
  const lines = readFileSync(FILE, 'utf8').split('\n')
  return lines.filter(line => line !== '').map(line => JSON.parse(line) as TraceEntry)
}
