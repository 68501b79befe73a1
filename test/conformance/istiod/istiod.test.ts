// The main job end to end, with the real programs: podless up, kubectl, istiod, istioctl, and VMs with pilot-agent and
// Envoy, on both engines, through a kill -9 of the server. Parts whose programs are absent skip and say what is missing.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { missingPrograms, until } from '../../harness/child-process.ts'
import { ISTIOD_NAME } from '../../harness/istiod.ts'
import { AcknowledgedWrites } from './acknowledged-writes.ts'
import { type Engine, Mesh, type Vm } from './mesh.ts'
import {
  bootstrapTemplate,
  CONTROL_PLANE,
  CRD_COUNT,
  CRDS,
  meshConfigMap,
  noManifestsReason,
  vmGroup,
} from './mesh-files.ts'
import { noNetworkReason } from './mesh-network.ts'

const NO_MESH = noManifestsReason() || missingPrograms('kubectl', 'pilot-discovery')
const NO_ISTIOCTL = NO_MESH || missingPrograms('istioctl')
const NO_VM =
  NO_ISTIOCTL ||
  missingPrograms('pilot-agent', 'envoy') ||
  noNetworkReason() ||
  (bootstrapTemplate() === undefined && "absent: Envoy's bootstrap template of Istio")
const SYSTEM = '/api/v1/namespaces/istio-system'
const NETWORKING = '/apis/networking.istio.io/v1/namespaces/vm'
const WEBHOOKS = '/apis/admissionregistration.k8s.io/v1'
const LEADER = 'control-plane.alpha.kubernetes.io/leader'
/** Long enough for istiod's validation controller to have looped some hundred times, if it did. */
const QUIET_MS = 3_000

/** What the assertions read of any object. */
interface Read {
  readonly kind?: string
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly annotations?: Readonly<Record<string, string>>
    readonly ownerReferences?: readonly { kind: string; name: string; uid: string }[]
  }
}

interface WebhookConfiguration extends Read {
  readonly webhooks: readonly {
    name: string
    failurePolicy: string
    clientConfig: { caBundle?: string }
  }[]
}

interface WorkloadEntry extends Read {
  readonly spec: { address: string; serviceAccount?: string }
  readonly status?: { conditions?: readonly { type: string; status: string }[] }
}

async function get<T = Read>(mesh: Mesh, path: string): Promise<T | undefined> {
  const answer = await mesh.client.send({ path })
  if (answer.status === 404) return undefined
  assert.equal(answer.status, 200, answer.bytes.toString())
  return answer.json() as unknown as T
}

async function list<T = Read>(mesh: Mesh, path: string): Promise<readonly T[]> {
  const found = await get<{ items: readonly T[] }>(mesh, path)
  return found?.items ?? []
}

/** The registered entry of a VM once `wanted` holds of it. */
async function entryOf(
  mesh: Mesh,
  group: string,
  wanted: (entry: WorkloadEntry) => boolean = () => true,
): Promise<WorkloadEntry> {
  return await until(`a WorkloadEntry of ${group} as wanted`, async () => {
    const entries = await list<WorkloadEntry>(mesh, `${NETWORKING}/workloadentries`)
    return entries.find(entry => entry.metadata.name.startsWith(`${group}-`) && wanted(entry))
  })
}

const isHealthy = ({ status }: WorkloadEntry): boolean =>
  status?.conditions?.some(one => one.type === 'Healthy' && one.status === 'True') ?? false

