// The cacher against an engine that says exactly what a test wants: whole revisions, lost history, broken promises, slow
// and paused watchers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Backend, Entry, WatchBatch, WatchEvent } from './backend.ts'
import type { CacheWatcher, WatchItem, WatchSink } from './cache-watcher.ts'
import { type Cacher, type CacherOptions, openCacher } from './cacher.ts'
import { StorageError } from './errors.ts'
import { type StoredObject, storedObject } from './stored-object.ts'
import { CONFIG_MAPS, testBytes, testKey, testPrefix, WIDGETS } from './testing/objects.ts'

type Signal = WatchBatch | Error

/** Only what a cacher asks of an engine. The test pushes what the watch says next. */
class ScriptedBackend {
  entries: Entry[] = []
  current = 1
  readonly watchedAfter: number[] = []
  readonly #said: Signal[] = []
  #wake: () => void = () => undefined

  say(signal: Signal): void {
    if ('revision' in signal && !(signal instanceof Error)) this.current = signal.revision
    this.#said.push(signal)
    this.#wake()
  }

  async revision(): Promise<number> {
    return this.current
  }

  async list() {
    return { entries: this.entries, revision: this.current, more: false }
  }

  async *watch(_prefix: string, options: { after: number; signal: AbortSignal }) {
    this.watchedAfter.push(options.after)
    options.signal.addEventListener('abort', () => this.#wake())
    while (!options.signal.aborted) {
      const next = this.#said.shift()
      if (next instanceof Error) throw next
      if (next !== undefined) yield next
      else {
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
      }
    }
  }
}

const put = (name: string, value = '', labels: Record<string, string> = {}): WatchEvent => ({
  type: 'put',
  key: testKey({ name }),
  value: testBytes({ name, value, labels }),
})
const del = (name: string): WatchEvent => ({ type: 'delete', key: testKey({ name }) })

interface Setup {
  readonly backend: ScriptedBackend
  readonly cacher: Cacher
  readonly fatal: unknown[]
  say(revision: number, ...events: WatchEvent[]): Promise<void>
}

async function setUp(options: Partial<CacherOptions> = {}): Promise<Setup> {
  const backend = new ScriptedBackend()
  const fatal: unknown[] = []
  const cacher = await openCacher(backend as unknown as Backend, {
    now: () => 0,
    onFatal: error => fatal.push(error),
    ...options,
  })
  const say = async (revision: number, ...events: WatchEvent[]) => {
    backend.say({ revision, events })
    await cacher.waitFresh(revision)
  }
  return { backend, cacher, fatal, say }
}

/** A sink that keeps what it was given, call by call. */
class Recorder implements WatchSink {
  readonly calls: WatchItem[][] = []
  end: string | undefined
  pauses = false

  onEvents(items: readonly WatchItem[]): false | undefined {
    this.calls.push([...items])
    return this.pauses ? false : undefined
  }

  onEnd(reason: string): void {
    this.end = reason
  }

