// Watches and lists under concurrent writers, compared with the model of watch-model.ts. Called by storage-suite.ts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CacheWatcher, Predicate } from '../cache-watcher.ts'
import type { Storage } from '../storage.ts'
import type { StoredObject } from '../stored-object.ts'
import { CONFIG_MAPS, type ObjectSpec, testBytes, testKey, testPrefix, WIDGETS } from './objects.ts'
import { type Random, seededRandom } from './random.ts'
import { ticks, web } from './storage-steps.ts'
import { describeItem, expectedEvents, type LoggedWrite, stateAt } from './watch-model.ts'

/** A write that was acknowledged, as `perform` did it. */
async function perform(storage: Storage, random: Random): Promise<LoggedWrite | undefined> {
  const pick = (below: number) => random.below(below)
  const spec: ObjectSpec = {
    resource: pick(2) === 0 ? CONFIG_MAPS : WIDGETS,
    namespace: `ns${pick(2)}`,
    name: `o${pick(6)}`,
    labels: { app: pick(2) === 0 ? 'web' : 'db' },
    value: String(pick(1000)),
  }
  const key = testKey(spec)
  const deletes = pick(4) === 0
  const result = await storage
    .update(key, () => (deletes ? 'delete' : testBytes(spec)))
    .catch(error => {
      if (error.code === 'notFound') return undefined
      throw error
    })
  if (result === undefined || result.type === 'unchanged') return undefined
  const { revision } = result.stored
  return { revision, key, stored: result.type === 'deleted' ? undefined : result.stored }
}

interface SeededWatch {
  readonly prefix: string
  readonly after: number
  readonly predicate: Predicate | undefined
  readonly watcher: CacheWatcher
  readonly seen: string[]
}

/** Registers the tests that compare a random run with the model. */
export function seededTests(open: () => Promise<Storage>): void {
  for (const seed of [1, 2, 3]) {
    test(`Ordered, Unique, Reliable, Resumable under concurrent writers (seed ${seed})`, async () => {
      const storage = await open()
      const random = seededRandom(seed)
      const log: LoggedWrite[] = []
      const watches: SeededWatch[] = []
      const start = storage.cacher.revision
      for (let round = 0; round < 25; round++) {
        const writes = await Promise.all(Array.from({ length: 4 }, () => perform(storage, random)))
        log.push(...writes.filter(write => write !== undefined))
        log.sort((a, b) => a.revision - b.revision)
        const now = storage.cacher.revision
        const from = start + random.below(now - start + 1)
        watches.push(seededWatch(storage, random, from))
      }
      const last = log.at(-1)?.revision ?? start
      await storage.cacher.waitFresh(last)
      await ticks()
      for (const { prefix, after, predicate, seen, watcher } of watches) {
        assert.deepEqual(seen, expectedEvents(log, { prefix, after, predicate }), prefix)
        assert.ok((watcher.bookmark() ?? 0) >= last)
        watcher.close()
      }
      await checkLists(storage, log, { first: start, last, random })
    })
  }
}

function seededWatch(storage: Storage, random: Random, from: number): SeededWatch {
  const prefixes = [
    testPrefix(),
    testPrefix(WIDGETS),
    testPrefix(CONFIG_MAPS, 'ns1'),
    testPrefix(WIDGETS, 'ns0'),
    testKey({ namespace: 'ns0', name: 'o3' }),
    '/registry/',
  ]
  const prefix = random.pick(prefixes)
  const predicate = random.next() < 0.5 ? web : undefined
  const seen: string[] = []
  const pauses = random.next() < 0.3
  const watcher: CacheWatcher = storage.cacher.watch({
    prefix,
    after: from,
    ...(predicate === undefined ? {} : { predicate }),
    sink: {
      onEvents(items) {
        seen.push(...items.map(describeItem))
        if (!pauses) return
        setImmediate(() => watcher.resume())
        return false
      },
    },
  })
  return { prefix, after: from, predicate, watcher, seen }
}

/** Pages at random revisions against the model's state. */
async function checkLists(
  storage: Storage,
  log: readonly LoggedWrite[],
  range: { first: number; last: number; random: Random },
): Promise<void> {
  const { first, last, random } = range
  for (let i = 0; i < 20; i++) {
    const revision = first + random.below(last - first + 1)
    const prefix = [testPrefix(), testPrefix(WIDGETS, 'ns1')][i % 2] ?? ''
    const state = [...stateAt(log, revision).values()].filter(o => o.key.startsWith(prefix))
    const limit = 1 + random.below(4)
    const found: StoredObject[] = []
    let next: string | undefined
    do {
      const page = await storage.list({
        prefix,
        limit,
        ...(next === undefined
          ? { consistency: { type: 'exact', revision } as const }
          : { continue: next }),
      })
      found.push(...page.items)
      next = page.continue
      if (next !== undefined) {
        assert.equal(page.remainingItemCount, state.length - found.length)
      }
    } while (next !== undefined)
    assert.deepEqual(
      found.map(object => object.bytes.toString()),
      state.map(object => object.bytes.toString()),
    )
  }
}
