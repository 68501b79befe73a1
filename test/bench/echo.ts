// Own write to own watch: how long after a write is sent its event arrives, with 40 other watches open.
// Also how long the event comes after the write's answer; negative when it comes first. Called by run.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import { eventReader } from '../harness/api-client.ts'
import { missingPrograms } from '../harness/child-process.ts'
import { type Bench, ENGINES, openWatches, percentile, report, withServer } from './measure.ts'

const WRITES = 2_500
const WARM_UP = 500
const OTHER_WATCHES = 40
const PATH = '/api/v1/namespaces/default/configmaps'

export async function echo(): Promise<void> {
  for (const engine of ENGINES) {
    const missing = engine === 'etcd' && missingPrograms('etcd')
    if (missing) report('echo', { engine, skipped: missing })
    else await withServer(engine, async bench => report('echo', { engine, ...(await run(bench)) }))
  }
}

interface Sample {
  sent: number
  answered: number
  arrived: number
}

async function run({ client }: Bench): Promise<Record<string, number>> {
  const others = await openWatches(client, OTHER_WATCHES)
  const arrivals = new Map<string, number>()
  const read = eventReader(({ object }) => {
    arrivals.set(object.metadata.resourceVersion ?? '', performance.now())
  })
  const own = await client.watch({ path: `${PATH}?watch=true` }, read)
  const body = (value: number): object => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'echo' },
    data: { value: String(value) },
  })
  await client.send({ method: 'POST', path: PATH, body: JSON.stringify(body(-1)) })
  const samples: Sample[] = []
  for (let i = 0; i < WARM_UP + WRITES; i += 1) {
    const text = JSON.stringify(body(i))
    const sent = performance.now()
    const answer = await client.send({ method: 'PUT', path: `${PATH}/echo`, body: text })
    const answered = performance.now()
    const metadata = answer.json().metadata as { resourceVersion: string }
    const arrived = await arrivalOf(arrivals, metadata.resourceVersion)
    if (i >= WARM_UP) samples.push({ sent, answered, arrived })
  }
  for (const stream of [own, ...others]) stream.close()
  const echoes = samples.map(({ sent, arrived }) => arrived - sent)
  const lags = samples.map(({ answered, arrived }) => arrived - answered)
  return {
    writes: WRITES,
    otherWatches: OTHER_WATCHES,
    p50: percentile(echoes, 0.5),
    p99: percentile(echoes, 0.99),
    p999: percentile(echoes, 0.999),
    max: percentile(echoes, 1),
    afterAnswerP50: percentile(lags, 0.5),
    afterAnswerP999: percentile(lags, 0.999),
  }
}

async function arrivalOf(arrivals: Map<string, number>, revision: string): Promise<number> {
  for (;;) {
    const arrived = arrivals.get(revision)
    if (arrived !== undefined) {
      arrivals.clear()
      return arrived
    }
    await sleep(0)
  }
}
