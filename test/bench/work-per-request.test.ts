// The regression gate on speed: how often a request parses, encodes or waits, which is the same on any machine, busy or not.
// What a get, a list or one more watcher must not cost are passes over objects; that is where their speed comes from.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { promiseHooks } from 'node:v8'
import type { Backend } from '../../packages/storage/src/index.ts'
import { openMemory } from '../../packages/storage/src/testing/index.ts'
import { startServer, type TestServer } from '../harness/server.ts'
import { defineLoads, LOADS, loadObject, must } from './load-work.ts'
import { openWire, type WireClient, type WireRequest } from './wire.ts'

const OBJECTS = 40
const WATCHERS = 20
const REPEATS = 10
const NEWLINE = 10
/** Promises made for one request, the client's own among them, as last recorded. Fewer are welcome: write them here. */
const PROMISES = { get: 45, create: 67, change: 81 }

let server: TestServer
let client: WireClient

/** Calls of the store, by name. */
const calls = new Map<string, number>()
const KEYS = '/registry/load.podless.dev/'

/** The store's methods, counted: those without a key, and those about the objects of this file. */
function counted(backend: Backend): Backend {
  return new Proxy(backend, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        const isOurs = typeof args[0] !== 'string' || args[0].startsWith(KEYS)
        if (isOurs) calls.set(String(name), (calls.get(String(name)) ?? 0) + 1)
        return value.apply(target, args)
      }
    },
  })
}

before(async () => {
  server = await startServer({ backend: counted(openMemory()) })
  client = await openWire(server.kubeconfig)
  await defineLoads(client)
  for (let i = 0; i < OBJECTS; i += 1)
    await must(client, { method: 'POST', path: LOADS, body: loadObject(`load-${i}`, i) })
})

after(async () => {
  client.close()
  await server.close()
})

interface Passes {
  parsed: number
  encoded: number
}

/** How many texts of an object's size JSON.parse and JSON.stringify went over during `body`. */
async function passesOf(body: () => Promise<unknown>): Promise<Passes> {
  const { parse, stringify } = JSON
  const passes: Passes = { parsed: 0, encoded: 0 }
  const isObject = (text: unknown): boolean => typeof text === 'string' && text.includes('xxxxxxxx')
  JSON.parse = (text, reviver) => {
    if (isObject(text)) passes.parsed += 1
    return parse(text, reviver)
  }
  const encode = (...args: Parameters<typeof stringify>): string => {
    const text = stringify(...args)
    if (isObject(text)) passes.encoded += 1
    return text
  }
  JSON.stringify = encode as typeof stringify
  try {
    await body()
  } finally {
    Object.assign(JSON, { parse, stringify })
  }
  return passes
}

const repeated = (path: string): Promise<Passes> =>
  passesOf(async () => {
    for (let i = 0; i < REPEATS; i += 1) await must(client, { path })
  })

test('a get goes over no object: the answer is the bytes that are stored', async () => {
  assert.deepEqual(await repeated(`${LOADS}/load-1`), { parsed: 0, encoded: 0 })
})

test('a list goes over no object, whole, in pages or selected by name', async () => {
  for (const query of ['', '?limit=7', '?fieldSelector=metadata.name%3Dload-3'])
    assert.deepEqual(await repeated(`${LOADS}${query}`), { parsed: 0, encoded: 0 }, query)
})

test('one more watcher costs no pass over an object', async () => {
  const alone = await changeWatchedBy(1, 1)
  const crowded = await changeWatchedBy(WATCHERS, 2)
  assert.deepEqual(crowded, alone)
  assert.ok(alone.parsed > 0, 'the change itself is parsed')
})

/** One change of one object, until that many watchers have its event. */
async function changeWatchedBy(watchers: number, n: number): Promise<Passes> {
  let frames = 0
  const all = Promise.withResolvers<void>()
  const count = (bytes: Buffer): void => {
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) frames++
    // Each is first shown every object as it is.
    if (frames >= watchers * (OBJECTS + 1)) all.resolve()
  }
  const shown = Promise.withResolvers<void>()
  const counting = (bytes: Buffer): void => {
    count(bytes)
    if (frames >= watchers * OBJECTS) shown.resolve()
  }
  const closers = await Promise.all(
    Array.from({ length: watchers }, () => client.watch(`${LOADS}?watch=true`, counting)),
  )
  await shown.promise
  const passes = await passesOf(async () => {
    await must(client, changed(`${LOADS}/load-1`, -n))
    await all.promise
  })
  for (const close of closers) close()
  return passes
}

const changed = (path: string, n: number): WireRequest => ({
  method: 'PATCH',
  path,
  body: { spec: { n } },
  contentType: 'application/merge-patch+json',
})

/** Promises that one of these requests takes; the fewest of many, as timers of the server may fire between them. */
async function promisesOf(request: (i: number) => WireRequest): Promise<number> {
  const counts: number[] = []
  for (let i = 0; i < REPEATS; i += 1) {
    let count = 0
    const stop = promiseHooks.onInit(() => {
      count += 1
    })
    try {
      await must(client, request(i))
    } finally {
      stop()
    }
    counts.push(count)
  }
  return Math.min(...counts)
}

test('no request waits more often than it did', async () => {
  const counts = {
    get: await promisesOf(() => ({ path: `${LOADS}/load-2` })),
    create: await promisesOf(i => ({
      method: 'POST',
      path: LOADS,
      body: loadObject(`new-${i}`, i),
    })),
    change: await promisesOf(i => changed(`${LOADS}/load-2`, 1000 + i)),
  }
  for (const [name, count] of Object.entries(counts)) {
    const recorded = PROMISES[name as keyof typeof PROMISES]
    assert.ok(count <= recorded, `a ${name} made ${count} promises, ${recorded} are recorded`)
  }
})

/** The fewest calls that one of these requests took, as loops of the server may call between them. */
async function callsOf(request: (i: number) => WireRequest): Promise<Record<string, number>> {
  const counts: Record<string, number>[] = []
  for (let i = 0; i < REPEATS; i += 1) {
    calls.clear()
    await must(client, request(i))
    counts.push(Object.fromEntries(calls))
  }
  const sum = (count: Record<string, number>): number =>
    Object.values(count).reduce((a, b) => a + b, 0)
  return counts.reduce((least, count) => (sum(count) < sum(least) ? count : least))
}

test('a request asks the store once: for the revision of the last write, or to write', async () => {
  const path = `${LOADS}/load-3`
  const cases: [(i: number) => WireRequest, Record<string, number>][] = [
    [() => ({ path }), { revision: 1 }],
    [() => ({ path: LOADS }), { revision: 1 }],
    [() => ({ path: `${LOADS}?limit=5` }), { revision: 1 }],
    [() => ({ path: `${path}?resourceVersion=0` }), {}],
    [i => ({ method: 'POST', path: LOADS, body: loadObject(`once-${i}`, i) }), { put: 1 }],
    [i => changed(path, 300 + i), { put: 1 }],
    [i => ({ method: 'DELETE', path: `${LOADS}/once-${i}` }), { delete: 1 }],
  ]
  for (const [request, wanted] of cases) assert.deepEqual(await callsOf(request), wanted)
})
