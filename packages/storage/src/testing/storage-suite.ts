// What Storage promises on every engine, watch guarantees first: Ordered, Unique, Atomic, Reliable, Resumable,
// Bookmarkable, Filter, Fresh. Run by storage.test.ts and storage.*.test.ts with an engine each; watch-model.ts is what
// the answers are compared with.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { Backend } from '../backend.ts'
import type { CacheWatcher, Predicate } from '../cache-watcher.ts'
import { openCacher } from '../cacher.ts'
import { ContinueError, ContinueExpiredError } from '../continue.ts'
import type { StorageError } from '../errors.ts'
import { createStorage, type Storage } from '../storage.ts'
import { encodeObject, parseObject, type StoredObject } from '../stored-object.ts'
import { CONFIG_MAPS, type ObjectSpec, testBytes, testKey, testPrefix, WIDGETS } from './objects.ts'
import { describeItem, expectedEvents, type LoggedWrite, stateAt } from './watch-model.ts'

export type OpenBackend = () => Backend | Promise<Backend>

/** Registers the suite with node:test. `openBackend` gives an empty store of its own to each call. */
export function runStorageSuite(name: string, openBackend: OpenBackend): void {
  describe(`storage on ${name}`, () => {
    const opened: Storage[] = []
    after(async () => {
      for (const storage of opened) await storage.close()
    })
    const open = async (): Promise<Storage> => {
      const storage = await openStorage(await openBackend())
      opened.push(storage)
      return storage
    }
    writeTests(open)
    listTests(open)
    watchTests(open)
    seededTests(open)
  })
}

async function openStorage(backend: Backend): Promise<Storage> {
  const cacher = await openCacher(backend, {
    now: () => performance.now(),
    onFatal: failOn,
  })
  return createStorage(backend, cacher)
}

type Open = () => Promise<Storage>

const coded = (code: string) => (error: StorageError) => error.code === code
const web: Predicate = object => object.header.labels.app === 'web'

function writeTests(open: Open): void {
  test('create() answers with the object that a get then shows, and only once', async () => {
    const storage = await open()
    const spec = { name: 'a', labels: { app: 'web' } }
    const created = await storage.create(testKey(spec), testBytes(spec))
    assert.equal(parseObject(created).metadata.resourceVersion, String(created.revision))
    assert.equal(created.header.name, 'a')
    assert.deepEqual(created.header.labels, { app: 'web' })
    const got = await storage.get(testKey(spec))
    assert.deepEqual(got?.bytes, created.bytes)
    await assert.rejects(storage.create(testKey(spec), testBytes(spec)), coded('exists'))
  })

  test('update() that changes nothing keeps the revision and wakes nobody', async () => {
    const storage = await open()
    const created = await create(storage, { name: 'a', value: '1' })
    const watcher = await storage.watch({
      prefix: testPrefix(),
      start: { type: 'after', revision: created.revision },
    })
    const same = await storage.update(created.key, () => testBytes({ name: 'a', value: '1' }))
    assert.equal(same.type, 'unchanged')
    assert.equal(same.stored.revision, created.revision)
    const changed = await storage.update(created.key, () => testBytes({ name: 'a', value: '2' }))
    assert.equal(changed.type, 'updated')
    assert.deepEqual(await take(watcher, 1), [
      `MODIFIED ${created.key} ${changed.stored.revision} ${changed.stored.bytes}`,
    ])
  })

  test('update() retries lost races so that concurrent writers lose nothing', async () => {
    const storage = await open()
    const { key } = await create(storage, { name: 'counter', value: '0' })
    const increment = () =>
      storage.update(key, current => {
        assert.ok(current)
        const data = current.object.data as { value: string }
        data.value = String(Number(data.value) + 1)
        return encodeObject(current.object)
      })
    await Promise.all(Array.from({ length: 10 }, increment))
    const stored = await storage.get(key)
    assert.ok(stored)
    assert.deepEqual(parseObject(stored).data, { value: '10' })
  })

  test('update() without retry answers conflict to the loser', async () => {
    const storage = await open()
    const { key } = await create(storage, { name: 'a', value: '0' })
    const attempt = storage.update(
      key,
      async () => {
        await storage.update(key, () => testBytes({ name: 'a', value: 'winner' }))
        return testBytes({ name: 'a', value: 'loser' })
      },
      { retry: false },
    )
    // The cache may not have been sure of the first state: then one more try is its own.
    await attempt.then(
      () => assert.fail('the loser wrote'),
      error => assert.equal(error.code, 'conflict'),
    )
  })

  test('update() creates when there is nothing, deletes when told to, throws what its callback throws', async () => {
    const storage = await open()
    const key = testKey({ name: 'a' })
    await assert.rejects(
      storage.update(key, () => 'unchanged'),
      coded('notFound'),
    )
    const made = await storage.update(key, current => {
      assert.equal(current, undefined)
      return testBytes({ name: 'a' })
    })
    assert.equal(made.type, 'created')
    await assert.rejects(
      storage.update(key, () => {
        throw new RangeError('refused')
      }),
      RangeError,
    )
    const gone = await storage.update(key, () => 'delete')
    assert.equal(gone.type, 'deleted')
    assert.equal(parseObject(gone.stored).metadata.resourceVersion, String(gone.stored.revision))
    assert.ok(gone.stored.revision > made.stored.revision)
    assert.equal(await storage.get(key), undefined)
  })

  test('remove() deletes the state its check agreed to, and no other', async () => {
    const storage = await open()
    const first = await create(storage, { name: 'a', value: '1' })
    const { stored } = await storage.update(first.key, () => testBytes({ name: 'a', value: '2' }))
    await assert.rejects(
      storage.remove(first.key, undefined, { ifRevision: first.revision }),
      coded('conflict'),
    )
    const seen: number[] = []
    const removed = await storage.remove(first.key, async current => {
      if (seen.length === 0) {
        await storage.update(first.key, () => testBytes({ name: 'a', value: '3' }))
      }
      seen.push(current.revision)
    })
    assert.equal(seen[0], stored.revision)
    assert.equal(seen.length, 2)
    assert.deepEqual(parseObject(removed).data, { value: '3' })
    await assert.rejects(storage.remove(first.key), coded('notFound'))
  })
}

