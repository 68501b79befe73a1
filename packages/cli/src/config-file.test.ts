// podless up --config: every flag is a setting, and a variable of the environment; files that say nothing are fine.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import schema from './config.schema.json' with { type: 'json' }
import { readConfigFile } from './config-file.ts'

const MAIN = join(import.meta.dirname, 'main.ts')
const folder = await mkdtemp(join(tmpdir(), 'podless-config-'))
after(() => rm(folder, { recursive: true, force: true }))
const path = join(folder, 'podless.yaml')

/** Flags that make no sense in the file: itself, and help. */
const FLAGS_ONLY: ReadonlySet<string> = new Set(['config', 'help'])

test('every flag of podless up has a twin in the environment, and is a setting of the file', () => {
  const { stdout } = spawnSync(process.execPath, [MAIN, 'up', '--help'], { encoding: 'utf8' })
  const entries = stdout.split(/^ {2}(?=-)/m).slice(1)
  const flags = entries.map(entry => /--([a-z-]+)/.exec(entry)?.[1] ?? '')
  assert.ok(flags.length > 20)
  for (const [index, flag] of flags.entries()) {
    if (flag === 'help') continue
    const variable = `PODLESS_${flag.toUpperCase().replaceAll('-', '_')}`
    assert.ok(entries[index]?.includes(variable), `--${flag} has no ${variable}`)
  }
  assert.deepEqual(
    flags.filter(flag => !FLAGS_ONLY.has(flag)).sort(),
    Object.keys(schema.properties).sort(),
  )
})

test('settings come as flags would, and a file of comments has none', async () => {
  await writeFile(path, 'port: 7443\netcd-endpoints: http://h:1\nservice-resolver: [a.b=h:1]\n')
  assert.deepEqual(await readConfigFile(path), {
    port: '7443',
    etcdEndpoints: 'http://h:1',
    serviceResolver: ['a.b=h:1'],
  })
  for (const text of ['', '# port: 7443\n']) {
    await writeFile(path, text)
    assert.deepEqual(await readConfigFile(path), {})
  }
  await writeFile(path, '- port\n')
  await assert.rejects(readConfigFile(path), /the file must be object$/)
})
