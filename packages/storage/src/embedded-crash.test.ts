// kill -9 in the middle of writing: what was acknowledged is there, with its place in the history,
// round after round.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openEmbedded } from './embedded.ts'
import { seededRandom } from './testing/random.ts'
import { text, watchUntil } from './testing/suite-store.ts'

const ROUNDS = 4
const WRITERS = 16
const WRITER_PROCESS = fileURLToPath(new URL('./testing/writer-process.ts', import.meta.url))

interface Ack {
  readonly key: string
  readonly count: number
  readonly revision: number
}

test('no acknowledged write is lost when the process is killed', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'podless-crash-'))
  const random = seededRandom(7)
  const acks: Ack[] = []
  try {
    for (let round = 0; round < ROUNDS; round++) {
      acks.push(...(await writeAndKill(directory, 100 + random.below(1500))))
      await check(directory, acks)
    }
    t.diagnostic(`${acks.length} acknowledged writes, ${ROUNDS} kills`)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

/**
 * Kills the writers once they have had `count` acknowledgements; they may get more until the signal
 * arrives.
 */
async function writeAndKill(directory: string, count: number): Promise<Ack[]> {
  const child = spawn(process.execPath, [WRITER_PROCESS, directory, String(WRITERS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const acks: Ack[] = []
  for await (const line of createInterface({
    input: (child as ChildProcess).stdout ?? assert.fail(),
  })) {
    if (line === 'open') continue
    const [key = '', number, revision] = line.split(' ')
    // A line that the kill cut short is no acknowledgement.
    if (revision !== undefined)
      acks.push({ key, count: Number(number), revision: Number(revision) })
    if (acks.length === count) child.kill('SIGKILL')
  }
  const [, signal] = await exited
  assert.equal(signal, 'SIGKILL')
  assert(acks.length >= count)
  return acks
}

async function check(directory: string, acks: readonly Ack[]): Promise<void> {
  const backend = await openEmbedded({ directory, compaction: false })
  try {
    const revision = await backend.revision()
    const history = new Map<number, string>()
    let last = 1
    for (const batch of await watchUntil(backend, '/', { after: 1, until: revision })) {
      assert.equal(batch.revision, last + 1, 'the history has a hole')
      last = batch.revision
      const [event] = batch.events
      history.set(batch.revision, `${event?.key} ${countOf(event?.value)}`)
    }
    for (const ack of acks) {
      assert.equal(history.get(ack.revision), `${ack.key} ${ack.count}`)
    }
    const live = await backend.list('/writer/')
    const counts = new Map(live.entries.map(entry => [entry.key, countOf(entry.value)]))
    for (const ack of acks) assert((counts.get(ack.key) ?? 0) >= ack.count, `${ack.key} went back`)
  } finally {
    await backend.close()
  }
}

function countOf(value: Uint8Array | undefined): number {
  return Number.parseInt(text(value) ?? '', 10)
}
