// Proves that a test file which hangs, or whose loop is stuck, ends as a failure with its name, and a good one as it would.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'

const WATCHDOG = pathToFileURL(join(import.meta.dirname, 'watchdog.ts')).href
const folder = mkdtempSync(join(tmpdir(), 'podless-watchdog-'))
after(() => rmSync(folder, { recursive: true }))

function runFile(name: string, body: string, timeoutMs: number): { code: number; output: string } {
  const path = join(folder, name)
  writeFileSync(path, `import { test } from 'node:test'\ntest('a test', ${body})\n`)
  const args = ['--disable-warning=ExperimentalWarning', `--import=${WATCHDOG}`, '--test', path]
  const env = { ...process.env, TEST_FILE_TIMEOUT_MS: String(timeoutMs) }
  const { status, stdout } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    // Inside a test, Node.js runs no others unless this is away.
    env: { ...env, NODE_TEST_CONTEXT: undefined },
  })
  return { code: status ?? -1, output: stdout }
}

const HANGS: Readonly<Record<string, string>> = {
  'waiting.test.mjs': '() => new Promise(() => setInterval(() => {}, 1000))',
  'stuck.test.mjs': '() => { for (;;); }',
  'deaf.test.mjs':
    '() => new Promise(() => { process.on("SIGTERM", () => {}); setInterval(() => {}, 1000) })',
}
for (const [name, body] of Object.entries(HANGS))
  test(`a file that hangs is ended and named: ${name}`, () => {
    const { code, output } = runFile(name, body, 500)
    assert.equal(code, 1)
    assert.match(output, new RegExp(`${name} did not end within 0.5 s`))
  })

test('a file that ends in time is left alone', () => {
  const { code, output } = runFile('good.test.mjs', '() => {}', 3_600_000)
  assert.equal(code, 0, output)
  assert.match(output, /pass 1/)
})
