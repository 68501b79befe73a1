// The audit log's file: whole lines in order, rotated by size, for its owner alone.

import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openAuditFile } from './audit-file.ts'

const parent = await mkdtemp(join(tmpdir(), 'podless-audit-'))
after(() => rm(parent, { recursive: true, force: true }))

const fail = (error: unknown): never => {
  throw error
}

test('lines of many batches are whole, in order, and only the youngest files stay', async () => {
  const path = join(parent, 'rotated.log')
  const file = await openAuditFile({ path, bytesMax: 100, filesMax: 2, onError: fail })
  for (let n = 0; n < 40; n += 1) {
    file.write(`line ${String(n).padStart(3, '0')} ........\n`)
    if (n % 3 === 0) await new Promise(resolve => setTimeout(resolve, 2))
  }
  await file.close()
  const names = (await readdir(parent)).filter(name => name.startsWith('rotated')).sort()
  assert.deepEqual(names, ['rotated.log', 'rotated.log.1', 'rotated.log.2'])
  const texts = await Promise.all(
    [...names].reverse().map(name => readFile(join(parent, name), 'utf8')),
  )
  const numbers = texts.join('').trimEnd().split('\n')
  const last = numbers.map(line => Number(/^line (\d{3}) \.{8}$/.exec(line)?.[1]))
  assert.equal(last.at(-1), 39)
  assert.deepEqual(
    last,
    Array.from(last, (_, i) => 40 - last.length + i),
  )
})

test('the file goes on where it was and is readable by its owner only', async () => {
  const path = join(parent, 'kept.log')
  await writeFile(path, 'before\n', { mode: 0o644 })
  const file = await openAuditFile({ path, bytesMax: 1e6, filesMax: 1, onError: fail })
  file.write('after\n')
  await file.close()
  assert.equal(await readFile(path, 'utf8'), 'before\nafter\n')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
})
