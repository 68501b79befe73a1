// Where the server's time goes under the load benchmark's work: a V8 profile, which Chrome's developer tools open, and a
// flame graph of it. Called by run.ts; writes into the folder of --save, or the current one.

import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startPodless } from '../harness/podless.ts'
import { type CpuProfile, flameGraph } from './flame-graph.ts'
import { defineLoads, type LoadSize, work } from './load-work.ts'
import { inFolder, report } from './measure.ts'
import type { BenchOptions } from './options.ts'
import { openWire } from './wire.ts'

const SIZE: LoadSize = { objects: 2_000, watchers: 100, events: 100 }

export async function flame({ save = '.' }: BenchOptions): Promise<void> {
  await inFolder(async folder => {
    const profiles = join(folder, 'profiles')
    const server = await startPodless({
      data: join(folder, 'data'),
      port: 0,
      env: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}` },
    })
    const client = await openWire(server.kubeconfig)
    await defineLoads(client)
    await work(client, 0, SIZE)
    client.close()
    await server.child.stop()
    const [name] = await readdir(profiles)
    if (name === undefined) throw new Error('the server wrote no profile')
    const profile = join(profiles, name)
    const files = { profile: join(save, 'load.cpuprofile'), graph: join(save, 'load-flame.svg') }
    await mkdir(save, { recursive: true })
    await copyFile(profile, files.profile)
    const parsed = JSON.parse(await readFile(profile, 'utf8')) as CpuProfile
    await writeFile(files.graph, flameGraph(parsed))
    report('flame', files)
  })
}
