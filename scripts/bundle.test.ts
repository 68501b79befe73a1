// What only the bundle would get wrong: files that code reads from beside itself, and packages loaded on demand.

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
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

test('names taken from a package loaded on demand are there in the bundle too', () => {
  const bundle = readFileSync('scripts/bundle.ts', 'utf8')
  const external = [...(/external: \[(.+)\]/.exec(bundle)?.[1] ?? '').matchAll(/'([^']+)'/g)].map(
    match => match[1] ?? '',
  )
  const loads = globSync('packages/*/src/**/*.ts', { exclude: ['**/*.test.ts'] }).flatMap(path =>
    [...readFileSync(path, 'utf8').matchAll(/= await import\('([^.'][^']*)'\)/g)].map(match => ({
      path,
      name: match[1] ?? '',
    })),
  )
  assert.ok(loads.length >= 2)
  for (const { path, name } of loads) {
    if (name.startsWith('node:') || external.includes(name)) continue
    // Of a CommonJS package inside the bundle, a dynamic import has the default export and nothing else.
    const importer = resolve(path.split('/src')[0] ?? '', 'package.json')
    const entry = createRequire(importer).resolve(name)
    const { exports } = JSON.parse(
      readFileSync(join(packageRoot(entry, name), 'package.json'), 'utf8'),
    ) as { exports?: Record<string, { import?: string }> }
    assert.ok(
      exports?.['.']?.import !== undefined,
      `${path} loads ${name}, which has no ES module: import it statically in a module loaded on demand`,
    )
  }
})

const packageRoot = (entry: string, name: string): string =>
  entry.slice(0, entry.lastIndexOf(`node_modules/${name}/`) + `node_modules/${name}/`.length)
