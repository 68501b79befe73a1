// --encryption-key-file: which files are taken, what is said about the others, and that a change needs no restart.

import assert from 'node:assert/strict'
import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createLog } from '@podless/api'
import { openMemory } from '@podless/storage/testing'
import { openEncryptionKeys, readEncryptionKeys, withEncryption } from './encryption-keys.ts'

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

test('a change of the file is taken up by the server that runs; what cannot be used changes nothing', async t => {
  const line = (name: string, fill: number): string =>
    `${name}:${Buffer.alloc(32, fill).toString('base64')}\n`
  await writeFile(path, line('old', 1), { mode: 0o600 })
  await chmod(path, 0o600)
  let logged = ''
  const write = (text: string): void => {
    logged += text
  }
  const log = createLog({ write, level: 'info', now: () => new Date(0) })
  const keys = await openEncryptionKeys(path, log)
  const inner = openMemory()
  const backend = withEncryption(inner, keys)
  t.after(keys.follow(5))
  const written = async (name: string): Promise<string> => {
    const key = `/registry/secrets/a/${name}`
    await backend.put(key, Buffer.from(name), { ifRevision: 0 })
    const { entry } = await inner.get(key)
    return Buffer.from(entry?.value ?? []).toString('latin1', 0, 21)
  }
  const read = async (name: string): Promise<string> => {
    const { entry } = await backend.get(`/registry/secrets/a/${name}`)
    return Buffer.from(entry?.value ?? []).toString()
  }
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await new Promise(resolve => setImmediate(resolve))
  }
  /** At once: a look at a file that is empty first, and then read whole, would be followed by a second one. */
  const replace = async (text: string): Promise<void> => {
    await writeFile(`${path}.new`, text, { mode: 0o600 })
    await rename(`${path}.new`, path)
  }
  assert.equal(await written('one'), 'k8s:enc:aesgcm:v1:old')

  // Whoever migrates beside the server seals with the new key what this one reads.
  await replace(line('new', 2) + line('old', 1))
  await until(() => keys.reloads === 1)
  assert.equal(await written('two'), 'k8s:enc:aesgcm:v1:new')
  assert.deepEqual([await read('one'), await read('two')], ['one', 'two'])

  await replace(line('new', 2))
  await until(() => keys.reloads === 2)
  assert.equal(await read('one'), 'one', 'history may hold values of a key that was taken out')

  for (const broken of ['', line('new', 3)]) {
    logged = ''
    await replace(broken)
    await until(() => logged.includes('stay in force'))
    assert.equal(await written(`after ${broken.length}`), 'k8s:enc:aesgcm:v1:new')
  }
  assert.equal(keys.reloads, 2)
  await backend.close()
})
