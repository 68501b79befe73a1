// WatchedFiles: which changes of a file are noticed.

import assert from 'node:assert/strict'
import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { WatchedFiles } from './watched-files.ts'

const directory = await mkdtemp(join(tmpdir(), 'podless-watched-'))
after(() => rm(directory, { recursive: true, force: true }))
const path = join(directory, 'file')

const CHANGES: readonly (readonly [what: string, change: () => Promise<void>])[] = [
  ['that comes', () => writeFile(path, 'a')],
  ['of other bytes', () => writeFile(path, 'ab')],
  // What was refused because others may read it is looked at again once they may not.
  ['of another mode', () => chmod(path, 0o600)],
  [
    'in whose place another was put',
    async () => {
      await writeFile(`${path}.new`, 'ab')
      await rename(`${path}.new`, path)
    },
  ],
  ['that goes', () => rm(path)],
]

test('each change of a file is noticed', async () => {
  const files = new WatchedFiles([path])
  for (const [what, change] of CHANGES) {
    await files.note()
    const { promise, resolve } = Promise.withResolvers<string>()
    const stop = files.follow(async () => resolve(what), 5)
    await change()
    assert.equal(await promise, what)
    stop()
  }
})
