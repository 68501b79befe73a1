// Throughput and tails of the basic verbs: our two stores, the least that Node.js needs for them (bare-server.ts) and, with
// --peer KUBECONFIG, any other API server, in turns in one run, so that a machine that slows down slows all of them.
// Called by run.ts; the work itself is load-work.ts.

import { missingPrograms } from '../harness/child-process.ts'
import { withBareServer } from './bare.ts'
import { defineLoads, type Figures, FULL_SIZE, type LoadSize, work } from './load-work.ts'
import { cpuMicros, ENGINES, median, report, residentMib, withServer } from './measure.ts'
import type { BenchOptions } from './options.ts'
import { openWire, type WireClient } from './wire.ts'

const ROUNDS = 3
/** Compiles what both sides run, so that the first round is no slower than the last. */
const WARM_UP: LoadSize = { objects: 500, watchers: 10, events: 20 }
/** Figures of which more is better; of the others less is. */
const isRate = (name: string): boolean => name.endsWith('PerSecond')

const BARE = 'bare'

interface Target {
  readonly server: string
  readonly client: WireClient
  /** Its processes on this machine as far as they are known, the store's included. */
  readonly pids: readonly number[]
  readonly rounds: Figures[]
}

export async function load(options: BenchOptions): Promise<void> {
  const targets: Target[] = []
  const { peer, peerPids } = options
  if (peer !== undefined) {
    const client = await openWire(peer)
    targets.push({ server: 'peer', client, pids: peerPids, rounds: [] })
  }
  await withTargets([...ENGINES], targets, () =>
    withBareServer(async ({ child, kubeconfig }) => {
      const client = await openWire(kubeconfig)
      targets.push({ server: BARE, client, pids: [child.pid], rounds: [] })
      await compare(targets)
    }),
  )
}

/** Starts a server for each engine, one inside the other, and runs the body with all of them. */
async function withTargets(
  engines: readonly (typeof ENGINES)[number][],
  targets: Target[],
  body: () => Promise<void>,
): Promise<void> {
  const [engine, ...others] = engines
  if (engine === undefined) return body()
  const missing = engine === 'etcd' && missingPrograms('etcd')
  if (missing) {
    report('load', { server: engine, skipped: missing })
    return withTargets(others, targets, body)
  }
  await withServer(engine, async ({ server, stores }) => {
    const client = await openWire(server.kubeconfig)
    targets.push({ server: engine, client, pids: [server.child.pid, ...stores], rounds: [] })
    await withTargets(others, targets, body)
    client.close()
  })
}

async function compare(targets: readonly Target[]): Promise<void> {
  for (const { client } of targets) {
    await defineLoads(client)
    await work(client, ROUNDS, WARM_UP)
  }
  for (let round = 0; round < ROUNDS; round += 1)
    for (const { client, pids, rounds } of targets)
      rounds.push(await work(client, round, FULL_SIZE, cpuOf(pids)))
  const figures = new Map<string, Figures>()
  for (const target of targets) figures.set(target.server, await summary(target))
  const peer = figures.get('peer')
  for (const [server, own] of figures) {
    report('load', { server, ...own })
    if (peer !== undefined && server !== 'peer')
      report('load-ratio', { server, to: 'peer', ...ratios(own, peer) })
  }
  const embedded = figures.get('embedded')
  for (const to of ['etcd', BARE]) {
    const other = figures.get(to)
    if (embedded !== undefined && other !== undefined)
      report('load-ratio', { server: 'embedded', to, ...ratios(embedded, other) })
  }
  for (const { client } of targets) client.close()
}

/** Undefined where no process is known. */
const cpuOf = (pids: readonly number[]): (() => Promise<number>) | undefined =>
  pids.length === 0 ? undefined : async () => sum(await Promise.all(pids.map(cpuMicros)))

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)

async function summary({ rounds, pids }: Target): Promise<Figures> {
  const names = Object.keys(rounds[0] ?? {})
  const medians = names.map(name => [name, median(rounds.map(figures => figures[name] ?? NaN))])
  // The store of its own is not counted: the other servers' is not either.
  const [pid] = pids
  const memory = pid === undefined ? {} : { loadedMib: await residentMib(pid) }
  return { ...Object.fromEntries(medians), ...memory }
}

/** How many times better the one is than the other: above one is faster, or smaller. */
function ratios(own: Figures, other: Figures): Figures {
  const shared = Object.keys(own).filter(name => (other[name] ?? 0) > 0)
  return Object.fromEntries(
    shared.map(name => {
      const ratio = isRate(name) ? own[name]! / other[name]! : other[name]! / own[name]!
      return [name, Math.round(ratio * 100) / 100]
    }),
  )
}
