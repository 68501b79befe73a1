// podless rotate as a process that is killed at each file it writes, and two of them at once: what is left is good, the next
// one finishes the work, and nobody whose credentials were good loses them.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openPki, type Pki } from '@podless/identity'

const MAIN = join(import.meta.dirname, 'main.ts')
const DAY_MS = 86_400_000
const parent = await mkdtemp(join(tmpdir(), 'podless-rotate-killed-'))
const started: ChildProcess[] = []
after(async () => {
  for (const child of started) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await rm(parent, { recursive: true, force: true })
})

/** Loaded into the command before its code: at its so-many-th change of a file it says so, and never comes further. */
const stopAt = (change: number): string => {
  const code = `
    import fs from 'node:fs/promises'
    import { syncBuiltinESMExports } from 'node:module'
    let count = 0
    for (const name of ['rename', 'rm']) {
      const change = fs[name]
      fs[name] = async (...args) => {
        count += 1
        if (count < ${change}) return await change(...args)
        process.stdout.write('stopped')
        setInterval(() => undefined, 60_000)
        await new Promise(() => undefined)
      }
    }
    syncBuiltinESMExports()`
  return `data:text/javascript,${encodeURIComponent(code)}`
}

function rotating(data: string, args: readonly string[], preload: readonly string[] = []) {
  const child = spawn(process.execPath, [...preload, MAIN, 'rotate', ...args, '--data', data])
  started.push(child)
  return child
}

async function outcome(child: ChildProcess): Promise<{ code: number; text: string }> {
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', chunk => {
      text += chunk
    })
  const [code] = (await once(child, 'close')) as [number]
  return { code, text }
}

/** A rotation that has come to its so-many-th change, where it stays; undefined for one that has fewer. */
async function stopped(data: string, args: readonly string[], change: number) {
  const child = rotating(data, args, ['--import', stopAt(change)])
  const ended = once(child, 'close').then(() => undefined)
  const [first] = (await Promise.race([once(child.stdout, 'data'), ended])) ?? ['']
  return String(first) === 'stopped' ? child : undefined
}

const opened = (data: string, now = new Date()): Promise<Pki> => openPki(data, { now })
const keysOf = ({ olderTokenKeys, tokenKey }: Pki): string[] =>
  [...olderTokenKeys, createPublicKey(tokenKey)].map(key =>
    key.export({ type: 'spki', format: 'pem' }).toString(),
  )

const FILES: Readonly<Record<string, number>> = { ca: 3, 'token-key': 2, serving: 2 }

for (const [what, files] of Object.entries(FILES))
  for (let change = 1; change <= files; change += 1)
    test(`rotate ${what} killed at file ${change} of ${files}: all goes on, and the next one heals it`, async () => {
      const data = join(parent, `${what}-${change}`)
      const before = await opened(data)
      const child = await stopped(data, [what, '--overlap', '1s'], change)
      assert.ok(child, 'it has that many files')
      child.kill('SIGKILL')
      await once(child, 'close')

      // What signs is what signed before, and it counts long after the overlap that was begun has ended.
      const later = new Date(Date.now() + DAY_MS)
      const left = await opened(data, later)
      assert.equal(left.authority.certificate, before.authority.certificate)
      assert.ok(left.bundle.includes(before.authority.certificate))
      assert.ok(left.tokenKey.equals(before.tokenKey))

      const { code, text } = await outcome(rotating(data, [what, '--overlap', '2d']))
      assert.equal(code, 0, text)
      const healed = await opened(data, later)
      assert.equal(healed.authority.certificate === before.authority.certificate, what !== 'ca')
      assert.equal(healed.tokenKey.equals(before.tokenKey), what !== 'token-key')
      assert.ok(healed.bundle.includes(before.authority.certificate), 'its overlap is the new one')
      for (const key of keysOf(before)) assert.ok(keysOf(healed).includes(key))
      const rest = (await readdir(healed.directory)).filter(name => name.endsWith('.new'))
      assert.deepEqual(rest, [], 'no key is left lying about')
    })

test('a rotation has no more files than those it was killed at', async () => {
  for (const [what, files] of Object.entries(FILES)) {
    const data = join(parent, `${what}-all`)
    await opened(data)
    assert.equal(await stopped(data, [what], files + 1), undefined, what)
  }
})

test('a second podless rotate is refused while one runs, and not by one that was killed', async () => {
  const data = join(parent, 'two')
  await opened(data)
  const first = await stopped(data, ['ca'], 1)
  assert.ok(first)
  const { authority } = await opened(data)
  const second = await outcome(rotating(data, ['token-key']))
  assert.equal(second.code, 69)
  assert.match(second.text, /^podless: another podless rotate is at work in .*\/pki; run this one/)
  first.kill('SIGKILL')
  await once(first, 'close')
  assert.equal((await outcome(rotating(data, ['ca']))).code, 0)
  assert.notEqual((await opened(data)).authority.certificate, authority.certificate)
})

test('where the lock cannot be made, one line says so, and nothing is rotated', async () => {
  const data = join(parent, 'unlocked')
  const { authority, directory } = await opened(data)
  await mkdir(join(directory, 'rotate.lock'))
  const { code, text } = await outcome(rotating(data, ['ca']))
  assert.equal(code, 73)
  assert.match(text, /^podless: .*\/pki\/rotate\.lock cannot be locked: EISDIR: [^\n]*\n$/)
  assert.equal((await opened(data)).authority.certificate, authority.certificate)
})
