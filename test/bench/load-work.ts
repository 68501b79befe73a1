// The work of the load benchmark on any API server: 16 writers and readers of 1 KiB custom objects, full and paged lists,
// 200 watchers of one busy object. Called by load.ts and flame.ts; calls wire.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import type { JsonObject } from '../../packages/apimachinery/src/index.ts'
import { percentile } from './measure.ts'
import type { WireAnswer, WireClient, WireRequest } from './wire.ts'

const CLIENTS = 16
const PAGE = 500
const LISTS = 5
const GROUP = 'load.podless.dev'
export const LOADS = `/apis/${GROUP}/v1/namespaces/default/loads`
const NEWLINE = 10

export interface LoadSize {
  readonly objects: number
  readonly watchers: number
  readonly events: number
}

/** What upstream's figures were taken with; PODLESS_BENCH_OBJECTS makes it smaller. */
export const FULL_SIZE: LoadSize = {
  objects: Number(process.env.PODLESS_BENCH_OBJECTS ?? 5_000),
  watchers: 200,
  events: 200,
}

/** Rates are per second, everything else in milliseconds. */
export type Figures = Record<string, number>

/** Defines the type of the objects and waits until it is served. */
export async function defineLoads(client: WireClient): Promise<void> {
  const spec = { type: 'object', properties: { text: { type: 'string' }, n: { type: 'integer' } } }
  const schema = { openAPIV3Schema: { type: 'object', properties: { spec } } }
  await client.send({
    method: 'POST',
    path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    body: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `loads.${GROUP}` },
      spec: {
        group: GROUP,
        scope: 'Namespaced',
        names: { plural: 'loads', kind: 'Load' },
        versions: [{ name: 'v1', served: true, storage: true, schema }],
      },
    },
  })
  while ((await client.send({ path: LOADS })).status !== 200) await sleep(50)
}

/** An object of 1 KiB as stored. */
export const loadObject = (name: string, n: number): JsonObject => ({
  apiVersion: `${GROUP}/v1`,
  kind: 'Load',
  metadata: { name },
  spec: { n, text: 'x'.repeat(800) },
})

/**
 * All verbs once; leaves nothing behind. `round` keeps the names of rounds apart. With `cpu`, the CPU time of the server's
 * processes so far, also what a request of each kind cost in microseconds.
 */
export async function work(
  client: WireClient,
  round: number,
  { objects, watchers, events }: LoadSize,
  cpu: () => Promise<number> = async () => Number.NaN,
): Promise<Figures> {
  const name = (i: number): string => `load-${round}-${i}`
  const spent = [await cpu()]
  const creates = await many(objects, i =>
    must(client, { method: 'POST', path: LOADS, body: loadObject(name(i), i) }),
  )
  spent.push(await cpu())
  const gets = await many(objects * 2, i => must(client, { path: `${LOADS}/${name(i % objects)}` }))
  spent.push(await cpu())
  const list = await best(() => must(client, { path: LOADS }))
  const pages = await best(() => readPages(client, objects))
  spent.push(await cpu())
  const watch = await fanOut(client, name(0), { watchers, events })
  spent.push(await cpu())
  const deletes = await many(objects, i =>
    must(client, { method: 'DELETE', path: `${LOADS}/${name(i)}` }),
  )
  spent.push(await cpu())
  const costs = [objects, objects * 2, 2 * LISTS, watchers * events, objects]
  const [createUs, getUs, listUs, eventUs, deleteUs] = costs.map((count, i) =>
    Math.round((spent[i + 1]! - spent[i]!) / count),
  )
  const cpuUs = { createUs, getUs, listUs, eventUs, deleteUs } as Figures
  return {
    ...(Number.isNaN(spent[0]) ? {} : cpuUs),
    createsPerSecond: creates.perSecond,
    createP99: creates.p99,
    getsPerSecond: gets.perSecond,
    getP99: gets.p99,
    listMs: list,
    pagedListMs: pages,
    watchEventsPerSecond: watch.perSecond,
    watchP99: watch.p99,
    watchEventsLost: watch.lost,
    deletesPerSecond: deletes.perSecond,
    deleteP99: deletes.p99,
  }
}

