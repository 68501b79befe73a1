// What CRDs cost: a thousand of Istio's size installed (memory, discovery, start), one from create to its first 200, and
// Gateway API's by kubectl, from the folder in PODLESS_GATEWAY_API. Called by run.ts.

import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type JsonObject,
  type KubeObject,
  parseYaml,
} from '../../packages/apimachinery/src/index.ts'
import { CRDS, noManifestsReason } from '../conformance/istiod/mesh-files.ts'
import { ApiClient } from '../harness/api-client.ts'
import { missingPrograms, run, until } from '../harness/child-process.ts'
import { type Podless, startPodless } from '../harness/podless.ts'
import { inFolder, median, percentile, report, residentMib, withServer } from './measure.ts'

const COUNT = Number(process.env.PODLESS_BENCH_CRDS ?? 1000)
const SETTLE_MS = 10_000
const PARALLEL = 4
const CREATES = 30
const PATH = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

interface Crd extends KubeObject {
  spec: { group: string; names: { plural: string }; versions: { name: string; served: boolean }[] }
}

export async function crds(): Promise<void> {
  const missing = noManifestsReason()
  if (missing) return report('crds', { skipped: missing })
  const originals = await istioCrds()
  await manyCrds(originals)
  await createToServed(originals)
  await gatewayApi()
}

async function istioCrds(): Promise<Crd[]> {
  const text = await readFile(CRDS, 'utf8')
  return text
    .split(/^---$/m)
    .map(part => parseYaml(part, { strict: false }).value)
    .filter((value): value is Crd => (value as KubeObject | null)?.kind !== undefined)
}

/** The same CRD in a group of its own. */
function renamed(crd: Crd, index: number): Crd {
  const group = `g${index}.${crd.spec.group}`
  return {
    ...crd,
    metadata: { name: `${crd.spec.names.plural}.${group}` },
    spec: { ...crd.spec, group },
  }
}

async function create(client: ApiClient, crd: Crd): Promise<void> {
  const { status, bytes } = await client.send({ method: 'POST', path: PATH, body: crd })
  if (status !== 201) throw new Error(bytes.toString())
}

/** A collection of the CRD's instances. */
function instancesOf({ spec }: Crd): string {
  const version = spec.versions.find(({ served }) => served)?.name ?? ''
  return `/apis/${spec.group}/${version}/${spec.names.plural}`
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return Math.round((performance.now() - started) * 10) / 10
}

async function served(client: ApiClient, crd: Crd): Promise<void> {
  while ((await client.send({ path: instancesOf(crd) })).status !== 200) await sleep(1)
}

async function manyCrds(originals: readonly Crd[]): Promise<void> {
  const all = Array.from({ length: COUNT }, (_, i) =>
    renamed(originals[i % originals.length]!, Math.floor(i / originals.length)),
  )
  await inFolder(async folder => {
    const options = { data: join(folder, 'data'), port: 0 }
    let server = await startPodless(options)
    let client = new ApiClient(server.admin)
    const justStarted = await residentMib(server.child.pid)
    const install = await timed(async () => {
      const rest = [...all]
      const workers = Array.from({ length: PARALLEL }, async () => {
        for (let next = rest.shift(); next !== undefined; next = rest.shift())
          await create(client, next)
      })
      await Promise.all(workers)
      await served(client, all.at(-1)!)
    })
    const installed = await residentMib(server.child.pid)
    const discovery = await discoveryTimes(client, renamed(originals[0]!, COUNT))
    await sleep(SETTLE_MS)
    const idle = await residentMib(server.child.pid)
    client.close()
    await server.child.stop()

    const start = await timed(async () => {
      server = await startPodless(options)
    })
    client = new ApiClient(server.admin)
    const afterStart = await timed(() => served(client, all.at(-1)!))
    await discoveryTimes(client, renamed(originals[0]!, COUNT + 1))
    await sleep(SETTLE_MS)
    const restarted = await residentMib(server.child.pid)
    client.close()
    await server.child.stop()
    const memory = { justStarted, installed, idle, restarted }
    report('crds', { count: COUNT, install, ...discovery, start, afterStart, memory })
  })
}

/** Discovery asked for again, and right after a CRD changed it. */
async function discoveryTimes(client: ApiClient, another: Crd): Promise<JsonObject> {
  const ask = () => client.send({ path: '/apis', headers: { accept: AGGREGATED } })
  await ask()
  const again = await timed(ask)
  await create(client, another)
  await served(client, another)
  const changed = await timed(ask)
  const openApiRoot = await timed(() => client.send({ path: '/openapi/v3' }))
  return { discovery: again, discoveryChanged: changed, openApiRoot }
}

async function createToServed(originals: readonly Crd[]): Promise<void> {
  await withServer('embedded', async ({ client }) => {
    const times: number[] = []
    for (let i = 0; i < CREATES; i += 1) {
      const crd = renamed(originals[i % originals.length]!, i)
      times.push(
        await timed(async () => {
          await create(client, crd)
          await served(client, crd)
        }),
      )
    }
    const [first] = times
    const p90 = percentile(times, 0.9)
    report('crd-served', { first, median: median(times), p90, max: percentile(times, 1) })
  })
}

async function gatewayApi(): Promise<void> {
  const folder = process.env.PODLESS_GATEWAY_API ?? ''
  if (!existsSync(folder))
    return report('gateway-api', { skipped: 'PODLESS_GATEWAY_API names no folder' })
  const missing = missingPrograms('kubectl')
  if (missing) return report('gateway-api', { skipped: missing })
  for (const channel of ['standard', 'experimental']) {
    await withServer('embedded', async ({ server, client }) => {
      const apply = await timed(() => applyCrds(server, join(folder, 'config/crd', channel)))
      const established = await timed(() =>
        until('every CRD is established', async () => {
          const { items } = (await client.send({ path: PATH })).json() as { items: KubeObject[] }
          return items.every(isEstablished) ? items.length : undefined
        }),
      )
      report('gateway-api', { channel, apply, established })
    })
  }
}

/** HTTPRoute is too large for the annotation of an apply on the client's side. */
async function applyCrds(server: Podless, folder: string): Promise<void> {
  const names = (await readdir(folder)).filter(name => name.startsWith('gateway.'))
  const files = names.flatMap(name => ['-f', join(folder, name)])
  const kubectl = ['--kubeconfig', server.kubeconfig, 'apply', '--server-side']
  const { code, stderr } = await run('kubectl', [...kubectl, ...files])
  if (code !== 0) throw new Error(stderr)
}

function isEstablished({ status }: KubeObject): boolean {
  const { conditions = [] } = (status ?? {}) as { conditions?: JsonObject[] }
  return conditions.some(({ type, status: is }) => type === 'Established' && is === 'True')
}
