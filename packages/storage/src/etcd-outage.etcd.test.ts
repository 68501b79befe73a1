// What the etcd engine does when etcd or the way to it fails: nothing acknowledged is lost, nothing
// is delivered twice, no write that applied is called a conflict, and errors say what to check.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Backend, WatchBatch } from './backend.ts'
import { StorageError } from './errors.ts'
import { type EtcdOptions, openEtcd } from './etcd.ts'
import { type EtcdProcess, etcdMissing, startEtcd } from './testing/etcd-process.ts'
import { PATIENT } from './testing/patient.ts'
import { bytes, checkOrder, failsWith, text, watchUntil } from './testing/suite-store.ts'
import { startTcpProxy, type TcpProxy } from './testing/tcp-proxy.ts'

const ROOT = '/registry/'
const UNUSED_ENDPOINT = 'http://127.0.0.1:1'

describe('etcd outages', { skip: etcdMissing }, () => {
  let etcd: EtcdProcess
  let proxy: TcpProxy
  const backends: Backend[] = []

  async function open(options: Partial<EtcdOptions> = {}): Promise<Backend> {
    const endpoints = [etcd.endpoint]
    const backend = await openEtcd({ endpoints, compaction: false, ...PATIENT, ...options })
    backends.push(backend)
    return backend
  }
  const openThroughProxy = (options: Partial<EtcdOptions> = {}) =>
    open({ endpoints: [`http://127.0.0.1:${proxy.port}`], ...options })

  beforeEach(async () => {
    etcd = await startEtcd()
    proxy = await startTcpProxy(Number(new URL(etcd.endpoint).port))
  })
  afterEach(async () => {
    for (const backend of backends.splice(0)) await backend.close()
    await proxy?.close()
    await etcd?.dispose()
  })

  test('kill -9 of etcd under writers and a watch loses and repeats nothing', async t => {
    const backend = await open()
    const seen = collect(backend, 1)
    const traffic = startWriters(backend, 8)
    for (let round = 0; round < 3; round++) {
      await traffic.acknowledged(traffic.acks.size + 60)
      await etcd.kill()
      await etcd.start()
    }
    await traffic.acknowledged(traffic.acks.size + 60)
    await traffic.stop()
    const until = await backend.revision()
    await seen.until(until)
    const history = new Map(seen.events)
    for (const [revision, line] of traffic.acks) assert.equal(history.get(revision), line)
    t.diagnostic(`${traffic.acks.size} acknowledged, ${traffic.unavailable()} unavailable`)
    assert(traffic.unavailable() > 0)
  })

  test('a write whose answer is lost is unavailable, never a conflict', async () => {
    const backend = await openThroughProxy()
    const direct = await open()
    const first = await backend.put(`${ROOT}a`, bytes('1'), { ifRevision: 0 })
    proxy.swallow()
    const lost = backend.put(`${ROOT}a`, bytes('2'), { ifRevision: first })
    const applied = await watchUntil(direct, ROOT, { after: first, until: first + 1 })
    assert.equal(text(applied[0]?.events[0]?.value), '2')
    proxy.cut()
    const error = await failsWith('unavailable', lost)
    assert.match(error.message, /took effect is not known/)
    proxy.mend()
    const { entry } = await backend.get(`${ROOT}a`)
    assert.equal(text(entry?.value), '2')
    assert.equal(entry?.revision, first + 1)
  })

  test('a watch that is cut again and again during a long replay gets all of it', async () => {
    const direct = await open()
    const total = 1500
    const value = Buffer.alloc(2000, 'x')
    for (let i = 0; i < total; i += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, j) =>
          direct.put(`${ROOT}${i + j}`, value, { ifRevision: 0 }),
        ),
      )
    }
    const backend = await openThroughProxy()
    for (const afterBytes of [1_000, 65_000, 400_000, 1_500_000]) {
      proxy.cutAfter(afterBytes)
      const batches = await watchUntil(backend, ROOT, { after: 1, until: total + 1 })
      assert.equal(batches.length, total, `cut after ${afterBytes} bytes`)
    }
  })

  test('compaction while a watch is disconnected ends it with compacted', async () => {
    const direct = await open()
    const backend = await openThroughProxy()
    const first = await direct.put(`${ROOT}a`, bytes('1'), { ifRevision: 0 })
    const seen: WatchBatch[] = []
    const stop = new AbortController()
    const watching = (async () => {
      for await (const batch of backend.watch(ROOT, { after: 1, signal: stop.signal })) {
        seen.push(batch)
      }
    })()
    const failed = failsWith('compacted', watching)
    while (seen.length === 0) await pause()
    proxy.cut({ refuse: true })
    const second = await direct.put(`${ROOT}a`, bytes('2'), { ifRevision: first })
    const third = await direct.put(`${ROOT}a`, bytes('3'), { ifRevision: second })
    await direct.compact(third)
    proxy.mend()
    assert.equal((await failed).revision, third)
    assert.equal(seen.at(-1)?.revision, first)
  })

  test('a frozen etcd makes calls unavailable, and the watch goes on when it thaws', async () => {
    const patient = await open()
    const first = await patient.put(`${ROOT}a`, bytes('1'), { ifRevision: 0 })
    const backend = await open({ callTimeoutMs: 500 })
    const seen = collect(backend, 1)
    await seen.until(first)
    await etcd.freeze()
    await failsWith('unavailable', backend.get(`${ROOT}a`))
    await failsWith('unavailable', backend.put(`${ROOT}b`, bytes('1'), { ifRevision: 0 }))
    etcd.thaw()
    await eventually(() => backend.get(`${ROOT}a`))
    // Each try has a key of its own: one that ended as `unavailable` may have been done.
    let tries = 0
    const write = () => patient.put(`${ROOT}c${tries++}`, bytes('1'), { ifRevision: 0 })
    const second = await eventually(write)
    await seen.until(second)
  })

  test('reads and watches find the endpoint that works', async () => {
    // Not through the proxy: a write that is under way when it is cut may rightly end as `unavailable`.
    const backend = await open({ endpoints: [UNUSED_ENDPOINT, etcd.endpoint] })
    const first = await backend.put(`${ROOT}a`, bytes('1'), { ifRevision: 0 })
    const seen = collect(backend, 1)
    await seen.until(first)
    assert.equal(text((await backend.get(`${ROOT}a`)).entry?.value), '1')
    const other = await open({ endpoints: [`http://127.0.0.1:${proxy.port}`, etcd.endpoint] })
    const otherSeen = collect(other, 1)
    await otherSeen.until(first)
    proxy.cut({ refuse: true })
    const second = await backend.put(`${ROOT}b`, bytes('1'), { ifRevision: 0 })
    assert.equal(await eventually(() => other.revision()), second)
    await otherSeen.until(second)
  })

  test('an etcd that cannot be reached is named, with what to check', async () => {
    const error = await failsWith('unavailable', openEtcd({ endpoints: [UNUSED_ENDPOINT] }))
    assert(error.message.includes(UNUSED_ENDPOINT))
    assert.match(error.message, /Check that etcd runs there/)
    await etcd.freeze()
    const silent = openEtcd({ endpoints: [etcd.endpoint], connectTimeoutMs: 500 })
    assert((await failsWith('unavailable', silent)).message.includes(etcd.endpoint))
    etcd.thaw()
    await etcd.kill()
    const early = open()
    await pause()
    await etcd.start()
    assert((await (await early).revision()) >= 1)
  })

  test('ten thousand objects of two kilobytes come in one list', async () => {
    const backend = await open()
    const value = Buffer.alloc(2048, 'x')
    for (let i = 0; i < 10_000; i += 200) {
      await Promise.all(
        Array.from({ length: 200 }, (_, j) =>
          backend.put(`${ROOT}${i + j}`, value, { ifRevision: 0 }),
        ),
      )
    }
    const page = await backend.list(ROOT)
    assert.equal(page.entries.length, 10_000)
    assert.equal(page.remaining, 0)
  })

  test("a value over etcd's request limit is tooLarge, and the engine goes on", async () => {
    const backend = await open()
    for (const size of [1_600_000, 3_000_000]) {
      const large = backend.put(`${ROOT}a`, Buffer.alloc(size), { ifRevision: 0 })
      await failsWith('tooLarge', large)
    }
    await backend.put(`${ROOT}a`, Buffer.alloc(1_000_000), { ifRevision: 0 })
  })
})

