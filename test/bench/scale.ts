// How cost grows with objects: a type filled to 100,000 objects in 500 namespaces in doubling steps, each of which should
// cost what the one before did; then one full list, and a start with all of them. Called by run.ts; calls load-work.ts.
// PODLESS_BENCH_OBJECTS makes it smaller.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JsonObject } from '../../packages/apimachinery/src/index.ts'
import { type Podless, startPodless } from '../harness/podless.ts'
import { defineLoads, LOADS, loadObject, many, must } from './load-work.ts'
import { cpuMicros, inFolder, memoryOf, peakOf, percentile, report } from './measure.ts'
import { openWire, type WireClient } from './wire.ts'

const OBJECTS = Number(process.env.PODLESS_BENCH_OBJECTS ?? 100_000)
const NAMESPACES = 500
const STEPS = [1 / 8, 1 / 4, 1 / 2, 1]
const GETS = 4_000
const LISTS = 40
const SETTLE_MS = 10_000
const MIB = 1024 * 1024

const namespaceOf = (i: number): string => `scale-${i % NAMESPACES}`
const collection = (namespace: string): string =>
  LOADS.replace('/namespaces/default/', `/namespaces/${namespace}/`)
const pathOf = (i: number): string => `${collection(namespaceOf(i))}/object-${i}`
const ALL = LOADS.replace('/namespaces/default/', '/')

export async function scale(): Promise<void> {
  await inFolder(async folder => {
    const options = { data: join(folder, 'data'), port: 0 }
    let server = await startPodless(options)
    let client = await openWire(server.kubeconfig)
    await defineLoads(client)
    await makeNamespaces(client)
    await sleep(SETTLE_MS)
    const empty = await memoryOf(server.child.pid)
    await fill(server, client)
    await fullList(server, client)
    client.close()
    await server.child.stop()

    const started = performance.now()
    server = await startPodless(options)
    client = await openWire(server.kubeconfig)
    await must(client, { path: pathOf(0) })
    const startMs = Math.round(performance.now() - started)
    await sleep(SETTLE_MS)
    const full = await memoryOf(server.child.pid)
    const encoded = (await must(client, { path: pathOf(OBJECTS - 1) })).bytes.length
    const perObject = Math.round(((full.anonMib - empty.anonMib) * MIB) / OBJECTS)
    report('scale-start', {
      objects: OBJECTS,
      startMs,
      empty,
      full,
      encoded,
      perObject,
      memoryRatio: Math.round((perObject / encoded) * 100) / 100,
    })
    client.close()
    await server.child.stop()
  })
}

async function makeNamespaces(client: WireClient): Promise<void> {
  await many(NAMESPACES, i =>
    must(client, {
      method: 'POST',
      path: '/api/v1/namespaces',
      body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespaceOf(i) } },
    }),
  )
}

/** One line a step: the server's CPU time for each kind of request, which does not count a busy machine's other work. */
async function fill({ child: { pid } }: Podless, client: WireClient): Promise<void> {
  let made = 0
  for (const step of STEPS) {
    const first = made
    const more = Math.round(OBJECTS * step) - first
    const cost = (count: number, body: (i: number) => Promise<unknown>): Promise<number> =>
      cpuOf(pid, count, () => many(count, body))
    const createUs = await cost(more, i =>
      must(client, {
        method: 'POST',
        path: collection(namespaceOf(first + i)),
        body: loadObject(`object-${first + i}`, i),
      }),
    )
    made += more
    const total = made
    const getUs = await cost(GETS, i => must(client, { path: pathOf((i * 7919) % total) }))
    const pageUs = await cost(LISTS, () => must(client, { path: `${ALL}?limit=500` }))
    const namespaceUs = await cost(LISTS, i =>
      must(client, { path: `${collection(namespaceOf(i))}?limit=20` }),
    )
    const patchUs = await cost(GETS / 4, i =>
      must(client, {
        method: 'PATCH',
        path: pathOf((i * 7919) % total),
        body: { spec: { n: -i } } as JsonObject,
        contentType: 'application/merge-patch+json',
      }),
    )
    report('scale-step', { objects: made, createUs, getUs, patchUs, pageUs, namespaceUs })
  }
}

async function cpuOf(pid: number, count: number, body: () => Promise<unknown>): Promise<number> {
  const before = await cpuMicros(pid)
  await body()
  return Math.round(((await cpuMicros(pid)) - before) / count)
}

/** Everything at once, alone and beside other requests. */
async function fullList({ child: { pid } }: Podless, client: WireClient): Promise<void> {
  await sleep(SETTLE_MS)
  const alone = await getsBeside(client, sleep(500))
  const peak = await peakOf(pid)
  const started = performance.now()
  let firstMs = 0
  let bytes = 0
  const list = client.stream({ path: ALL }, chunk => {
    if (bytes === 0) firstMs = Math.round(performance.now() - started)
    bytes += chunk.length
  })
  const beside = await getsBeside(client, list)
  report('scale-list', {
    objects: OBJECTS,
    mib: Math.round(bytes / MIB),
    firstMs,
    ms: Math.round(performance.now() - started),
    extraMib: await peak(),
    getP99Alone: percentile(alone, 0.99),
    getP99Beside: percentile(beside, 0.99),
    getMaxBeside: percentile(beside, 1),
  })
}

/** How long single gets take until `other` is done. */
async function getsBeside(client: WireClient, other: Promise<unknown>): Promise<number[]> {
  const samples: number[] = []
  let isDone = false
  const ended = other.finally(() => {
    isDone = true
  })
  while (!isDone) {
    const started = performance.now()
    await must(client, { path: pathOf(samples.length % OBJECTS) })
    samples.push(performance.now() - started)
  }
  await ended
  return samples
}
