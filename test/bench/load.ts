// Throughput and tails of the basic verbs with 16 clients and 1 KiB custom objects: creates, gets, lists, pages, watch
// fan-out, deletes. PEER=KUBECONFIG runs the same work against any other API server, in turns with ours. Called by run.ts.

import { readFile } from 'node:fs/promises'
import type { JsonObject } from '../../packages/apimachinery/src/index.ts'
import { ApiClient, accessOf, eventReader } from '../harness/api-client.ts'
import { missingPrograms } from '../harness/child-process.ts'
import { ENGINES, median, percentile, report, withServer } from './measure.ts'

const CLIENTS = 16
const OBJECTS = 2_000
const WATCHERS = 100
const EVENTS = 100
const ROUNDS = 3
const PAGE = 500
const GROUP = 'load.podless.dev'
const PATH = `/apis/${GROUP}/v1/namespaces/default/loads`

type Figures = Record<string, number>

export async function load(): Promise<void> {
  for (const engine of ENGINES) {
    const missing = engine === 'etcd' && missingPrograms('etcd')
    if (missing) report('load', { engine, skipped: missing })
    else await withServer(engine, async ({ client }) => await compare(engine, client))
  }
}

/** One round here, one there: a machine that slows down slows both. */
async function compare(engine: string, ours: ApiClient): Promise<void> {
  const { PEER } = process.env
  const peer =
    PEER === undefined ? undefined : new ApiClient(accessOf(await readFile(PEER, 'utf8')))
  const rounds: { ours: Figures; peer?: Figures }[] = []
  for (const client of [ours, ...(peer === undefined ? [] : [peer])]) await defineType(client)
  for (let round = 0; round < ROUNDS; round += 1) {
    const own = await work(ours, round)
    rounds.push(peer === undefined ? { ours: own } : { ours: own, peer: await work(peer, round) })
  }
  report('load', { engine, server: 'podless', ...medians(rounds.map(({ ours: own }) => own)) })
  const theirs = rounds.flatMap(({ peer: other }) => (other === undefined ? [] : [other]))
  if (theirs.length > 0) report('load', { engine, server: 'peer', ...medians(theirs) })
  peer?.close()
}

function medians(rounds: readonly Figures[]): Figures {
  const names = Object.keys(rounds[0] ?? {})
  return Object.fromEntries(
    names.map(name => [name, median(rounds.map(round => round[name] ?? Number.NaN))]),
  )
}

async function defineType(client: ApiClient): Promise<void> {
  const schema = {
    openAPIV3Schema: {
      type: 'object',
      properties: {
        spec: { type: 'object', properties: { text: { type: 'string' }, n: { type: 'integer' } } },
      },
    },
  }
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
  while ((await client.send({ path: PATH })).status !== 200)
    await new Promise(resolve => setTimeout(resolve, 50))
}

const object = (name: string, n: number): JsonObject => ({
  apiVersion: `${GROUP}/v1`,
  kind: 'Load',
  metadata: { name },
  spec: { n, text: 'x'.repeat(800) },
})

/** All verbs once; leaves nothing behind. */
async function work(client: ApiClient, round: number): Promise<Figures> {
  const name = (i: number): string => `load-${round}-${i}`
  const creates = await many(OBJECTS, i =>
    must(client, { method: 'POST', path: PATH, body: object(name(i), i) }),
  )
  const gets = await many(OBJECTS * 2, i => must(client, { path: `${PATH}/${name(i % OBJECTS)}` }))
  const list = await timed(() => must(client, { path: PATH }))
  const pages = await timed(() => paged(client))
  const watch = await fanOut(client, name(0))
  const deletes = await many(OBJECTS, i =>
    must(client, { method: 'DELETE', path: `${PATH}/${name(i)}` }),
  )
  return {
    createsPerSecond: creates.perSecond,
    createP99: creates.p99,
    getsPerSecond: gets.perSecond,
    listMs: list,
    pagedListMs: pages,
    watchEventsPerSecond: watch.perSecond,
    watchP99: watch.p99,
    deletesPerSecond: deletes.perSecond,
  }
}

async function must(
  client: ApiClient,
  request: Parameters<ApiClient['send']>[0],
): Promise<JsonObject> {
  const answer = await client.send(request)
  if (answer.status >= 300)
    throw new Error(`${request.method ?? 'GET'} ${request.path}: ${answer.bytes}`)
  return request.method === undefined && request.path.includes('limit=') ? answer.json() : {}
}

async function timed(body: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await body()
  return performance.now() - started
}

interface Rate {
  readonly perSecond: number
  readonly p99: number
}

async function many(count: number, body: (i: number) => Promise<unknown>): Promise<Rate> {
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

async function paged(client: ApiClient): Promise<void> {
  let token = ''
  do {
    const page = await must(client, {
      path: `${PATH}?limit=${PAGE}&continue=${encodeURIComponent(token)}`,
    })
    token = (page.metadata as { continue?: string }).continue ?? ''
  } while (token !== '')
}

/** How fast changes of one object reach every one of many watchers. */
async function fanOut(client: ApiClient, name: string): Promise<Rate> {
  const sent = new Map<number, number>()
  const delays: number[] = []
  const done = Promise.withResolvers<void>()
  const wanted = WATCHERS * EVENTS
  const path = `${PATH}?watch=true&fieldSelector=metadata.name%3D${name}`
  const read = (): ((bytes: Buffer) => void) =>
    eventReader(({ object: changed }) => {
      const at = sent.get((changed as unknown as { spec: { n: number } }).spec.n)
      if (at === undefined) return
      delays.push(performance.now() - at)
      if (delays.length === wanted) done.resolve()
    })
  const watches = await Promise.all(
    Array.from({ length: WATCHERS }, () => client.watch({ path }, read())),
  )
  const started = performance.now()
  for (let event = 1; event <= EVENTS; event += 1) {
    const n = 1_000_000 + event
    sent.set(n, performance.now())
    await client.send({
      method: 'PATCH',
      path: `${PATH}/${name}`,
      body: { spec: { n } },
      headers: { 'content-type': 'application/merge-patch+json' },
    })
  }
  await done.promise
  const seconds = (performance.now() - started) / 1000
  for (const watch of watches) watch.close()
  return { perSecond: Math.round(wanted / seconds), p99: percentile(delays, 0.99) }
}