function listTests(open: Open): void {
  test('pages are one snapshot that later writes do not disturb', async () => {
    const storage = await open()
    for (const name of ['a', 'b', 'c', 'd', 'e']) await create(storage, { name })
    const prefix = testPrefix()
    const first = await storage.list({ prefix, limit: 2 })
    assert.equal(first.remainingItemCount, 3)
    await storage.remove(testKey({ name: 'c' }))
    await create(storage, { name: 'bb' })
    await storage.update(testKey({ name: 'd' }), () => testBytes({ name: 'd', value: 'new' }))
    const second = await storage.list({ prefix, limit: 2, continue: first.continue ?? '' })
    assert.equal(second.remainingItemCount, 1)
    const third = await storage.list({ prefix, limit: 2, continue: second.continue ?? '' })
    assert.equal(third.continue, undefined)
    assert.equal(third.remainingItemCount, undefined)
    const pages = [first, second, third]
    assert.deepEqual(
      pages.flatMap(page => page.items.map(item => item.header.name)),
      ['a', 'b', 'c', 'd', 'e'],
    )
    assert.deepEqual(new Set(pages.map(page => page.revision)), new Set([first.revision]))
    const exact = await storage.list({
      prefix,
      consistency: { type: 'exact', revision: first.revision },
    })
    assert.deepEqual(
      exact.items.map(item => item.revision),
      pages.flatMap(page => page.items.map(item => item.revision)),
    )
  })

  test('a page with a selector is filled by scanning on, and counts nothing', async () => {
    const storage = await open()
    for (let i = 0; i < 20; i++) {
      const labels = { app: i % 4 === 0 ? 'web' : 'db' }
      await create(storage, { name: `n${String(i).padStart(2, '0')}`, labels })
    }
    const first = await storage.list({ prefix: testPrefix(), limit: 3, predicate: web })
    assert.deepEqual(names(first.items), ['n00', 'n04', 'n08'])
    assert.equal(first.remainingItemCount, undefined)
    const rest = await storage.list({
      prefix: testPrefix(),
      limit: 3,
      predicate: web,
      continue: first.continue ?? '',
    })
    assert.deepEqual(names(rest.items), ['n12', 'n16'])
  })

  test('an exact list older than the history is read from the engine', async () => {
    const storage = await open()
    await create(storage, { name: 'a', value: 'old' })
    const { revision } = await create(storage, { name: 'b' })
    await storage.update(testKey({ name: 'a' }), () => testBytes({ name: 'a', value: 'new' }))
    await create(storage, { name: 'c' })
    const young = await openCacher(storage.backend, {
      now: () => performance.now(),
      replayRevisions: 0,
      onFatal: failOn,
    })
    const reader = createStorage(storage.backend, young)
    const request = { prefix: testPrefix(), limit: 1 }
    const consistency = { type: 'exact', revision } as const
    const first = await reader.list({ ...request, consistency })
    const second = await reader.list({ ...request, continue: first.continue ?? '' })
    assert.deepEqual(names([...first.items, ...second.items]), ['a', 'b'])
    assert.deepEqual([first.revision, second.revision], [revision, revision])
    assert.ok(first.items[0])
    assert.deepEqual(parseObject(first.items[0]).data, { value: 'old' })
    await storage.backend.compact(revision + 1)
    await assert.rejects(reader.list({ ...request, consistency }), coded('compacted'))
    const expired = await reader
      .list({ ...request, continue: first.continue ?? '' })
      .catch(error => error)
    assert.ok(expired instanceof ContinueExpiredError)
    const goesOn = await reader.list({ prefix: testPrefix(), continue: expired.continue })
    assert.deepEqual(names(goesOn.items), ['b', 'c'])
    await young.close()
  })

  test('a token that is none is a ContinueError', async () => {
    const storage = await open()
    for (const token of [
      'not-a-token',
      '!',
      'e30',
      Buffer.from('{"v":"x"}').toString('base64url'),
    ]) {
      await assert.rejects(storage.list({ prefix: testPrefix(), continue: token }), ContinueError)
    }
  })

  test('Fresh: a read without a revision shows every write acknowledged before it', async () => {
    const storage = await open()
    const other = createStorage(
      storage.backend,
      await openCacher(storage.backend, { now: () => 0, onFatal: failOn }),
    )
    for (let i = 0; i < 30; i++) {
      const { key, revision } = await create(storage, { name: `n${i}` })
      const reader = i % 2 === 0 ? storage : other
      const [got, list] = await Promise.all([
        reader.get(key),
        reader.list({ prefix: testPrefix() }),
      ])
      assert.equal(got?.revision, revision)
      assert.equal(list.items.length, i + 1)
      assert.ok(list.revision >= revision)
      const consistency = { type: 'notOlderThan', revision } as const
      assert.equal((await reader.get(key, consistency))?.revision, revision)
    }
    await other.cacher.close()
  })
}

