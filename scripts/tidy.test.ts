// Proves that each rule of tidy finds what it is there for, says where, and leaves good code alone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkKinds, checkLinks, checkPlaces, kindRows } from './doc-rules.ts'
import { checkModules } from './module-graph.ts'
import { checkRatchet, checkSource, type Finding } from './source-rules.ts'

const PATH = 'packages/api/src/thing.ts'
const OPENING = '// What it is.\n'

const say = (findings: readonly Finding[]): string[] =>
  findings.map(({ line, message }) => `${line} ${message}`)

function check(code: string, path = PATH): string[] {
  return say(checkSource(path, OPENING + code, {}))
}

function functionOf(lines: number, name = 'long'): string {
  return `export function ${name}(): void {\n${'  work()\n'.repeat(lines - 2)}}\n`
}

test('checkSource() lets good code pass', () => {
  assert.deepEqual(
    check(
      [
        "import { join } from 'node:path'",
        "import { must } from '@podless/apimachinery'",
        "import type { Etcd3 } from 'etcd3'",
        'export const log = (text: string): string => join(text, must(text))',
        "export const advice = 'no console.log, no process.exit(1), no new Date()'",
        '// A word about Date.now() in a comment harms nobody. TODO(#12): widen.',
        'export type E = Etcd3',
        "export const isText = typeof status.message === 'string'",
        '',
      ].join('\n'),
    ),
    [],
  )
})

test('checkSource() wants an opening comment, but not of a test', () => {
  const code = 'export const a = 1\n'
  assert.match(say(checkSource(PATH, code, {}))[0] ?? '', /^1 open with one to three comment lines/)
  assert.deepEqual(say(checkSource('packages/api/src/thing.test.ts', code, {})), [])
})

test('checkSource() names banned words, their line and what to write instead', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['console.log(1)', /`console.log`: log through/],
    ['process.exit(1)', /set process.exitCode/],
    ['const at = Date.now()', /take `now` as a parameter/],
    ['const at = new Date()', /take `now` as a parameter/],
    ['const b = JSON.parse(JSON.stringify(a))', /cloneJson/],
    ['const a: any = 1', /use unknown/],
    ['const a = b as any', /use unknown/],
    ['  const r = new RegExp(pattern)', /re2js/],
    ['try { work() } catch (error) {}', /handle the error/],
    ["if (error.message.includes('gone')) work()", /class or code/],
    ['// FIXME later', /write NOTE/],
    ['// TODO: later', /write NOTE/],
    ['// It used to be a map.', /git knows/],
  ]
  for (const [code, expected] of cases) {
    const findings = check(`work()\n${code}\n`)
    assert.equal(findings.length, 1, code)
    assert.match(findings[0] ?? '', /^3 /)
    assert.match(findings[0] ?? '', expected)
  }
})

test('checkSource() lets the cli and tests read the clock', () => {
  assert.deepEqual(check('const now = new Date()\n', 'packages/cli/src/up.ts'), [])
  assert.deepEqual(check('const now = Date.now()\n', 'packages/api/src/a.test.ts'), [])
})

test('checkSource() wants libraries imported in their homes only', () => {
  assert.match(check("import { Etcd3 } from 'etcd3'\n")[0] ?? '', /^2 etcd3 is imported in/)
  assert.match(check("await import('lmdb')\n")[0] ?? '', /^2 lmdb is imported in/)
  assert.match(check("export { chunk } from 'lodash'\n")[0] ?? '', /lodash has no importing home/)
  assert.deepEqual(check("import { Etcd3 } from 'etcd3'\n", 'packages/storage/src/etcd.ts'), [])
})

test('checkSource() walls off long files and wide lines', () => {
  assert.match(check('work()\n'.repeat(800)).at(-1) ?? '', /^802 802 lines: split by concept/)
  assert.deepEqual(check(`const ${'a'.repeat(100)} = 1\n`), ['2 110 columns: wrap at 100'])
  assert.deepEqual(check(`const text = '${'a'.repeat(100)}'\n`), [])
  assert.deepEqual(check(`// ${'a'.repeat(110)}\n`), [])
  assert.deepEqual(check(`// ${'a'.repeat(130)}\n`), ['2 133 columns: wrap at 130'])
})

