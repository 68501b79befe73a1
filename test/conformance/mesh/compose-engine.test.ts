// docker-compose.yml in a real container engine: from nothing to an mTLS request, and what a restart and `down` keep.
// COMPOSE=1 runs it, in a project of its own; ISTIO_VERSION, ISTIO_CRDS and COMPOSE_FILE say which mesh, as for anybody.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ApiClient, accessOf } from '../../harness/api-client.ts'
import { freePorts, missingPrograms, run, until } from '../../harness/child-process.ts'
import type { CallAnswer } from './running-mesh.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PROJECT = 'podless-test'
const KEPT = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kept', namespace: 'demo' } }

async function reasonToSkip(): Promise<string | false> {
  if (process.env.COMPOSE === undefined) return 'builds images and runs containers: set COMPOSE=1'
  const missing = missingPrograms('docker')
  if (missing !== false) return missing
  const { code, stderr } = await run('docker', ['compose', 'ls'])
  return code !== 0 && `docker compose: ${stderr.trim()}`
}

describe('docker-compose.yml in a container engine', { skip: await reasonToSkip() }, () => {
  let ports: readonly number[] = []

  async function compose(args: readonly string[]): Promise<string> {
    const [server, echoA, echoB] = ports.map(String)
    const { code, stdout, stderr } = await run('docker', ['compose', '-p', PROJECT, ...args], {
      cwd: ROOT,
      env: { PODLESS_PORT: server ?? '', ECHO_A_PORT: echoA ?? '', ECHO_B_PORT: echoB ?? '' },
    })
    assert.equal(code, 0, stderr)
    return stdout
  }
  /** echo-a reaches echo-b: the identity that echo-b was shown. */
  const identity = async (): Promise<string> =>
    await until('echo-a reaches echo-b', async () => {
      const response = await fetch(`http://127.0.0.1:${ports[1]}/call/echo-b`)
      const { status, answer } = (await response.json()) as CallAnswer
      return status === 200 ? answer.headers?.['x-forwarded-client-cert'] : undefined
    })
  /** What kubectl would be given. */
  const kubeconfig = async (): Promise<string> =>
    await compose(['exec', '-T', 'podless', 'podless', 'kubeconfig', 'admin'])

  before(async () => {
    ports = await freePorts(3)
    await compose(['down', '--volumes', '--remove-orphans'])
    await compose(['up', '--build', '--wait'])
  })
  after(async () => {
    await compose(['down', '--volumes', '--remove-orphans'])
  })

  it('takes two VMs to an mTLS request', async () => {
    assert.match(await identity(), /URI=spiffe:\/\/cluster\.local\/ns\/demo\/sa\/echo-a$/)
  })

  it('goes on without istiod, and through a restart of the server', async () => {
    await compose(['kill', 'istiod'])
    await compose(['restart', 'podless'])
    await identity()
    await compose(['up', '--wait'])
    await identity()
  })

  it('keeps objects and keys through down and up', async () => {
    const client = new ApiClient(accessOf(await kubeconfig()))
    try {
      const path = '/api/v1/namespaces/demo/configmaps'
      assert.equal((await client.send({ method: 'POST', path, body: KEPT })).status, 201)
      await compose(['down'])
      await compose(['up', '--wait'])
      assert.equal((await client.send({ path: `${path}/${KEPT.metadata.name}` })).status, 200)
    } finally {
      client.close()
    }
    await identity()
  })
})
