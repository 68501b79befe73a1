// Whose the files of DIR/pki are, and what stands in their way.

import assert from 'node:assert/strict'
import { chown, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { writePkiFile } from './pki-file.ts'

const NOBODY = 65_534

const directory = await mkdtemp(join(tmpdir(), 'podless-pki-file-'))
after(() => rm(directory, { recursive: true, force: true }))
const path = join(directory, 'ca.key')

test('writes over no file that a link in its way leads to', async () => {
  const other = join(directory, 'other')
  await writeFile(other, 'of somebody else')
  await symlink(other, `${path}.${process.pid}.new`)
  await writePkiFile(path, 'key')
  assert.equal(await readFile(path, 'utf8'), 'key')
  assert.equal(await readFile(other, 'utf8'), 'of somebody else')
  assert.deepEqual((await readdir(directory)).sort(), ['ca.key', 'other'])
})

const skip = process.geteuid?.() === 0 ? false : 'only root gives files away'
test('leaves what root writes to the owner of the folder', { skip }, async () => {
  await chown(directory, NOBODY, NOBODY)
  await writePkiFile(path, 'new key')
  const { uid, gid, mode } = await stat(path)
  assert.deepEqual([uid, gid, mode & 0o777], [NOBODY, NOBODY, 0o600])
})