function watchTests(open: Open): void {
  test('Filter: leaving is DELETED with the last match under the write that made it leave', async () => {
    const storage = await open()
    const start = { type: 'after', revision: storage.cacher.revision } as const
    const watcher = await storage.watch({ prefix: testPrefix(), start, predicate: web })
    const write = (labels: Record<string, string>, value: string) =>
      storage.update(testKey({ name: 'a' }), () => testBytes({ name: 'a', labels, value }))
    await write({ app: 'db' }, '1')
    const enters = await write({ app: 'web' }, '2')
    const leaves = await write({ app: 'db' }, '3')
    await write({ app: 'web' }, '4')
    const gone = await storage.remove(testKey({ name: 'a' }))
    const items = await takeItems(watcher, 4)
    const shown = items.map(item => 'object' in item && [item.type, item.revision])
    assert.deepEqual(shown, [
      ['ADDED', enters.stored.revision],
      ['DELETED', leaves.stored.revision],
      ['ADDED', leaves.stored.revision + 1],
      ['DELETED', gone.revision],
    ])
    const left = items[1]
    assert.ok(left !== undefined && 'object' in left)
    const object = parseObject(left.object)
    assert.deepEqual(object.data, { value: '2' })
    assert.equal(object.metadata.resourceVersion, String(leaves.stored.revision))
  })

  test('initial events are the state, then the marker, then changes; also of an empty prefix', async () => {
    const storage = await open()
    const a = await create(storage, { name: 'a' })
    const b = await create(storage, { name: 'b', labels: { app: 'web' } })
    const initial = { type: 'initial', consistency: { type: 'latest' }, marker: true } as const
    const all = await storage.watch({ prefix: testPrefix(), start: initial })
    const one = await storage.watch({ prefix: b.key, start: initial })
    const none = await storage.watch({ prefix: testPrefix(WIDGETS), start: initial })
    const c = await create(storage, { name: 'c' })
    assert.deepEqual(await take(all, 4), [
      `ADDED ${a.key} ${a.revision} ${a.bytes}`,
      `ADDED ${b.key} ${b.revision} ${b.bytes}`,
      `INITIAL_EVENTS_END ${b.revision}`,
      `ADDED ${c.key} ${c.revision} ${c.bytes}`,
    ])
    const shown = [`ADDED ${b.key} ${b.revision} ${b.bytes}`, `INITIAL_EVENTS_END ${b.revision}`]
    assert.deepEqual(await take(one, 2), shown)
    assert.deepEqual(await take(none, 1), [`INITIAL_EVENTS_END ${b.revision}`])
  })

  test('Resumable: a watch resumes across a restart of the cache, and is told when it cannot', async () => {
    const storage = await open()
    const first = await create(storage, { name: 'a' })
    const second = await create(storage, { name: 'b' })
    const restarted = await openCacher(storage.backend, { now: () => 0, onFatal: failOn })
    const watcher = restarted.watch({ prefix: testPrefix(), after: first.revision })
    assert.deepEqual(await take(watcher, 1), [
      `ADDED ${second.key} ${second.revision} ${second.bytes}`,
    ])
    await restarted.close()
    await storage.backend.compact(second.revision)
    const late = await openCacher(storage.backend, { now: () => 0, onFatal: failOn })
    assert.throws(
      () => late.watch({ prefix: testPrefix(), after: first.revision }),
      coded('compacted'),
    )
    await late.close()
  })

  test('Bookmarkable: a bookmark comes with progress elsewhere and never before its events', async () => {
    const storage = await open()
    const watcher = await storage.watch({
      prefix: testPrefix(WIDGETS),
      start: { type: 'after', revision: storage.cacher.revision },
    })
    const elsewhere = await create(storage, { name: 'a' })
    await storage.cacher.waitFresh(elsewhere.revision)
    await ticks()
    assert.equal(watcher.bookmark(), elsewhere.revision)
    const widget = await create(storage, { name: 'w', resource: WIDGETS })
    await storage.cacher.waitFresh(widget.revision)
    assert.equal(watcher.bookmark(), widget.revision - 1)
    await take(watcher, 1, true)
    assert.equal(watcher.bookmark(), widget.revision)
    watcher.close()
  })
}

