// Runs every test that can run on this machine: beside the code, with etcd, with real clients. Called by npm test.
// Usage: npm test [-- PATTERN...]  where a pattern is part of a path. A test that needs something absent says so and skips.

import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const PLACES = ['packages/*/src/**/*.test.ts', 'scripts/**/*.test.ts', 'test/**/*.test.ts']
const EX_USAGE = 64
/** The slowest file, a whole mesh, takes two minutes; a test that hangs has to say which it is. */
const TEST_TIMEOUT_MS = process.env.CONFORMANCE === 'all' ? 2_400_000 : 420_000
/** A file outlives a test that was given up: what it left running is ended by the watchdog a little later. */
const FILE_TIMEOUT_MS = TEST_TIMEOUT_MS + 30_000
/** Loaded into each test file before it. */
const PRELOADS = ['watchdog.ts', 'fixed-seed.ts'].map(name => new URL(name, import.meta.url).href)

function testFiles(patterns: readonly string[]): string[] {
  const all = globSync(PLACES, { exclude: ['**/node_modules/**'] })
  if (patterns.length === 0) return all.sort()
  return all.filter(path => patterns.some(text => path.includes(text))).sort()
}

const patterns = process.argv.slice(2)
const files = testFiles(patterns)
if (files.length === 0) {
  process.stderr.write(`no test file has ${patterns.join(' or ')} in its path\n`)
  process.exitCode = EX_USAGE
} else {
  const args = [
    '--disable-warning=ExperimentalWarning',
    ...PRELOADS.map(url => `--import=${url}`),
    '--test',
    `--test-concurrency=${availableParallelism()}`,
    '--test-reporter=spec',
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    ...files,
  ]
  const env = { ...process.env, VERIFY: '1', TEST_FILE_TIMEOUT_MS: String(FILE_TIMEOUT_MS) }
  spawn(process.execPath, args, { stdio: 'inherit', env }).on('exit', code => {
    process.exitCode = code ?? 1
  })
}
