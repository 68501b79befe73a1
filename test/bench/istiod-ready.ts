// From the start of an unmodified istiod to its /ready, on a server that holds Istio's CRDs and control plane.
// Called by run.ts. The first start makes istiod's CA and locks, later ones find them.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CONTROL_PLANE,
  CRDS,
  meshConfigMap,
  noManifestsReason,
} from '../conformance/istiod/mesh-files.ts'
import { missingPrograms, until } from '../harness/child-process.ts'
import { istiodPorts, startIstiod } from '../harness/istiod.ts'
import { podless } from '../harness/podless.ts'
import { apply, type Bench, median, report, withServer } from './measure.ts'

const RUNS = 5

export async function istiodReady(): Promise<void> {
  const missing = noManifestsReason() || missingPrograms('pilot-discovery', 'kubectl')
  if (missing) return report('istiod-ready', { skipped: missing })
  const ports = await istiodPorts()
  await withServer(
    'embedded',
    async bench => {
      const kubeconfig = await prepare(bench, ports.secureGrpc)
      const times: number[] = []
      for (let i = 0; i < RUNS; i += 1) {
        const started = performance.now()
        const folder = join(bench.folder, `istiod-${i}`)
        const istiod = await startIstiod({ folder, kubeconfig, ports, address: '127.0.0.1' })
        const ready = async (): Promise<true | undefined> => (await istiod.isReady()) || undefined
        await until('istiod is ready', ready, { everyMs: 5 })
        times.push(Math.round(performance.now() - started))
        await istiod.child.stop()
      }
      report('istiod-ready', { first: times[0], median: median(times), runs: times })
    },
    ['--service-resolver', `istiod.istio-system=127.0.0.1:${ports.https}`],
  )
}

async function prepare({ folder, server }: Bench, port: number): Promise<string> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system' } }
  await apply(server, '-', JSON.stringify(namespace))
  await apply(server, CRDS)
  await apply(server, CONTROL_PLANE)
  await apply(server, '-', meshConfigMap(`127.0.0.1:${port}`))
  const kubeconfig = join(folder, 'istiod.kubeconfig')
  await writeFile(kubeconfig, await podless('kubeconfig', 'istiod', '--data', join(folder, 'data')))
  return kubeconfig
}
