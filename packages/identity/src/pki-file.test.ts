// Whose the files of DIR/pki are.

import assert from 'node:assert/strict'
import { chown, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { writePkiFile } from './pki-file.ts'

const NOBODY = 65_534

const directory = await mkdtemp(join(tmpdir(), 'podless-pki-file-'))
after(() => rm(directory, { recursive: true, force: true }))
const path = join(directory, 'ca.key')

const skip = process.geteuid?.() === 0 ? false : 'only root gives files away'
test('leaves what root writes to the owner of the folder', { skip }, async () => {
  await chown(directory, NOBODY, NOBODY)
  await writePkiFile(path, 'key')
  const { uid, gid, mode } = await stat(path)
  assert.deepEqual([uid, gid, mode & 0o777], [NOBODY, NOBODY, 0o600])
  assert.deepEqual(await readdir(directory), ['ca.key'])
})
