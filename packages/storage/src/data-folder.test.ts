// What the embedded engine says of folders it cannot or must not use: taken, foreign, damaged, from
// another version.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openEmbedded } from './embedded.ts'
import { StorageError } from './errors.ts'
import { lmdbFileProblem } from './lmdb-file.ts'
import { seededRandom } from './testing/random.ts'
import { failsWith } from './testing/suite-store.ts'

const parent = await mkdtemp(join(tmpdir(), 'podless-folder-'))
after(() => rm(parent, { recursive: true, force: true }))
let folders = 0
const newFolder = () => join(parent, String(++folders))
const WRITER_PROCESS = fileURLToPath(new URL('./testing/writer-process.ts', import.meta.url))

/**
 * A closed store with some history, large enough to have branch pages and values on pages of their
 * own.
 */
async function makeStore(): Promise<string> {
  const directory = newFolder()
  const backend = await openEmbedded({ directory, compaction: false })
  const writes = Array.from({ length: 300 }, async (_, i) => {
    const value = Buffer.alloc(i % 3 === 0 ? 3000 : 200, i)
    const revision = await backend.put(`/key/${i}`, value, { ifRevision: 0 })
    await backend.put(`/key/${i}`, value, { ifRevision: revision })
  })
  await Promise.all(writes)
  await backend.close()
  return directory
}

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8)
}

test("a new folder and its files are the owner's alone", async () => {
  const directory = join(newFolder(), 'deep', 'er')
  const backend = await openEmbedded({ directory })
  await backend.put('/a', Buffer.from('x'), { ifRevision: 0 })
  assert.equal(await modeOf(directory), '700')
  const files = await readdir(directory)
  assert.deepEqual(files.sort(), ['data.mdb', 'data.mdb-lock', 'format.json', 'lock', 'server.pid'])
  for (const file of files) assert.equal(await modeOf(join(directory, file)), '600', file)
  await backend.close()
  assert((await readdir(directory)).every(file => file !== 'server.pid'))
})

test('a second process is told who has the folder, until that one is killed', async () => {
  const directory = newFolder()
  const child = spawn(process.execPath, [WRITER_PROCESS, directory, '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  await once(child.stdout, 'data')
  const error = await failsWith('unavailable', openEmbedded({ directory }))
  assert.match(error.message, /is in use by process \d+/)
  assert(error.message.includes(`process ${child.pid}`))
  assert(error.message.includes(directory))
  child.kill('SIGKILL')
  await exited
  await (await openEmbedded({ directory })).close()
})

test('the same process cannot open a folder twice either', async () => {
  const directory = newFolder()
  const backend = await openEmbedded({ directory })
  const error = await failsWith('unavailable', openEmbedded({ directory }))
  assert(error.message.includes(`process ${process.pid}`))
  await backend.put('/a', Buffer.from('x'), { ifRevision: 0 })
  await backend.close()
  await (await openEmbedded({ directory })).close()
})

test('a folder that holds something else is refused and left as it is', async () => {
  const directory = newFolder()
  await mkdir(directory, { mode: 0o755 })
  await chmod(directory, 0o755)
  await writeFile(join(directory, 'thesis.txt'), 'years of work')
  const error = await failsWith('corrupt', openEmbedded({ directory }))
  assert.match(error.message, /thesis\.txt/)
  assert.deepEqual(await readdir(directory), ['thesis.txt'])
  assert.equal(await modeOf(directory), '755')
})

test('a path that is no folder is unavailable', async () => {
  const path = newFolder()
  await writeFile(path, 'x')
  const error = await failsWith('unavailable', openEmbedded({ directory: path }))
  assert(error.message.includes(path))
})

const BAD_FORMATS: readonly [string, string, RegExp][] = [
  ['no JSON', '{"name":', /is not JSON/],
  ['empty', '', /is not JSON/],
  ["something else's", '{"name":"other","version":1}', /other wrote it/],
  ['no object', '[1]', /does not describe/],
  ["a newer version's", '{"name":"podless-embedded-store","version":99}', /has format 99/],
]
for (const [title, text, message] of BAD_FORMATS) {
  test(`a format.json that is ${title} is refused`, async () => {
    const directory = await makeStore()
    await writeFile(join(directory, 'format.json'), text)
    const error = await failsWith('corrupt', openEmbedded({ directory }))
    assert.match(error.message, message)
    assert.equal(await readFile(join(directory, 'format.json'), 'utf8'), text)
  })
}

test('a store without its data file is corrupt, not empty', async () => {
  const directory = await makeStore()
  await rm(join(directory, 'data.mdb'))
  const error = await failsWith('corrupt', openEmbedded({ directory }))
  assert.match(error.message, /missing or empty/)
  assert.match(error.message, /Restore it from a backup/)
})

test('creation that was interrupted starts over', async () => {
  const directory = newFolder()
  await mkdir(directory)
  await writeFile(join(directory, 'creating'), '')
  await writeFile(join(directory, 'format.json.new'), '{')
  await writeFile(join(directory, 'data.mdb'), '')
  const backend = await openEmbedded({ directory })
  assert.equal(await backend.revision(), 1)
  await backend.close()
})

test('a data file of garbage is corrupt', async () => {
  const directory = await makeStore()
  await writeFile(join(directory, 'data.mdb'), Buffer.alloc(100_000, 'garbage'))
  const error = await failsWith('corrupt', openEmbedded({ directory }))
  assert.match(error.message, /damaged: it has no lmdb header/)
  assert.equal((await stat(join(directory, 'data.mdb'))).size, 100_000)
})

test('a data file cut off anywhere is corrupt or whole, never a crash', async t => {
  const directory = await makeStore()
  const file = join(directory, 'data.mdb')
  const whole = join(parent, 'whole.mdb')
  await copyFile(file, whole)
  const { size } = await stat(file)
  const random = seededRandom(3)
  let refused = 0
  for (let i = 0; i < 25; i++) {
    await copyFile(whole, file)
    await truncate(file, random.below(size))
    if ((await openAndRead(directory)) === 'corrupt') refused++
  }
  t.diagnostic(`${refused} of 25 cuts refused`)
  assert(refused >= 20)
  await copyFile(whole, file)
  assert.equal(await openAndRead(directory), 'read')
})

test('pages overwritten with garbage are found before lmdb maps them', async () => {
  const directory = await makeStore()
  const file = join(directory, 'data.mdb')
  const whole = join(parent, 'whole2.mdb')
  await copyFile(file, whole)
  assert.equal(lmdbFileProblem(whole), undefined)
  const pages = Math.floor((await stat(file)).size / 4096)
  const random = seededRandom(4)
  let refused = 0
  for (let i = 0; i < 60; i++) {
    await copyFile(whole, file)
    const handle = await open(file, 'r+')
    await handle.write(
      Buffer.alloc(4096, random.below(256)),
      0,
      4096,
      4096 * (2 + random.below(pages - 2)),
    )
    await handle.close()
    if (lmdbFileProblem(file) !== undefined) refused++
  }
  // The others were free pages, or values, which lmdb does not follow.
  assert(refused > 0)
})

async function openAndRead(directory: string): Promise<'read' | 'corrupt'> {
  try {
    const backend = await openEmbedded({ directory, compaction: false })
    assert.equal((await backend.list('/')).entries.length, 300)
    await backend.close()
    return 'read'
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    assert.equal(error.code, 'corrupt')
    return 'corrupt'
  }
}
