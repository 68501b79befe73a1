// podless rotate beside a running podless up, both as processes: the command ends once the server shows the new key, also
// when the old one counts no more by then.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

const MAIN = join(import.meta.dirname, 'main.ts')
const data = await mkdtemp(join(tmpdir(), 'podless-rotate-served-'))
const started: ChildProcess[] = []
after(async () => {
  for (const child of started) {
    if (child.exitCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await rm(data, { recursive: true, force: true })
})

function podless(...args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...args, '--data', data])
  started.push(child)
  return child
}

async function run(...args: readonly string[]): Promise<{ code: number; text: string }> {
  const child = podless(...args)
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', chunk => {
      text += chunk
    })
  const [code] = (await once(child, 'close')) as [number]
  return { code, text }
}

test('a rotation is taken up by the server that runs, one that ends the old authority at once as well', async () => {
  const server = podless('up', '--port', '0')
  assert.ok(server.stdout)
  const [line] = (await once(server.stdout.setEncoding('utf8'), 'data')) as [string]
  assert.match(line, /^podless: ready on /)
  for (const [what, overlap] of [
    ['serving', '1d'],
    ['token-key', '1s'],
    ['ca', '1d'],
    ['ca', '1s'],
  ] as const) {
    const { code, text } = await run('rotate', what, '--overlap', overlap)
    assert.equal(code, 0, text)
    assert.match(text, new RegExp(`^${what} rotated: the server uses it`))
  }
  server.kill('SIGTERM')
  const [code] = (await once(server, 'exit')) as [number]
  assert.equal(code, 0)
  assert.match((await run('rotate', 'serving')).text, /: the next podless up uses it\n$/)
})
