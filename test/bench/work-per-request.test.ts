// The regression gate on speed: how often a request parses, encodes or waits, which is the same on any machine, busy or not.
// What a get, a list or one more watcher must not cost are passes over objects; that is where their speed comes from.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { promiseHooks } from 'node:v8'
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

before(async () => {
  server = await startServer()
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
    await must(client, {
      method: 'PATCH',
      path: `${LOADS}/load-1`,
      body: { spec: { n: -n } },
      contentType: 'application/merge-patch+json',
    })
    await all.promise
  })
  for (const close of closers) close()
  return passes
}

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
  const change = (i: number): WireRequest => ({
    method: 'PATCH',
    path: `${LOADS}/load-2`,
    body: { spec: { n: 1000 + i } },
    contentType: 'application/merge-patch+json',
  })
  const counts = {
    get: await promisesOf(() => ({ path: `${LOADS}/load-2` })),
    create: await promisesOf(i => ({
      method: 'POST',
      path: LOADS,
      body: loadObject(`new-${i}`, i),
    })),
    change: await promisesOf(change),
  }
  for (const [name, count] of Object.entries(counts)) {
    const recorded = PROMISES[name as keyof typeof PROMISES]
    assert.ok(count <= recorded, `a ${name} made ${count} promises, ${recorded} are recorded`)
  }
})