test('the ratchet holds long functions at their length', () => {
  const key = `${PATH} long`
  const at = (lines: number, ratchet: Record<string, number>): string[] =>
    say(checkSource(PATH, OPENING + functionOf(lines), ratchet))
  assert.deepEqual(at(70, {}), [])
  assert.deepEqual(at(71, {}), ['2 function of 71 lines: split it (limit 70)'])
  assert.deepEqual(at(90, { [key]: 90 }), [])
  assert.deepEqual(at(91, { [key]: 90 }), ['2 function grew from 90 to 91 lines: split it'])
  assert.match(at(80, { [key]: 90 })[0] ?? '', /shrank from 90 to 80 lines: write 80 in/)
})

test('the ratchet gives back entries that nothing needs', () => {
  const seen = new Set<string>()
  const ratchet = { [`${PATH} long`]: 90, [`${PATH} gone`]: 80 }
  checkSource(PATH, OPENING + functionOf(90), ratchet, seen)
  assert.match(say(checkRatchet(ratchet, seen)).join(), /gone" is too long any more: remove/)
})

test('a list of tests may be long, each test may not', () => {
  const tests = "  test('a', () => {\n    work()\n  })\n".repeat(40)
  const path = 'packages/api/src/thing.test.ts'
  assert.deepEqual(check(`describe('x', () => {\n${tests}})\n`, path), [])
  const long = `test('a', () => {\n${'  work()\n'.repeat(80)}})\n`
  assert.deepEqual(check(long, path), ['2 function of 82 lines: split it (limit 70)'])
})

test('checkPlaces() finds paths and registries of one machine', () => {
  const place = (...parts: string[]): string => `/${parts.join('/')}`
  const text = [
    'see packages/work/a.ts, https://host/opt/x and $(pwd)/root/b',
    `cd ${place('work', 'main')}`,
    `HOME=${place('root')} `,
    `from ${['registry', 'npmjs', 'org'].join('.')}`,
    'image registry.k8s.io/pause',
  ].join('\n')
  assert.deepEqual(
    checkPlaces('README.md', text).map(({ line }) => line),
    [2, 3, 4],
  )
})

test('checkLinks() finds links, anchors and quoted paths that lead nowhere', () => {
  const text = [
    '# A head, with: signs',
    '[good](LICENSE) [good](#a-head-with-signs) [web](https://example.org/x)',
    '[bad](nothing.md)',
    '[bad](#nowhere)',
    '`packages/api/src/serving/server.ts` and `packages/nowhere.ts`',
    '```',
    '[in code](nothing.md)',
    '```',
  ].join('\n')
  assert.deepEqual(say(checkLinks('README.md', text, '.')), [
    '3 dead link nothing.md: nothing is at nothing.md',
    '4 dead link #nowhere: no heading makes this anchor',
    '5 `packages/nowhere.ts` does not exist: name the file that has it',
  ])
})

test('checkKinds() holds the table of kinds to the registry, both ways', () => {
  const rows = kindRows()
  assert.ok(rows.length > 30)
  const document = (lines: readonly string[]): string => `# Kinds\n\n${lines.join('\n')}\n\nEnd\n`
  assert.deepEqual(checkKinds(document(rows)), [])
  assert.match(say(checkKinds(document(rows.slice(0, -1))))[0] ?? '', /serves this and the table/)
  const invented = '| v9 | Unicorn | `unicorns` | cluster | stored |  |'
  assert.match(say(checkKinds(document([...rows, invented])))[0] ?? '', /remove the row/)
  assert.match(say(checkKinds('# Kinds\n'))[0] ?? '', /table of kinds is missing/)
})

test('checkModules() fails when dependency-cruiser looked at less than there is', () => {
  const blind = { modules: [], summary: { violations: [] } }
  assert.match(say(checkModules(blind, ['a.ts', 'b.ts']))[0] ?? '', /did not see 2 of 2 files/)
  const seen = { modules: [{ source: 'a.ts' }], summary: { violations: [] } }
  assert.deepEqual(checkModules(seen, ['a.ts']), [])
  const violation = { from: 'a.ts', to: 'b.ts', rule: { name: 'no-cycles' } }
  assert.deepEqual(say(checkModules({ ...seen, summary: { violations: [violation] } }, ['a.ts'])), [
    '1 imports b.ts, against no-cycles in .dependency-cruiser.cjs',
  ])
})