/** How often the resource was asked for, by /metrics. */
async function requestCount(mesh: Mesh, labels: readonly string[]): Promise<number> {
  const { bytes } = await mesh.client.send({ path: '/metrics' })
  const lines = bytes.toString().split('\n')
  return lines
    .filter(line => line.startsWith('apiserver_request_total{'))
    .filter(line => labels.every(label => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

/** The names of all config that istiod has read from the API server. */
async function istiodConfig(mesh: Mesh): Promise<readonly string[]> {
  const config = JSON.parse(await mesh.istiod.page('/debug/configz')) as readonly Read[]
  return config.map(one => `${one.kind}/${one.metadata.name}`)
}

/** A host outside the mesh and a route to it. */
function routeTo(name: string): string {
  const host = `${name}.example.com`
  const apiVersion = 'networking.istio.io/v1'
  const metadata = { name, namespace: 'vm' }
  const ports = [{ number: 80, name: 'http', protocol: 'HTTP' }]
  const endpoints = [{ address: '192.0.2.1' }]
  const entry = { hosts: [host], location: 'MESH_EXTERNAL', resolution: 'STATIC', ports, endpoints }
  const route = { hosts: [host], http: [{ route: [{ destination: { host } }] }] }
  return [
    JSON.stringify({ apiVersion, kind: 'ServiceEntry', metadata, spec: entry }),
    JSON.stringify({ apiVersion, kind: 'VirtualService', metadata, spec: route }),
  ].join('\n')
}

function theMainJob(engine: Engine): void {
  let mesh: Mesh
  let first: Vm
  let entry: WorkloadEntry
  let failed = false

  before(async () => {
    mesh = await Mesh.open(engine)
    await mesh.startServer()
  })
  after(async () => {
    if (failed) process.stderr.write(`logs are kept in ${mesh.folder}\n`)
    await mesh.close({ keep: failed || process.env.KEEP_LOGS === '1' })
  })
  /** Later steps stand on earlier ones: after a failure the rest would only repeat it. */
  const step = (name: string, skip: string | false, test: () => Promise<void>): void => {
    it(name, { skip }, async t => {
      if (failed) {
        t.skip('an earlier step failed')
        return
      }
      failed = true
      await test()
      failed = false
    })
  }

  step('kubectl apply takes the CRDs, and all are established', false, async () => {
    await mesh.apply(['-f', CRDS])
    const waited = await mesh.kubectl([
      ...['wait', '--for=condition=Established', 'crd', '--all', '--timeout=120s'],
    ])
    assert.equal(waited.code, 0, waited.stderr)
    assert.equal(waited.stdout.trim().split('\n').length, CRD_COUNT)
  })

  step('kubectl apply takes the control plane', false, async () => {
    for (const name of ['istio-system', 'vm'])
      await mesh.apply(
        ['-f', '-'],
        JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }),
      )
    await mesh.apply(['-f', CONTROL_PLANE])
    await mesh.apply(['-f', '-'], meshConfigMap(`${mesh.address}:${mesh.istiodPorts.secureGrpc}`))
  })

  step('istiod becomes ready with the kubeconfig made for it', false, async () => {
    const istiod = await mesh.startIstiod()
    await until('istiod is ready', async () => {
      assert(istiod.child.running, istiod.child.log())
      return (await istiod.isReady()) || undefined
    })
  })

  step('istiod holds its leases and ConfigMap locks', false, async () => {
    const locks = ['istio-namespace-controller-election', 'istio-ip-autoallocate', 'istio-leader']
    for (const name of locks) {
      await until(`istiod holds ${name}`, async () => {
        const lock = await get(mesh, `${SYSTEM}/configmaps/${name}`)
        return lock?.metadata.annotations?.[LEADER]?.includes(ISTIOD_NAME) || undefined
      })
    }
    await until('istiod holds a Lease', async () => {
      const leases = await list(mesh, '/apis/coordination.k8s.io/v1/namespaces/istio-system/leases')
      return leases.some(lease => JSON.stringify(lease).includes(ISTIOD_NAME)) || undefined
    })
  })

  step('istiod writes its CA and publishes the root in each namespace', false, async () => {
    const secret = await get<Read & { data: Record<string, string> }>(
      mesh,
      `${SYSTEM}/secrets/istio-ca-secret`,
    )
    const pem = Buffer.from(secret?.data['ca-cert.pem'] ?? '', 'base64').toString()
    for (const namespace of ['default', 'kube-system', 'istio-system', 'vm']) {
      const path = `/api/v1/namespaces/${namespace}/configmaps/istio-ca-root-cert`
      const published = await until(`istio-ca-root-cert in ${namespace}`, () =>
        get<Read & { data: Record<string, string> }>(mesh, path),
      )
      assert.equal(published.data['root-cert.pem'], pem)
    }
  })

  step('the webhooks settle: called, closed, and left alone', false, async () => {
    const path = `${WEBHOOKS}/validatingwebhookconfigurations`
    await until('the validating webhook fails closed with a CA bundle', async () => {
      const [config] = await list<WebhookConfiguration>(mesh, path)
      const settled = config?.webhooks.every(
        one => one.failurePolicy === 'Fail' && (one.clientConfig.caBundle ?? '') !== '',
      )
      return settled || undefined
    })
    const [injector] = await list<WebhookConfiguration>(
      mesh,
      `${WEBHOOKS}/mutatingwebhookconfigurations`,
    )
    assert(injector?.webhooks.every(one => (one.clientConfig.caBundle ?? '') !== ''))
    const rehearsals = (): Promise<number> =>
      requestCount(mesh, ['verb="CREATE"', 'resource="gateways"'])
    const writes = (): Promise<number> =>
      requestCount(mesh, ['verb="UPDATE"', 'resource="validatingwebhookconfigurations"'])
    const settled = [await rehearsals(), await writes()]
    assert(settled[0] !== 0, 'istiod tried no invalid Gateway')
    await sleep(QUIET_MS)
    assert.deepEqual([await rehearsals(), await writes()], settled)
  })

  step("istiod's webhook denies an invalid Gateway", false, async () => {
    const { code, stderr } = await mesh.kubectl(
      ['apply', '-f', '-'],
      JSON.stringify({
        apiVersion: 'networking.istio.io/v1',
        kind: 'Gateway',
        metadata: { name: 'invalid', namespace: 'vm', labels: { 'istio.io/rev': 'default' } },
        spec: { servers: [] },
      }),
    )
    assert.equal(code, 1)
    assert.match(stderr, /admission webhook "\S+" denied the request/)
    assert.equal(await get(mesh, `${NETWORKING}/gateways/invalid`), undefined)
  })

  step('a VirtualService reaches istiod', false, async () => {
    await mesh.apply(['-f', '-'], routeTo('before'))
    await until(
      'istiod has read it',
      async () => (await istiodConfig(mesh)).includes('VirtualService/before') || undefined,
    )
  })

  step('a ServiceEntry gets an address of istiod, by JSON patch of its status', false, async () => {
    const path = `${NETWORKING}/serviceentries/before`
    const addresses = await until('status.addresses', async () => {
      const found = await get<{ status?: { addresses?: { value: string }[] } }>(mesh, path)
      return found?.status?.addresses
    })
    assert(addresses.some(({ value }) => value.startsWith('240.240.')))
  })

  for (const command of [['version'], ['analyze', '--all-namespaces'], ['x', 'precheck']]) {
    step(`istioctl ${command.join(' ')} ends with 0`, NO_ISTIOCTL, async () => {
      const { code, stdout, stderr } = await mesh.istioctl(...command)
      assert.equal(code, 0, stdout + stderr)
    })
  }

  step('a VM joins: bundle, certificate, WorkloadEntry, Healthy', NO_VM, async () => {
    await mesh.apply(['-n', 'vm', '-f', '-'], vmGroup('app'))
    first = await mesh.startVm('app', 'vm')
    entry = await entryOf(mesh, 'app', isHealthy)
    assert.equal(entry.spec.address, first.address, 'a status write must not touch the spec')
    assert.equal(entry.metadata.ownerReferences?.[0]?.kind, 'WorkloadGroup')
    const certificate = new X509Certificate(
      await readFile(join(first.folder, 'etc/certs/cert-chain.pem')),
    )
    assert.equal(certificate.subjectAltName, 'URI:spiffe://cluster.local/ns/vm/sa/app-sa')
  })

  step('kill -9 of the server loses nothing that was acknowledged', false, async () => {
    const writes = new AcknowledgedWrites(mesh.client, '/api/v1/namespaces/vm/configmaps')
    writes.start()
    await until('some writes are acknowledged', () => writes.acknowledged.size >= 50 || undefined)
    await mesh.killServer()
    await writes.ended
    const acknowledged = new Map(writes.acknowledged)
    await mesh.startServer()
    const stored = await list<Read & { data: Record<string, string> }>(
      mesh,
      '/api/v1/namespaces/vm/configmaps',
    )
    const values = new Map(stored.map(one => [one.metadata.name, one.data]))
    for (const [name, value] of acknowledged) assert.deepEqual(values.get(name), { value })
    if (entry !== undefined) {
      const kept = await get(mesh, `${NETWORKING}/workloadentries/${entry.metadata.name}`)
      assert.equal(kept?.metadata.uid, entry.metadata.uid)
    }
  })

  step("istiod's watches resume after the restart", false, async () => {
    assert(mesh.istiod.child.running, mesh.istiod.child.log())
    await mesh.apply(['-f', '-'], routeTo('after'))
    await until(
      'istiod has read what was applied after the restart',
      async () => (await istiodConfig(mesh)).includes('VirtualService/after') || undefined,
    )
  })

  step('a VM of a group made after the restart joins', NO_VM, async () => {
    await mesh.apply(['-n', 'vm', '-f', '-'], vmGroup('late'))
    const second = await mesh.startVm('late', 'vm')
    await entryOf(mesh, 'late', isHealthy)
    assert(isHealthy(await entryOf(mesh, 'app')), 'the first VM is still healthy')
    await second.agent.stop('SIGKILL')
  })

  step('VMs that left are cleaned up', NO_VM, async () => {
    await first.agent.stop()
    await until('no WorkloadEntry is left', async () => {
      const entries = await list(mesh, `${NETWORKING}/workloadentries`)
      return entries.length === 0 || undefined
    })
  })

  step('istiod was refused nothing', false, async () => {
    assert.equal(await requestCount(mesh, ['code="403"']), 0)
    assert.doesNotMatch(mesh.istiod.child.log(), /is forbidden/)
  })

  step('SIGTERM ends the server cleanly', false, async () => {
    await mesh.istiod.child.stop()
    await mesh.server.child.stop('SIGTERM', 30_000)
    assert.equal(mesh.server.child.exitCode, 0, mesh.server.child.log())
  })
}

describe('istiod on --store embedded', { skip: NO_MESH }, () => theMainJob('embedded'))
describe('istiod on --store etcd', { skip: NO_MESH || missingPrograms('etcd') }, () =>
  theMainJob('etcd'),
)