/** The answer of a request that has to succeed. */
export async function must(client: WireClient, request: WireRequest): Promise<WireAnswer> {
  const answer = await client.send(request)
  if (answer.status >= 300)
    throw new Error(`${request.method ?? 'GET'} ${request.path}: ${answer.bytes}`)
  return answer
}

async function timed(body: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await body()
  return performance.now() - started
}

/** The median of a few: what one long answer takes depends on what the collector does meanwhile. */
async function best(body: () => Promise<unknown>): Promise<number> {
  const samples: number[] = []
  for (let i = 0; i < LISTS; i += 1) samples.push(await timed(body))
  return percentile(samples, 0.5)
}

export interface Rate {
  readonly perSecond: number
  readonly p99: number
}

/** Does `body` for 0..count-1 with as many at a time as there are clients. */
export async function many(count: number, body: (i: number) => Promise<unknown>): Promise<Rate> {
  const samples: number[] = []
  let next = 0
  const started = performance.now()
  const client = async (): Promise<void> => {
    while (next < count) {
      const i = next++
      samples.push(await timed(() => body(i)))
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  const seconds = (performance.now() - started) / 1000
  return { perSecond: Math.round(count / seconds), p99: percentile(samples, 0.99) }
}

const CONTINUE = /"continue":"([^"]+)"/
/** More than the metadata of a list takes. */
const METADATA_BYTES_MAX = 2048

/** Reads all of a list; throws when that were not as many pages as its objects need. */
async function readPages(client: WireClient, objects: number): Promise<void> {
  let token: string | undefined = ''
  let pages = 0
  for (; token !== undefined; pages += 1) {
    const path = `${LOADS}?limit=${PAGE}&continue=${encodeURIComponent(token)}`
    token = continueToken((await must(client, { path })).bytes)
  }
  const wanted = Math.ceil(objects / PAGE)
  if (pages !== wanted)
    throw new Error(`${objects} objects came in ${pages} pages, not in ${wanted}`)
}

/** Some servers write a list's metadata before its items, some after them. */
function continueToken(list: Buffer): string | undefined {
  const head = list.toString('latin1', 0, METADATA_BYTES_MAX)
  const tail = list.toString('latin1', Math.max(0, list.length - METADATA_BYTES_MAX))
  return CONTINUE.exec(head)?.[1] ?? CONTINUE.exec(tail)?.[1]
}

/** How fast changes of one object reach every one of many watchers. */
async function fanOut(
  client: WireClient,
  name: string,
  { watchers, events }: { watchers: number; events: number },
): Promise<Rate & { lost: number }> {
  const path = `${LOADS}?watch=true&fieldSelector=metadata.name%3D${name}`
  const sent: number[] = []
  const delays: number[] = []
  let lost = 0
  const done = Promise.withResolvers<void>()
  const check = (): void => {
    if (delays.length + lost >= watchers * events) done.resolve()
  }
  const open = (): Promise<() => void> => {
    // Each watcher is shown the object as it is, and then every change in order.
    let seen = -1
    const onBytes = (bytes: Buffer): void => {
      for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) {
        const sentAt = sent[seen++]
        if (sentAt !== undefined) delays.push(performance.now() - sentAt)
      }
      check()
    }
    // A server may cut who reads too slowly: what that watcher has missed is told, not waited for.
    const onEnd = (): void => {
      lost += events - Math.max(seen, 0)
      seen = events
      check()
    }
    return client.watch(path, onBytes, onEnd)
  }
  const closers = await Promise.all(Array.from({ length: watchers }, open))
  const started = performance.now()
  for (let event = 1; event <= events; event += 1) {
    sent.push(performance.now())
    await must(client, {
      method: 'PATCH',
      path: `${LOADS}/${name}`,
      body: { spec: { n: 1_000_000 + event } },
      contentType: 'application/merge-patch+json',
    })
  }
  await done.promise
  const seconds = (performance.now() - started) / 1000
  for (const close of closers) close()
  return { perSecond: Math.round(delays.length / seconds), p99: percentile(delays, 0.99), lost }
}
