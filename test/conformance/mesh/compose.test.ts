// What docker-compose.yml runs, as processes in the same order: the two prepare steps, istiod, and two VMs by vm.sh.
// Containers' names become addresses here; the rest is as in the file. Skips with the reason where programs are missing.

import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Child, missingPrograms, start, until } from '../../harness/child-process.ts'
import { istiodPorts, startIstiod } from '../../harness/istiod.ts'
import { type Podless, podless, startPodless } from '../../harness/podless.ts'
import { bootstrapTemplate } from '../istiod/mesh-files.ts'
import { type MeshNetwork, noNetworkReason, openMeshNetwork } from '../istiod/mesh-network.ts'

const SKIP =
  missingPrograms('pilot-discovery', 'pilot-agent', 'envoy', 'istioctl') ||
  noNetworkReason() ||
  (bootstrapTemplate() === undefined && "absent: Envoy's bootstrap template of Istio")
const MAIN = fileURLToPath(new URL('../../../packages/cli/src/main.ts', import.meta.url))
const VM_SCRIPT = fileURLToPath(new URL('../../../deploy/compose/vm.sh', import.meta.url))
const TEMPLATE = 'envoy_bootstrap_tmpl.json'
const LONG_MS = 120_000

describe('what docker-compose.yml runs', { skip: SKIP }, () => {
  let folder: string
  let network: MeshNetwork
  let server: Podless
  const children: Child[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'podless-compose-'))
    network = await openMeshNetwork()
    server = await startPodless({ data: join(folder, 'data'), port: 0 })
    children.push(server.child)
  })
  after(async () => {
    await Promise.all(children.map(child => child.stop('SIGKILL')))
    await network.close()
    await rm(folder, { recursive: true, force: true })
  })

  const startVm = async (name: string): Promise<string> => {
    const { namespace, address } = await network.addVm()
    const root = join(folder, `${name}-root`)
    await mkdir(root)
    await cp(bootstrapTemplate() ?? '', join(root, TEMPLATE))
    const app = [process.execPath, MAIN, 'mesh', 'app', `--name=${name}`, '--address=0.0.0.0']
    const vm = start({
      name,
      program: 'sh',
      args: [VM_SCRIPT, join(folder, 'mesh', name), ...app],
      cwd: root,
      logFile: join(folder, `${name}.log`),
      env: { INSTANCE_IP: address, VM_AGENT_FLAGS: `--templateFile ${TEMPLATE}` },
      namespace,
    })
    children.push(vm)
    return `http://${address}:8090/call`
  }

  it('takes two VMs to an mTLS request', async () => {
    const data = ['--data', join(folder, 'data'), '--output', join(folder, 'mesh')]
    const ports = await istiodPorts()
    const discovery = `${network.address}:${ports.secureGrpc}`
    await podless('mesh', 'prepare', 'istiod', ...data, '--discovery-address', discovery)
    const istiod = await startIstiod({
      folder: join(folder, 'istiod'),
      kubeconfig: join(folder, 'mesh', 'istiod.kubeconfig'),
      ports,
      address: network.address,
    })
    children.push(istiod.child)
    await until('istiod is ready', async () => (await istiod.isReady()) || undefined, {
      timeoutMs: LONG_MS,
    })
    await podless('mesh', 'prepare', 'vms', ...data)
    const [url] = [await startVm('echo-a'), await startVm('echo-b')]
    const certificate = await until(
      'echo-a reaches echo-b',
      async () => {
        const response = await fetch(`${url}/echo-b`)
        const { status, answer } = (await response.json()) as {
          status: number
          answer: { headers: Record<string, string> }
        }
        return status === 200 ? answer.headers['x-forwarded-client-cert'] : undefined
      },
      { timeoutMs: LONG_MS },
    )
    assert.match(certificate, /URI=spiffe:\/\/cluster\.local\/ns\/demo\/sa\/echo-a$/)
  })
})
