// What the code reads from beside itself has to be copied by bundle.ts, or only the bundle misses it.

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

test('every file read from beside the code is one that the bundle carries', () => {
  const bundle = readFileSync('scripts/bundle.ts', 'utf8')
  const readers = globSync('packages/*/src/**/*.ts', {
    exclude: ['**/*.test.ts', '**/testing/**'],
  }).flatMap(path =>
    [
      ...readFileSync(path, 'utf8').matchAll(
        /new URL\(['`](?:\.\/)?([^'`/$]+)[^)]*import\.meta\.url/g,
      ),
    ].map(match => ({ path, name: match[1] ?? '' })),
  )
  assert.ok(readers.length >= 2)
  for (const { path, name } of readers) {
    assert.ok(
      bundle.includes(`'${name}':`) || bundle.includes(` ${name}:`),
      `${path} reads ${name}: add it to DATA in scripts/bundle.ts`,
    )
  }
})
