// docs/threat-model.md keeps its promise: every row names tests that stand against that attacker, and they exist.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const DOCUMENT = fileURLToPath(new URL('../../docs/threat-model.md', import.meta.url))
/** A link to a test file, and the titles of its tests in quotes. */
const NAMED = /\[[^\]]+\]\(([^)]+\.test\.ts)\)((?:[ ,]*“[^”]+”)*)/g

interface Row {
  readonly who: string
  readonly shownBy: string
}

async function rows(): Promise<Row[]> {
  const lines = (await readFile(DOCUMENT, 'utf8')).split('\n').filter(line => line.startsWith('|'))
  return lines.slice(2).map(line => {
    const cells = line.split(/(?<!\\)\|/).map(cell => cell.trim())
    return { who: cells[1] ?? '', shownBy: cells[4] ?? '' }
  })
}

test('every row of the threat model names tests, and each of them is there by its title', async () => {
  const found = await rows()
  assert.ok(found.length >= 20, `${found.length} rows`)
  const problems: string[] = []
  for (const { who, shownBy } of found) {
    const named = [...shownBy.matchAll(NAMED)]
    if (named.length === 0) problems.push(`${who}: names no test`)
    for (const [, link = '', titles = ''] of named) {
      const path = join(dirname(DOCUMENT), link)
      const text = existsSync(path) ? await readFile(path, 'utf8') : undefined
      const wanted = [...titles.matchAll(/“([^”]+)”/g)].map(([, title = '']) => title)
      if (text === undefined) problems.push(`${who}: there is no ${link}`)
      if (wanted.length === 0) problems.push(`${who}: ${link} without a title`)
      for (const title of wanted)
        if (text?.includes(title) === false) problems.push(`${who}: ${link} has no “${title}”`)
    }
  }
  assert.deepEqual(problems, [])
})
