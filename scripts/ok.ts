// One command that says done: format, lint, types, style, dependency direction, dead code and tests. Usage: npm run ok
// Every step runs even when one fails, so that one look shows everything. `--no-tests` leaves the tests to the caller.

import { spawnSync } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'

interface Step {
  readonly name: string
  readonly command: readonly string[]
}

const bin = (name: string): string => join('node_modules', '.bin', name)
const node = process.execPath

const STEPS: readonly Step[] = [
  { name: 'format and lint', command: [bin('biome'), 'ci', '--error-on-warnings', '.'] },
  { name: 'types', command: [bin('tsc'), '--noEmit', '-p', 'tsconfig.json'] },
  { name: 'style and dependency direction', command: [node, 'scripts/tidy.ts'] },
  { name: 'dead code', command: [bin('knip'), '--treat-config-hints-as-errors'] },
]
const TESTS: Step = { name: 'tests', command: [node, 'scripts/test.ts'] }

/** Runs one step with the pinned Node.js first on PATH, which the tools' own scripts look up. */
function run({ name, command: [file = '', ...args] }: Step): boolean {
  const started = performance.now()
  const { status } = spawnSync(file, args, {
    stdio: 'inherit',
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` },
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  process.stdout.write(`${status === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)\n`)
  return status === 0
}

const steps = process.argv.includes('--no-tests') ? STEPS : [...STEPS, TESTS]
const failed = steps.filter(step => !run(step))
if (failed.length > 0) {
  process.stdout.write(`not ok: ${failed.map(({ name }) => name).join(', ')}\n`)
  process.exitCode = 1
}
