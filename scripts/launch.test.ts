// Proves that a first run installs once and explains itself in one line, with a stand-in for npm that installs nothing.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

let root = ''

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'podless-launch-'))
})
after(() => rmSync(root, { recursive: true, force: true }))

/** A checkout with nothing installed, whose npm notes each install in `installs`. */
beforeEach(() => {
  for (const name of ['node_modules', '.cache', 'bin', 'installs'])
    rmSync(join(root, name), { recursive: true, force: true })
  for (const name of ['scripts', 'bin']) mkdirSync(join(root, name), { recursive: true })
  copyFileSync('scripts/launch.mjs', join(root, 'scripts/launch.mjs'))
  copyFileSync('podless', join(root, 'podless'))
  writeFileSync(join(root, 'package.json'), '{"packageManager":"pnpm@1.2.3"}')
  writeFileSync(join(root, 'pnpm-lock.yaml'), '')
  mkdirSync(join(root, 'packages/cli/src'), { recursive: true })
  writeFileSync(
    join(root, 'packages/cli/src/main.ts'),
    'process.stdout.write(process.argv.slice(2).join())\nprocess.exitCode = 7\n',
  )
  npmThat('echo "$*" >> installs; sleep 0.3; mkdir -p node_modules')
})

function npmThat(commands: string): void {
  writeFileSync(join(root, 'bin/npm'), `#!/bin/sh\n${commands}\n`)
  chmodSync(join(root, 'bin/npm'), 0o755)
}

async function podless(...args: string[]): Promise<Ended> {
  const path = `${join(root, 'bin')}:${join(process.execPath, '..')}:${process.env.PATH}`
  const child = spawn(join(root, 'podless'), args, { env: { ...process.env, PATH: path } })
  const ended = { stdout: '', stderr: '' }
  child.stdout.on('data', text => {
    ended.stdout += text
  })
  child.stderr.on('data', text => {
    ended.stderr += text
  })
  const { promise, resolve } = Promise.withResolvers<number | null>()
  child.on('close', resolve)
  return { code: await promise, ...ended }
}

const installs = (): string[] =>
  readFileSync(join(root, 'installs'), 'utf8').split('\n').slice(0, -1)

test('the first run installs with the pinned pnpm, later ones pass on arguments and exit code', async () => {
  const first = await podless('up', '--port', '0')
  assert.equal(first.stderr, 'podless: installing what it needs (first run only) ...\n')
  const later = await podless('up', '--port', '0')
  assert.deepEqual(later, { code: 7, stdout: 'up,--port,0', stderr: '' })
  assert.deepEqual(installs(), [
    'exec --yes --package=pnpm@1.2.3 -- pnpm install --frozen-lockfile',
  ])
})

test('first runs that start together install once', async () => {
  const ended = await Promise.all([podless('a'), podless('b'), podless('c')])
  assert.deepEqual(
    ended.map(({ code, stdout }) => `${code} ${stdout}`),
    ['7 a', '7 b', '7 c'],
  )
  assert.equal(installs().length, 1)
})

test('the lock of a process that died does not stop the next one', async () => {
  const dead = spawn(process.execPath, ['--version'])
  await new Promise(resolve => dead.on('close', resolve))
  mkdirSync(join(root, '.cache'))
  writeFileSync(join(root, '.cache/install.lock'), String(dead.pid))
  assert.equal((await podless('a')).stdout, 'a')
})

test('a failed install shows why, says what to do and is tried again', async () => {
  npmThat('echo "no route to host" >&2; exit 1')
  const { code, stderr } = await podless('a')
  assert.equal(code, 69)
  assert.match(stderr, /no route to host\npodless: the install failed .*run this again\n$/)
  npmThat('mkdir -p node_modules')
  assert.equal((await podless('a')).stdout, 'a')
})
