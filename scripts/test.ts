// Runs every test that can run on this machine: beside the code, with etcd, with real clients. Usage: npm test [-- PATTERN...]
// A test that needs something absent skips and prints the reason. Called by npm test and .ci/run.

import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const PLACES = ['packages/*/src/**/*.test.ts', 'scripts/**/*.test.ts', 'test/**/*.test.ts']

function testFiles(patterns: readonly string[]): string[] {
  const all = PLACES.flatMap(place => globSync(place)).filter(
    path => !path.includes('node_modules'),
  )
  const wanted = all.filter(
    path => patterns.length === 0 || patterns.some(text => path.includes(text)),
  )
  return wanted.sort()
}

const files = testFiles(process.argv.slice(2))
if (files.length === 0) {
  process.stderr.write(`no test file matches ${process.argv.slice(2).join(' ')}\n`)
  process.exitCode = 64
} else {
  const concurrency = `--test-concurrency=${availableParallelism()}`
  const reporter = process.stdout.isTTY ? 'spec' : (process.env.TEST_REPORTER ?? 'spec')
  const args = [
    '--disable-warning=ExperimentalWarning',
    '--test',
    concurrency,
    `--test-reporter=${reporter}`,
    ...files,
  ]
  const run = spawn(process.execPath, args, {
    stdio: 'inherit',
    env: { ...process.env, VERIFY: '1' },
  })
  run.on('exit', code => {
    process.exitCode = code ?? 1
  })
}
