// What every benchmark here needs: a folder, a server from the real command line, percentiles, one JSON line a figure.

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiClient, type WatchStream } from '../harness/api-client.ts'
import { type Child, freePorts, run } from '../harness/child-process.ts'
import { startEtcd } from '../harness/etcd.ts'
import { type Podless, startPodless } from '../harness/podless.ts'

export type Engine = 'embedded' | 'etcd'
export const ENGINES: readonly Engine[] = ['embedded', 'etcd']

export interface Bench {
  readonly folder: string
  readonly server: Podless
  /** The processes of a store outside of the server. */
  readonly stores: readonly number[]
  readonly client: ApiClient
}

/** One line of figures: which benchmark, what it found, on which machine. */
export type Line = Readonly<Record<string, unknown>> & { readonly bench: string }

const lines: Line[] = []

/** Every line so far. */
export const reported = (): readonly Line[] => lines

/** Prints one line of JSON. Times are in milliseconds, memory in MiB. */
export function report(name: string, figures: Readonly<Record<string, unknown>>): void {
  const machine = { cpus: availableParallelism(), node: process.version }
  const line = { bench: name, ...figures, ...machine }
  lines.push(line)
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** The value below which the share `p` of the sorted samples lies, with three decimals. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const index = Math.min(sorted.length - 1, Math.ceil(p * sorted.length) - 1)
  return Math.round((sorted[Math.max(0, index)] ?? Number.NaN) * 1000) / 1000
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5)

/** Runs the body in a folder of its own, which is gone afterwards. */
export async function inFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'podless-bench-'))
  try {
    return await body(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Runs the body against a fresh server on the engine and ends everything afterwards. */
export async function withServer(
  engine: Engine,
  body: (bench: Bench) => Promise<void>,
  args: readonly string[] = [],
): Promise<void> {
  await inFolder(async folder => {
    const children: Child[] = []
    try {
      const etcd = engine === 'etcd' ? await startEtcd(folder) : undefined
      if (etcd !== undefined) children.push(etcd.child)
      const store = etcd === undefined ? [] : ['--etcd-endpoints', etcd.endpoint]
      const [port = 0] = await freePorts(1)
      const server = await startPodless({
        data: join(folder, 'data'),
        port,
        args: ['--store', engine, ...store, ...args],
      })
      children.unshift(server.child)
      const client = new ApiClient(server.admin)
      const stores = etcd === undefined ? [] : [etcd.child.pid]
      await body({ folder, server, stores, client })
      client.close()
    } finally {
      for (const child of children) await child.stop()
    }
  })
}

/** kubectl apply as the admin, which has to succeed. */
export async function apply(server: Podless, file: string, input?: string): Promise<void> {
  const args = ['--kubeconfig', server.kubeconfig, 'apply', '-f', file]
  const { code, stderr } = await run('kubectl', args, input === undefined ? {} : { input })
  if (code !== 0) throw new Error(stderr)
}

/** Resources that an istiod watches on any server, CRDs or none. */
const WATCHED = [
  '/api/v1/namespaces',
  '/api/v1/services',
  '/api/v1/secrets',
  '/api/v1/configmaps',
  '/api/v1/pods',
  '/api/v1/nodes',
  '/api/v1/serviceaccounts',
  '/apis/discovery.k8s.io/v1/endpointslices',
  '/apis/networking.k8s.io/v1/ingresses',
  '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
]

/** Opens `count` watches over what istiod watches, and reads them. */
export async function openWatches(client: ApiClient, count: number): Promise<WatchStream[]> {
  const query = 'watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan'
  const bookmarks = 'allowWatchBookmarks=true&timeoutSeconds=600'
  return await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const path = `${WATCHED[index % WATCHED.length]}?${query}&${bookmarks}`
      return await client.watch({ path }, () => undefined)
    }),
  )
}

const kibOf = (status: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1])

const mibOf = (kib: number): number => Math.round((kib / 1024) * 10) / 10

async function statusOf(pid: number): Promise<string> {
  return await readFile(`/proc/${pid}/status`, 'utf8')
}

/** Resident memory of a process in MiB, by the kernel. */
export async function residentMib(pid: number): Promise<number> {
  return mibOf(kibOf(await statusOf(pid), 'VmRSS'))
}

/** Resident memory, and what of it is the process's own: the rest is files the kernel may drop, such as the store's. */
export async function memoryOf(pid: number): Promise<{ residentMib: number; anonMib: number }> {
  const status = await statusOf(pid)
  return { residentMib: mibOf(kibOf(status, 'VmRSS')), anonMib: mibOf(kibOf(status, 'RssAnon')) }
}

/** Starts looking for the highest resident memory; the function it resolves with tells by how much it was above now. */
export async function peakOf(pid: number): Promise<() => Promise<number>> {
  await writeFile(`/proc/${pid}/clear_refs`, '5')
  const before = kibOf(await statusOf(pid), 'VmRSS')
  return async () => mibOf(kibOf(await statusOf(pid), 'VmHWM') - before)
}

/** CPU time that all threads of a process have had, in microseconds: other work on the machine does not count. */
export async function cpuMicros(pid: number): Promise<number> {
  let nanos = 0
  for (const thread of await readdir(`/proc/${pid}/task`))
    nanos += Number((await readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')).split(' ')[0])
  return nanos / 1000
}
