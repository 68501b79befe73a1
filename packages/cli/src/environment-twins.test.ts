// Every flag of every command has its own twin in the environment, and podless help shows each command. Walks the commands as
// their help shows them, so that none can be forgotten.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Command } from 'commander'
import { addTwins } from './environment-twins.ts'

const MAIN = join(import.meta.dirname, 'main.ts')
const none = join(mkdtempSync(join(tmpdir(), 'podless-twins-')), 'none')
after(() => rmSync(join(none, '..'), { recursive: true, force: true }))

function podless(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const result = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  return { code: result.status, stdout: result.stdout, stderr: result.stderr }
}

/** The lines of a part of a help text, continued ones joined. */
function partOf(help: string, title: string): string[] {
  const [, text = ''] = help.split(`${title}:\n`)
  const [part = ''] = text.split(/\n\n|\n(?=\S)/)
  return part.split(/\n(?= {2}\S)/).map(line => line.trim().replaceAll(/\s+/g, ' '))
}

const twins = new Map<string, string>()

function walk(path: readonly string[]): void {
  const { code, stdout } = podless(['help', ...path])
  assert.equal(code, 0)
  assert.ok(stdout.startsWith(['Usage: podless', ...path].join(' ')))
  for (const line of partOf(stdout, 'Options')) {
    const [, long = ''] = /(--[a-z-]+)/.exec(line) ?? []
    if (['--help', '--version'].includes(long)) continue
    const [, twin] = /env: (PODLESS_[A-Z_]+)\)/.exec(line) ?? []
    assert.ok(twin, `${path.join(' ')} ${long} has a twin`)
    assert.equal(twins.get(twin) ?? long, long, `${twin} stands for one flag`)
    twins.set(twin, long)
  }
  if (!stdout.includes('\nCommands:\n')) return
  for (const line of partOf(stdout, 'Commands')) {
    const [name = ''] = line.split(' ')
    if (name !== 'help') walk([...path, name])
  }
}

test('podless help shows each command, and every flag there has a twin of its own', () => {
  walk([])
  assert.equal(twins.get('PODLESS_VM_ADD_GROUP'), '--group')
  assert.equal(twins.get('PODLESS_ETCD_ENDPOINTS'), '--etcd-endpoints')
  assert.ok(twins.size > 50)
})

test('podless help vm add is podless vm add --help', () => {
  assert.equal(podless(['help', 'vm', 'add']).stdout, podless(['vm', 'add', '--help']).stdout)
})

test('podless help of what is no command says what there is', () => {
  const { code, stderr } = podless(['help', 'vm', 'ad'])
  assert.equal(code, 64)
  assert.match(
    stderr,
    /^podless: there is no command "vm ad"; podless help vm shows what there is\n$/,
  )
})

test('a twin counts where its flag is not given', () => {
  const asked = (args: readonly string[], env: Readonly<Record<string, string>>) =>
    podless(['rotate', ...args, '--data', none], env)
  const bad = { PODLESS_OVERLAP: 'soon' }
  assert.match(asked(['ca'], bad).stderr, /--overlap/)
  assert.equal(asked(['ca', '--overlap', '1d'], bad).code, 65)
})

/** What the options of a command come to, with this environment. */
async function valuesOf(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<Record<string, unknown>> {
  let values: Record<string, unknown> = {}
  const root = new Command('podless').exitOverride()
  root
    .command('do')
    .option('--port <name...>')
    .option('--really')
    .action(options => {
      values = options
    })
  const before = { ...process.env }
  Object.assign(process.env, environment)
  try {
    addTwins(root, process.env)
    await root.parseAsync(['do', ...args], { from: 'user' })
  } finally {
    for (const name of Object.keys(environment)) delete process.env[name]
    Object.assign(process.env, before)
  }
  return values
}

test('a list is comma-separated, and a switch is true or false', async () => {
  const ports = { PODLESS_DO_PORT: 'http:80,tcp:90' }
  assert.deepEqual(await valuesOf([], ports), { port: ['http:80', 'tcp:90'] })
  assert.deepEqual(await valuesOf(['--port', 'a:1', 'b:2'], ports), { port: ['a:1', 'b:2'] })
  for (const [text, values] of [
    ['true', { really: true }],
    ['1', { really: true }],
    ['false', {}],
    ['0', {}],
    ['', {}],
  ] as const)
    assert.deepEqual(await valuesOf([], { PODLESS_DO_REALLY: text }), values, text)
  await assert.rejects(valuesOf([], { PODLESS_DO_REALLY: 'maybe' }), /"maybe": write true or false/)
})