  /** `ADDED a@2` for each item of each call. */
  get shown(): string[][] {
    return this.calls.map(items => items.map(shown))
  }
}

function shown(item: WatchItem): string {
  return 'object' in item
    ? `${item.type} ${item.object.header.name}@${item.object.bytes.toString().match(/n":"(\d+)"/)?.[1]}`
    : `${item.type} ${item.revision}`
}

const all = testPrefix()
const turn = () => new Promise<void>(resolve => setImmediate(resolve))

test('Atomic: the changes of one revision are handed out in one call, once the cache shows them all', async () => {
  const { cacher, say } = await setUp()
  const counts: number[] = []
  const sink = new Recorder()
  const watcher = cacher.watch({
    prefix: all,
    sink: {
      onEvents(items) {
        counts.push(cacher.count(all))
        assert.equal(watcher.bookmark(), 2)
        return sink.onEvents(items)
      },
    },
  })
  await say(2, put('a'), put('b'), put('c'))
  assert.deepEqual(sink.shown, [['ADDED a@2', 'ADDED b@2', 'ADDED c@2']])
  assert.deepEqual(counts, [3])
  await cacher.close()
})

test('a watch sees only its resource, its namespace or its key', async () => {
  const { cacher, say } = await setUp()
  const sinks = new Map<string, Recorder>()
  const prefixes = [
    '/registry/',
    all,
    testPrefix(WIDGETS),
    testPrefix(CONFIG_MAPS, 'other'),
    testKey({ name: 'a' }),
  ]
  for (const prefix of prefixes) {
    const sink = new Recorder()
    sinks.set(prefix, sink)
    cacher.watch({ prefix, sink })
  }
  const widget = { ...put('w'), key: testKey({ name: 'w', resource: WIDGETS }) }
  const other = { ...put('o'), key: testKey({ name: 'o', namespace: 'other' }) }
  await say(2, put('a'))
  await say(3, put('ab'))
  await say(4, widget)
  await say(5, other)
  assert.deepEqual(
    [...sinks.values()].map(sink => sink.shown.flat().join(' ')),
    [
      'ADDED a@2 ADDED ab@3 ADDED w@4 ADDED o@5',
      'ADDED a@2 ADDED ab@3 ADDED o@5',
      'ADDED w@4',
      'ADDED o@5',
      'ADDED a@2',
    ],
  )
  await cacher.close()
})

test('every watcher is given the same event and the same bytes', async () => {
  const { cacher, say } = await setUp()
  const sinks = [1, 2, 3].map(() => new Recorder())
  const predicate = (object: StoredObject) => object.header.labels.app === 'web'
  for (const sink of sinks) cacher.watch({ prefix: all, sink, predicate })
  await say(2, put('a', '1', { app: 'web' }))
  await say(3, put('a', '2'))
  const left = sinks.map(sink => sink.calls[1]?.[0])
  assert.equal(new Set(left).size, 1)
  assert.ok(left[0] !== undefined && 'object' in left[0])
  assert.deepEqual(sinks[0]?.shown, [['ADDED a@2'], ['DELETED a@3']])
  await cacher.close()
})

test('an own write is not parsed again when the feed shows it', async () => {
  const { cacher, say } = await setUp()
  const event = put('a')
  const mine = storedObject(event.key, event.value ?? Buffer.alloc(0), 2)
  assert.equal(cacher.adopt(mine), mine)
  await say(2, event)
  assert.equal(cacher.get(event.key), mine)
  const again = storedObject(event.key, event.value ?? Buffer.alloc(0), 2)
  assert.equal(cacher.adopt(again), mine)
  await cacher.close()
})

test('a paused sink is given nothing until it resumes, then all in order', async () => {
  const { cacher, say } = await setUp()
  const sink = new Recorder()
  sink.pauses = true
  const watcher = cacher.watch({ prefix: all, sink })
  for (let revision = 2; revision <= 5; revision++) await say(revision, put(`n${revision}`))
  assert.deepEqual(sink.shown, [['ADDED n2@2']])
  assert.equal(watcher.bookmark(), 2)
  watcher.resume()
  assert.deepEqual(sink.shown[1], ['ADDED n3@3', 'ADDED n4@4', 'ADDED n5@5'])
  assert.equal(watcher.bookmark(), 5)
  assert.equal(watcher.queuedBytes, 0)
  await cacher.close()
  assert.equal(sink.end, 'aborted')
})

test('a watcher that lets more wait than its bound is closed as slow; others go on', async () => {
  const { cacher, say } = await setUp()
  const slow = new Recorder()
  slow.pauses = true
  const fast = new Recorder()
  cacher.watch({ prefix: all, sink: slow, queueBytesMax: 1000 })
  const iterated = cacher.watch({ prefix: all, queueBytesMax: 1000 })
  cacher.watch({ prefix: all, sink: fast, queueBytesMax: 1000 })
  for (let revision = 2; revision <= 12; revision++) await say(revision, put('a', 'x'.repeat(100)))
  assert.equal(slow.end, 'slow')
  assert.equal(iterated.ended, 'slow')
  assert.equal(fast.calls.length, 11)
  assert.equal(fast.end, undefined)
  await cacher.close()
})

test('state and replay do not count as waiting', async () => {
  const { cacher, say } = await setUp()
  for (let revision = 2; revision <= 40; revision++) await say(revision, put(`n${revision}`))
  const bounded = { prefix: all, queueBytesMax: 500 }
  const replayed = cacher.watch({ ...bounded, after: 1 })
  const initial = cacher.watch({ ...bounded, initialEvents: 'marked' })
  await turn()
  assert.equal(replayed.bookmark(), undefined)
  assert.equal((await collect(replayed, 39)).at(-1), 'ADDED n40@40')
  assert.equal((await collect(initial, 40)).at(-1), 'INITIAL_EVENTS_END 40')
  await cacher.close()
})

test('the initial state is that of the registration, whatever is written while it is being read', async () => {
  const { cacher, say } = await setUp()
  await say(2, put('a'), put('b'))
  const watcher = cacher.watch({ prefix: all, initialEvents: 'marked' })
  const view = cacher.view(all)
  await say(3, del('a'), put('b', 'new'))
  assert.deepEqual(await collect(watcher, 5), [
    'ADDED a@2',
    'ADDED b@2',
    'INITIAL_EVENTS_END 2',
    'DELETED a@3',
    'MODIFIED b@3',
  ])
  assert.deepEqual(
    [...view.items()].map(object => object.revision),
    [2, 2],
  )
  await cacher.close()
})

test('a watch from a revision that is still to come skips what is before it', async () => {
  const { cacher, say } = await setUp()
  const sink = new Recorder()
  const watcher = cacher.watch({ prefix: all, after: 3, sink })
  assert.equal(watcher.bookmark(), undefined)
  await say(2, put('a'))
  await say(3, put('a', '3'))
  await say(4, put('a', '4'))
  assert.deepEqual(sink.shown, [['MODIFIED a@4']])
  await cacher.close()
})

test('a sink that throws loses its own watch only', async () => {
  const { cacher, fatal, say } = await setUp()
  const broken: unknown[] = []
  const good = new Recorder()
  cacher.watch({
    prefix: all,
    sink: {
      onEvents() {
        throw new RangeError('broken')
      },
      onEnd: (reason, error) => broken.push(reason, error),
    },
  })
  cacher.watch({ prefix: all, sink: good })
  await say(2, put('a'))
  assert.equal(broken[0], 'failed')
  assert.ok(broken[1] instanceof RangeError)
  assert.deepEqual(good.shown, [['ADDED a@2']])
  assert.deepEqual(fatal, [])
  await cacher.close()
})

test('a sink may close its watch and open another from inside its call', async () => {
  const { cacher, say } = await setUp()
  const second = new Recorder()
  const watcher: CacheWatcher = cacher.watch({
    prefix: all,
    sink: {
      onEvents() {
        watcher.close()
        cacher.watch({ prefix: all, sink: second })
      },
    },
  })
  await say(2, put('a'))
  await say(3, put('b'))
  assert.deepEqual(second.shown, [['ADDED b@3']])
  await cacher.close()
})

test('an aborted signal ends a watch, and so does leaving the loop', async () => {
  const { cacher, say } = await setUp()
  const aborter = new AbortController()
  const watcher = cacher.watch({ prefix: all, signal: aborter.signal })
  const ended = collect(watcher, 1)
  aborter.abort()
  assert.deepEqual(await ended, [])
  assert.equal(watcher.ended, 'aborted')
  const left = cacher.watch({ prefix: all })
  await say(2, put('a'))
  for await (const _ of left) break
  assert.equal(left.ended, 'aborted')
  const late = new Recorder()
  cacher.watch({ prefix: all, sink: late, signal: aborter.signal })
  await turn()
  assert.equal(late.end, 'aborted')
  await cacher.close()
})

test('the feed goes on where it was when the engine was away', async () => {
  const { backend, cacher, say, fatal } = await setUp()
  const sink = new Recorder()
  cacher.watch({ prefix: all, sink })
  await say(2, put('a'))
  backend.say(new StorageError('unavailable'))
  await say(3, put('b'))
  assert.deepEqual(sink.shown, [['ADDED a@2'], ['ADDED b@3']])
  assert.deepEqual(backend.watchedAfter, [1, 2])
  assert.deepEqual(fatal, [])
  await cacher.close()
})

test('a feed that was compacted away reloads everything and ends every watch as expired', async () => {
  const { backend, cacher, say, fatal } = await setUp()
  const sink = new Recorder()
  cacher.watch({ prefix: all, sink })
  await say(2, put('a'))
  await say(3, put('gone'))
  const kept = cacher.get(testKey({ name: 'a' }))
  backend.current = 50
  backend.entries = [
    { key: testKey({ name: 'a' }), value: testBytes({ name: 'a' }), revision: 2 },
    { key: testKey({ name: 'b' }), value: testBytes({ name: 'b' }), revision: 40 },
  ]
  backend.say(new StorageError('compacted', { revision: 45 }))
  await cacher.waitFresh(50)
  assert.equal(sink.end, 'expired')
  assert.deepEqual(
    [...cacher.list(all)].map(object => object.revision),
    [2, 40],
  )
  assert.equal(cacher.get(testKey({ name: 'a' })), kept)
  assert.throws(() => cacher.watch({ prefix: all, after: 3 }), { code: 'compacted', revision: 50 })
  assert.equal(cacher.view(all, 3), undefined)
  await say(51, put('c'))
  assert.equal(cacher.count(all), 3)
  assert.deepEqual(fatal, [])
  await cacher.close()
})

const BROKEN: [string, WatchBatch][] = [
  ['a revision comes twice', { revision: 2, events: [put('b')] }],
  [
    'a change replaces a revision that the cache never had',
    { revision: 9, events: [{ ...put('a'), previousRevision: 5 }] },
  ],
]
for (const [why, batch] of BROKEN) {
  test(`the cache gives up when ${why}`, async () => {
    const { backend, cacher, fatal, say } = await setUp()
    const sink = new Recorder()
    cacher.watch({ prefix: all, sink })
    await say(2, put('a'))
    backend.say(batch)
    while (fatal.length === 0) await turn()
    assert.equal((fatal[0] as Error).name, 'AssertionError')
    assert.equal(sink.end, 'failed')
    await assert.rejects(cacher.waitFresh(99), { code: 'unavailable' })
    await cacher.close()
  })
}

test('a corrupt value is reported and leaves a hole, not a stop', async () => {
  const corrupt: string[] = []
  const { cacher, say, fatal } = await setUp({ onCorrupt: key => corrupt.push(key) })
  const sink = new Recorder()
  cacher.watch({ prefix: all, sink })
  await say(2, put('a'))
  await say(3, { ...put('a'), value: Buffer.from('k8s\0'), previousRevision: 2 })
  assert.equal(cacher.get(testKey({ name: 'a' })), undefined)
  await say(4, { ...put('a'), previousRevision: 3 })
  await say(5, { ...del('a'), previousRevision: 4 })
  assert.deepEqual(sink.shown.flat(), ['ADDED a@2', 'DELETED a@3', 'ADDED a@4', 'DELETED a@5'])
  assert.deepEqual(corrupt, [testKey({ name: 'a' })])
  assert.deepEqual(fatal, [])
  await cacher.close()
})

test('a busy resource does not push another out of its history', async () => {
  const { cacher, say } = await setUp({ history: { eventsMax: 5 } })
  await say(2, { ...put('w'), key: testKey({ name: 'w', resource: WIDGETS }) })
  for (let revision = 3; revision <= 30; revision++) await say(revision, put('a'))
  assert.throws(() => cacher.watch({ prefix: all, after: 20 }), { code: 'compacted', revision: 25 })
  const widgets = cacher.watch({ prefix: testPrefix(WIDGETS), after: 1 })
  assert.deepEqual(await collect(widgets, 1), ['ADDED w@2'])
  assert.throws(() => cacher.watch({ prefix: '/registry/', after: 20 }), { code: 'compacted' })
  await cacher.close()
})

test('what is older than the window is dropped where nothing happens any more', async () => {
  let nowMs = 0
  const { cacher, say } = await setUp({ now: () => nowMs, history: { windowMs: 1000 } })
  await say(2, put('a'))
  nowMs = 5000
  await say(3)
  assert.throws(() => cacher.watch({ prefix: all, after: 1 }), { code: 'compacted' })
  cacher.watch({ prefix: all, after: 2 }).close()
  await cacher.close()
})

test('waitFresh() gives up with the current revision, with its signal, and when the cache closes', async () => {
  const { cacher, say } = await setUp()
  await say(7)
  await assert.rejects(cacher.waitFresh(9, { timeoutMs: 1 }), {
    code: 'futureRevision',
    revision: 7,
    message: 'Too large resource version: 9, current: 7',
  })
  const aborter = new AbortController()
  const waiting = cacher.waitFresh(9, { signal: aborter.signal })
  aborter.abort()
  await assert.rejects(waiting, { name: 'AbortError' })
  const closing = cacher.waitFresh(9)
  await cacher.close()
  await assert.rejects(closing, { code: 'unavailable' })
})

/** Up to `count` items, fewer when the watch ends. */
async function collect(watcher: CacheWatcher, count: number): Promise<string[]> {
  const items: string[] = []
  if (count === 0) return items
  for await (const item of watcher) {
    items.push(shown(item))
    if (items.length === count) break
  }
  return items
}
