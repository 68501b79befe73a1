// podless as a remote cluster of an istiod that has a cluster of its own: what `podless istio remote-secret` prints is
// applied there with kubectl. Services, WorkloadEntries and tokens of VMs come from here. Skips where programs are missing.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { missingPrograms, run, until } from '../../harness/child-process.ts'
import { podless } from '../../harness/podless.ts'
import { ControlPlane } from './control-plane.ts'

const SKIP = missingPrograms('pilot-discovery', 'istioctl', 'kubectl')
const NAME = 'vms'
const NAMESPACE = 'shop'
const HOST = `cart.${NAMESPACE}.svc.cluster.local`
const NETWORKING = `/apis/networking.istio.io/v1/namespaces/${NAMESPACE}`
const LONG_MS = 120_000

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'cart' },
  spec: { selector: { app: 'cart' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
}

const entry = (address: string): object => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'WorkloadEntry',
  metadata: { name: `cart-${address}`, labels: { app: 'cart' } },
  spec: { address, labels: { app: 'cart' }, serviceAccount: 'cart-sa' },
})

describe('another istiod', { skip: SKIP }, () => {
  let folder: string
  /** Has its own podless in the place of the cluster that istiod belongs to. */
  let other: ControlPlane
  /** Has no istiod. */
  let here: ControlPlane

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'podless-remote-'))
    other = await ControlPlane.open({ folder: join(folder, 'other') })
    here = await ControlPlane.open({ folder: join(folder, 'here') })
    await other.startIstiod()
  })
  after(async () => {
    await other.close()
    await here.close()
    await rm(folder, { recursive: true, force: true })
  })

  const remoteSecret = (): Promise<string> =>
    podless('istio', 'remote-secret', '--data', here.data, '--name', NAME)

  /** Addresses that istiod knows for the Service, by cluster. */
  const endpoints = async (): Promise<readonly string[]> => {
    const all = JSON.parse(await other.istiod.page('/debug/endpointShardz')) as Shards
    const shards = Object.values(all[HOST] ?? {}).flatMap(one => Object.entries(one.Shards))
    return shards.flatMap(([shard, found]) =>
      found.flatMap(({ Addresses }) => Addresses.map(address => `${shard} ${address}`)),
    )
  }
  const untilEndpoints = async (...wanted: readonly string[]): Promise<void> => {
    await until(
      `istiod knows ${wanted.join(' and ')}`,
      async () => {
        assert.deepEqual((await endpoints()).toSorted(), wanted)
        return true
      },
      { timeoutMs: LONG_MS },
    )
  }

  it('takes the printed Secret and reads this server as a cluster', async () => {
    const input = await remoteSecret()
    const kubectl = ['--kubeconfig', other.server.kubeconfig, 'apply', '-f', '-']
    const { code, stderr } = await run('kubectl', kubectl, { input })
    assert.equal(code, 0, stderr)
    await until(
      'istiod is in sync with the cluster',
      async () => {
        const clusters = JSON.parse(await other.istiod.page('/debug/clusterz')) as Cluster[]
        return clusters.some(one => one.id === NAME && one.syncStatus === 'synced') || undefined
      },
      { timeoutMs: LONG_MS },
    )
  })

  it('learns a WorkloadEntry here as an endpoint of a Service here', async () => {
    await here.createGroup(NAMESPACE, 'cart')
    await here.create(`/api/v1/namespaces/${NAMESPACE}/services`, service)
    await here.create(`${NETWORKING}/workloadentries`, entry('10.201.0.1'))
    await untilEndpoints(`Kubernetes/${NAME} 10.201.0.1`)
  })

  it('goes on after a kill -9 of this server', async () => {
    await here.restartServer()
    await here.create(`${NETWORKING}/workloadentries`, entry('10.201.0.2'))
    await untilEndpoints(`Kubernetes/${NAME} 10.201.0.1`, `Kubernetes/${NAME} 10.201.0.2`)
  })

  it('lets a VM register that shows a token from here', async () => {
    await other.createGroup(NAMESPACE, 'cart')
    await other.startVms({
      name: 'vm',
      group: 'cart',
      namespace: NAMESPACE,
      addresses: ['10.201.0.3'],
      clusterId: NAME,
      token: await here.vmToken(NAMESPACE, 'cart'),
    })
    const path = `${NETWORKING}/workloadentries`
    await until(
      'the VM is registered',
      async () => {
        const { bytes } = await other.client.send({ path })
        return bytes.toString().includes('"address":"10.201.0.3"') || undefined
      },
      { timeoutMs: LONG_MS },
    )
  })

  it('is locked out when its Secret here is deleted', async () => {
    const [, token = ''] = /token: (\S+)/.exec(await remoteSecret()) ?? []
    const headers = { authorization: `Bearer ${token}` }
    const services = `/api/v1/namespaces/${NAMESPACE}/services`
    const reader = here.withoutCertificate()
    try {
      assert.equal((await reader.send({ path: services, headers })).status, 200)
      const path = `/api/v1/namespaces/istio-system/secrets/istio-remote-reader-${NAME}`
      assert.equal((await here.client.send({ method: 'DELETE', path })).status, 200)
      assert.equal((await reader.send({ path: services, headers })).status, 401)
    } finally {
      reader.close()
    }
  })
})

interface Cluster {
  readonly id: string
  readonly syncStatus: string
}

type Shards = Readonly<
  Record<string, Record<string, { Shards: Record<string, { Addresses: string[] }[]> }>>
>
