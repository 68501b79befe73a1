// docs/exit-codes.md and the codes that commands end with say the same, both ways.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { EXIT } from '../packages/cli/src/exit.ts'

test('docs/exit-codes.md lists each exit code once, with its name', () => {
  const text = readFileSync('docs/exit-codes.md', 'utf8')
  const rows = [...text.matchAll(/^\| (\d+) \| (\w+) \|/gm)].map(([, code, name]) => [
    name,
    Number(code),
  ])
  const byCode = (a: readonly unknown[], b: readonly unknown[]): number =>
    Number(a[1]) - Number(b[1])
  assert.deepEqual(rows, Object.entries(EXIT).sort(byCode))
})
