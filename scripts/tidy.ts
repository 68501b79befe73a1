// The style as a test: what tools other than the formatter and the type checker can tell. Called by ok.ts.
// Usage: node scripts/tidy.ts  (prints PATH:LINE and the fix, exits 1 when there is one)
//        node scripts/tidy.ts --kinds  (prints the rows of the table of kinds in docs/compatibility.md)

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { checkKinds, checkLinks, checkPlaces, KINDS_PATH, kindRows } from './doc-rules.ts'
import longFunctions from './long-functions.data.json' with { type: 'json' }
import { checkModules, cruise } from './module-graph.ts'
import { checkRatchet, checkSource, type Finding } from './source-rules.ts'

const root = dirname(import.meta.dirname)
/** Bytes that are no text. */
const BINARY = /\.(png|svg|gz|pb|bin|ico|mdb)$/
/** Answers of other servers, recorded word by word. */
const RECORDED = /^test\/(fixtures|parity)\/.*\.(json|ya?ml|data\.json)$/

/** Files git knows or would take, so that a new one is judged before its commit. */
function repositoryFiles(): readonly string[] {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const { stdout, status } = spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error('git ls-files failed: tidy needs a git checkout')
  return stdout.split('\0').filter(path => path !== '' && existsSync(join(root, path)))
}

function findingsOf(paths: readonly string[]): readonly Finding[] {
  const seen = new Set<string>()
  const findings: Finding[] = []
  for (const path of paths.filter(file => !BINARY.test(file))) {
    const text = readFileSync(join(root, path), 'utf8')
    if (!RECORDED.test(path)) findings.push(...checkPlaces(path, text))
    if (path.endsWith('.ts')) findings.push(...checkSource(path, text, longFunctions, seen))
    if (path.endsWith('.md')) findings.push(...checkLinks(path, text, root))
    if (path === KINDS_PATH) findings.push(...checkKinds(text))
  }
  const modules = paths.filter(path => /^(packages|scripts|test)\/.*\.ts$/.test(path))
  return [...findings, ...checkRatchet(longFunctions, seen), ...checkModules(cruise(root), modules)]
}

function main(): void {
  if (process.argv.includes('--kinds')) {
    process.stdout.write(`${kindRows().join('\n')}\n`)
    return
  }
  const paths = repositoryFiles()
  const findings = findingsOf(paths)
  for (const { path, line, message } of findings)
    process.stdout.write(`${path}:${line}: ${message}\n`)
  if (findings.length > 0) process.exitCode = 1
  process.stdout.write(`${paths.length} files, ${findings.length} findings\n`)
}

main()