function pause(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, 10))
}

/** Repeats what is unavailable until it is not. */
async function eventually<T>(run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof StorageError && error.code === 'unavailable')) throw error
      await pause()
    }
  }
}

/** A watch that runs until the engine is closed, checking order and uniqueness. */
function collect(backend: Backend, after: number) {
  const events: [number, string][] = []
  let last = after
  let failure: unknown
  const { signal } = new AbortController()
  const running = (async () => {
    for await (const batch of backend.watch(ROOT, { after, signal })) {
      checkOrder(batch, ROOT, last)
      last = batch.revision
      for (const event of batch.events) {
        events.push([batch.revision, `${event.key} ${text(event.value)}`])
      }
    }
  })()
  running.catch((error: unknown) => {
    failure = error
  })
  return {
    events,
    until: async (revision: number) => {
      while (last < revision) {
        if (failure !== undefined) throw failure
        await pause()
      }
    },
  }
}

/**
 * Writers that each own a key and count in it; what is unavailable they read back and go on from.
 */
function startWriters(backend: Backend, count: number) {
  const acks = new Map<number, string>()
  let unavailable = 0
  let isStopped = false

  async function write(key: string): Promise<void> {
    let ifRevision = 0
    for (let n = 1; !isStopped; n++) {
      try {
        ifRevision = await backend.put(key, bytes(String(n)), { ifRevision })
        acks.set(ifRevision, `${key} ${n}`)
      } catch (error) {
        // The key is this writer's alone: a conflict could only be with itself.
        assert(error instanceof StorageError)
        assert.equal(error.code, 'unavailable', error.message)
        unavailable++
        const { entry } = await eventually(() => backend.get(key))
        ifRevision = entry?.revision ?? 0
      }
    }
  }

  const running = Promise.all(Array.from({ length: count }, (_, i) => write(`${ROOT}w/${i}`)))
  let failure: unknown
  running.catch((error: unknown) => {
    failure = error
  })
  return {
    acks,
    unavailable: () => unavailable,
    acknowledged: async (total: number) => {
      while (acks.size < total) {
        if (failure !== undefined) throw failure
        await pause()
      }
    },
    stop: () => {
      isStopped = true
      return running
    },
  }
}
