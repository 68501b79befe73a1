// Ends a test file's process that has run for too long, also one whose event loop is stuck, so that a hang fails and says
// which file it was. scripts/test.ts imports it into each. It waits in a thread of its own.

import { writeSync } from 'node:fs'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

const STDERR = 2
/** Between a signal that lets the file stop what it started, and one that does not. */
const GRACE_MS = 5_000

interface Watched {
  readonly file: string
  readonly timeoutMs: number
}

/** A test file is run with its path as the only argument; the runner itself has no time limit. */
const isTestFile = process.env.NODE_TEST_CONTEXT?.startsWith('child') === true
const timeoutMs = Number(process.env.TEST_FILE_TIMEOUT_MS)

if (!isMainThread) endLate(workerData as Watched)
else if (isTestFile && timeoutMs > 0) {
  const watched: Watched = { file: process.argv[1] ?? '', timeoutMs }
  new Worker(new URL(import.meta.url), { workerData: watched }).unref()
}

function endLate({ file, timeoutMs: afterMs }: Watched): void {
  setTimeout(() => {
    writeSync(STDERR, `${file} did not end within ${afterMs / 1000} s\n`)
    process.kill(process.pid, 'SIGTERM')
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), GRACE_MS)
  }, afterMs)
}
