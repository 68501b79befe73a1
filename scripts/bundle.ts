// Joins the executable's sources into packages/cli/dist, which starts faster and in less memory than stripping types from
// four hundred files. Native and rarely used packages stay outside. Called by launch.mjs after an install; npm run bundle.

import { cp, mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const cli = join(root, 'packages', 'cli')
const outdir = join(cli, 'dist')
/** Files that code reads from beside itself at run time, by the path it reads: they lie beside the bundle too. */
const DATA: Readonly<Record<string, string>> = {
  'fields.data.json': 'packages/apimachinery/src/codec/fields.data.json',
  scripts: 'packages/api/src/vm/scripts',
}

await rm(outdir, { recursive: true, force: true })
await mkdir(outdir, { recursive: true })
for (const [name, source] of Object.entries(DATA)) {
  await cp(join(root, source), join(outdir, name), { recursive: true })
}
await build({
  entryPoints: [join(cli, 'src', 'main.ts')],
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  external: ['lmdb', 'etcd3', 'cockatiel', 'express'],
  // CommonJS packages inside the bundle still call require.
  banner: {
    js: "import{createRequire as podlessRequire}from'node:module';const require=podlessRequire(import.meta.url);",
  },
  logLevel: 'error',
})
