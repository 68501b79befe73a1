// A running mesh whose VMs lose their tokens: no certificate can be had by them, until the renewer brings new ones. Traffic
// goes on all the while. Skips with the reason where programs or rights are missing.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { missingPrograms, until } from '../../harness/child-process.ts'
import { bootstrapTemplate } from '../istiod/mesh-files.ts'
import { noNetworkReason } from '../istiod/mesh-network.ts'
import { RunningMesh } from './running-mesh.ts'

const SKIP =
  missingPrograms('pilot-discovery', 'pilot-agent', 'envoy', 'istioctl', 'curl') ||
  noNetworkReason() ||
  (bootstrapTemplate() === undefined && "absent: Envoy's bootstrap template of Istio")
const VM = 'echo-a'
const LONG_MS = 300_000
/** The agent asks for a certificate once a fiftieth of its life is over, every time with the token, never with the last. */
const AGENT_ENV = {
  SECRET_TTL: '15m',
  SECRET_GRACE_PERIOD_RATIO: '0.98',
  SECRET_GRACE_PERIOD_RATIO_JITTER: '0',
  PROV_CERT: '',
  CA_ROOT_CA: './etc/certs/root-cert.pem',
  XDS_ROOT_CA: './etc/certs/root-cert.pem',
}

describe('a VM whose token has expired', { skip: SKIP }, () => {
  let mesh: RunningMesh

  before(async () => {
    mesh = await RunningMesh.make()
    await mesh.up([], AGENT_ENV)
  })
  after(async () => {
    await mesh.close()
  })

  const inVm = (path: string): string => join(mesh.data, 'mesh', VM, path)
  const token = (): Promise<string> => readFile(inVm('var/lib/podless/istio-token'), 'utf8')
  const serial = async (): Promise<string> =>
    new X509Certificate(await readFile(inVm('etc/certs/cert-chain.pem'))).serialNumber
  const agentLog = (): Promise<string> =>
    readFile(join(mesh.data, 'mesh', `${VM}-agent.log`), 'utf8')

  /** The token as it would be a year later. */
  const expire = async (): Promise<string> => {
    const [header = '', claims = '', signature = ''] = (await token()).split('.')
    const parsed = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { exp: number }
    const past = { ...parsed, iat: 1_600_000_000, nbf: 1_600_000_000, exp: 1_600_086_400 }
    const expired = [header, Buffer.from(JSON.stringify(past)).toString('base64url'), signature]
    await writeFile(inVm('var/lib/podless/istio-token'), expired.join('.'))
    return expired.join('.')
  }

  it('gets no certificate by it, then another token and a certificate, and traffic goes on', async t => {
    const answers = new Map<number, number>()
    let running = true
    const traffic = (async () => {
      while (running) {
        const { status } = await mesh.call(VM, 'echo-b')
        answers.set(status, (answers.get(status) ?? 0) + 1)
      }
    })()
    const renewer = await mesh.pidOf(`${VM} renewer`)
    // The VM's renewer sleeps, as over a long night.
    process.kill(-renewer, 'SIGSTOP')
    const refused = (await agentLog()).split('Unauthenticated').length
    const expired = await expire()
    await until(
      'istiod refuses the agent a certificate',
      async () => (await agentLog()).split('Unauthenticated').length > refused || undefined,
      { timeoutMs: LONG_MS },
    )
    const last = await serial()
    process.kill(-renewer, 'SIGCONT')
    await until('the token is another', async () => (await token()) !== expired || undefined, {
      timeoutMs: LONG_MS,
    })
    await until('the certificate is another', async () => (await serial()) !== last || undefined, {
      timeoutMs: LONG_MS,
    })
    running = false
    await traffic
    t.diagnostic(`requests meanwhile: ${answers.get(200)}`)
    assert.deepEqual([...answers.keys()], [200])
  })
})