/** A write that was acknowledged, as `perform` did it. */
async function perform(storage: Storage, random: () => number): Promise<LoggedWrite | undefined> {
  const pick = (n: number) => Math.floor(random() * n)
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

function seededTests(open: Open): void {
  for (const seed of [1, 2, 3]) {
    test(`Ordered, Unique, Reliable, Resumable under concurrent writers (seed ${seed})`, async () => {
      const storage = await open()
      const random = seeded(seed)
      const log: LoggedWrite[] = []
      const watches: SeededWatch[] = []
      const start = storage.cacher.revision
      for (let round = 0; round < 25; round++) {
        const writes = await Promise.all(Array.from({ length: 4 }, () => perform(storage, random)))
        log.push(...writes.filter(write => write !== undefined))
        log.sort((a, b) => a.revision - b.revision)
        const now = storage.cacher.revision
        const from = start + Math.floor(random() * (now - start + 1))
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

function seededWatch(storage: Storage, random: () => number, from: number): SeededWatch {
  const prefixes = [
    testPrefix(),
    testPrefix(WIDGETS),
    testPrefix(CONFIG_MAPS, 'ns1'),
    testPrefix(WIDGETS, 'ns0'),
    testKey({ namespace: 'ns0', name: 'o3' }),
    '/registry/',
  ]
  const prefix = prefixes[Math.floor(random() * prefixes.length)] ?? '/registry/'
  const predicate = random() < 0.5 ? web : undefined
  const seen: string[] = []
  const pauses = random() < 0.3
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
  range: { first: number; last: number; random: () => number },
): Promise<void> {
  const { first, last, random } = range
  for (let i = 0; i < 20; i++) {
    const revision = first + Math.floor(random() * (last - first + 1))
    const prefix = [testPrefix(), testPrefix(WIDGETS, 'ns1')][i % 2] ?? ''
    const state = [...stateAt(log, revision).values()].filter(o => o.key.startsWith(prefix))
    const limit = 1 + Math.floor(random() * 4)
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

function failOn(error: unknown): void {
  assert.fail(`the cache broke: ${error}`)
}

function create(storage: Storage, spec: ObjectSpec): Promise<StoredObject> {
  return storage.create(testKey(spec), testBytes(spec))
}

function names(items: readonly StoredObject[]): string[] {
  return items.map(item => item.header.name)
}

async function take(watcher: CacheWatcher, count: number, keep = false): Promise<string[]> {
  return (await takeItems(watcher, count, keep)).map(describeItem)
}

/** The next `count` items; the watch is closed after them unless it is to be kept. */
async function takeItems(watcher: CacheWatcher, count: number, keep = false) {
  const items = []
  const iterator = watcher[Symbol.asyncIterator]()
  while (items.length < count) {
    const { value, done } = await iterator.next()
    if (done === true || value === undefined) {
      assert.fail(`the watch ended (${watcher.ended}) after ${items.length} of ${count}`)
    }
    items.push(value)
  }
  if (!keep) await iterator.return?.()
  return items
}

/** Lets what was queued in this turn of the event loop happen. */
async function ticks(): Promise<void> {
  for (let i = 0; i < 100; i++) await new Promise<void>(resolve => setImmediate(resolve))
}

/** mulberry32: the same numbers for the same seed. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
