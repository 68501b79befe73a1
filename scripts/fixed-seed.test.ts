// Proves that a run of the suite draws the examples of the run before, and others when it is told another seed.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

const SEED = new URL('fixed-seed.ts', import.meta.url).href
const DRAW = `
  import fc from 'fast-check'
  const drawn = []
  fc.assert(fc.property(fc.nat(), number => void drawn.push(number)))
  process.stdout.write(drawn.join())
`

/** What a property is shown in a process of its own. */
function drawn(seed?: string): string {
  const args = ['--disable-warning=ExperimentalWarning', `--import=${SEED}`, '--input-type=module']
  const { stdout, stderr } = spawnSync(process.execPath, [...args, '-e', DRAW], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
    env: { ...process.env, FAST_CHECK_SEED: seed },
  })
  assert.notEqual(stdout, '', stderr)
  return stdout
}

test('properties are shown the same examples in each run, unless a seed is named', () => {
  const usual = drawn()
  assert.equal(drawn(), usual)
  const other = drawn('5')
  assert.notEqual(other, usual)
  assert.equal(drawn('5'), other)
})
