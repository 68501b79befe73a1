// Runs dependency-cruiser over the workspace and says what breaks the dependency direction. Called by tidy.ts.
// With a TypeScript it does not know, dependency-cruiser sees no module, reports no violation and exits 0: so the
// modules it saw are compared with the files there are.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { Finding } from './source-rules.ts'

interface Cruise {
  readonly modules: readonly { readonly source: string }[]
  readonly summary: {
    readonly violations: readonly {
      readonly from: string
      readonly to: string
      readonly rule: { readonly name: string }
      readonly comment?: string
    }[]
  }
}

const CONFIG = '.dependency-cruiser.cjs'
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024

/** Cruises packages, scripts and test below `root`. */
export function cruise(root: string): Cruise {
  const program = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs')
  const args = [program, '--config', CONFIG, '--output-type', 'json', 'packages', 'scripts', 'test']
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
  })
  if (!stdout.startsWith('{')) throw new Error(`dependency-cruiser failed: ${stderr}`)
  return JSON.parse(stdout) as Cruise
}

/** Broken rules, and the `files` that were not looked at. */
export function checkModules(
  { modules, summary }: Cruise,
  files: readonly string[],
): readonly Finding[] {
  const cruised = new Set(modules.map(({ source }) => source))
  const missed = files.filter(path => !cruised.has(path))
  const message = `dependency-cruiser did not see ${missed.length} of ${files.length} files: check that it knows this TypeScript`
  return [
    ...missed.slice(0, 1).map(path => ({ path, line: 1, message })),
    ...summary.violations.map(({ from, to, rule, comment }) => ({
      path: from,
      line: 1,
      message: `imports ${to}, against ${rule.name} in ${CONFIG}${comment === undefined ? '' : ` (${comment})`}`,
    })),
  ]
}
