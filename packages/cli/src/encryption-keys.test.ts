// --encryption-key-file: which files are taken, and what is said about the others.

import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readEncryptionKeys } from './encryption-keys.ts'

const directory = await mkdtemp(join(tmpdir(), 'podless-keys-'))
after(() => rm(directory, { recursive: true, force: true }))
const path = join(directory, 'keys')
const secret = Buffer.alloc(32, 7).toString('base64')

async function read(text: string, mode = 0o600) {
  await writeFile(path, text)
  await chmod(path, mode)
  return await readEncryptionKeys(path)
}

test('keys are read in their order', async () => {
  const keys = await read(`# newest first\nk2:${secret}\n\nk1:${secret}\n`)
  assert.deepEqual(
    keys.map(({ name, secret: bytes }) => [name, bytes.length]),
    [
      ['k2', 32],
      ['k1', 32],
    ],
  )
  assert.deepEqual(await readEncryptionKeys(undefined), [])
})

test('other files are refused with what to do, and never with their content', async () => {
  await assert.rejects(read(`k1:${secret}`, 0o644), /may be read by others; run chmod 600/)
  await assert.rejects(read('k1:c2hvcnQ='), error => {
    assert.match(String(error), /line 1: a key is written NAME:BASE64 of 32 bytes/)
    assert.doesNotMatch(String(error), /c2hvcnQ/)
    return true
  })
  await assert.rejects(read(''), /holds no key/)
  await assert.rejects(read(`a:${secret}\na:${secret}`), /names a key twice/)
  await assert.rejects(readEncryptionKeys(join(directory, 'none')), /cannot be read/)
})
