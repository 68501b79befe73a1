// The script that makes a container a demo VM, with a stand-in for Istio's agent: what it lays out, which credential it
// leaves the agent, and that a VM ends with its app. The real agent runs it in test/conformance/mesh.

import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { run } from '../test/harness/child-process.ts'

const SCRIPT = join(import.meta.dirname, '../deploy/compose/vm.sh')
const BUNDLE = ['mesh.yaml', 'root-cert.pem', 'istio-token']
/** Prints what it was given, lets the app end, and then waits to be ended as the real one does. */
const AGENT = `#!/bin/sh
echo "$PROV_CERT $INSTANCE_IP $ISTIO_METAJSON_LABELS $(ls etc/certs | xargs)"
touch told
exec sleep 600
`
const APP = ['sh', '-c', 'until [ -e told ]; do sleep 0.1; done']
const CERTIFICATE = 'etc/certs/cert-chain.pem'
const MADE = new Date('2026-01-02T00:00:00Z')

describe('vm.sh', () => {
  let folder: string
  const at = (path: string): string => join(folder, path)
  /** What the agent printed, once app and agent have ended. */
  async function vm(): Promise<string> {
    const env = { PATH: `${at('bin')}:${process.env.PATH}`, INSTANCE_IP: '10.0.0.7' }
    return (await run('sh', [SCRIPT, at('echo-a'), ...APP], { cwd: folder, env })).stdout
  }
  const haveCertificate = async (made: Date): Promise<void> => {
    await mkdir(at('etc/certs'), { recursive: true })
    await writeFile(at(CERTIFICATE), 'a certificate')
    await utimes(at(CERTIFICATE), made, made)
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'podless-vm-sh-'))
    for (const name of ['bin', 'echo-a']) await mkdir(at(name))
    for (const name of BUNDLE) await writeFile(at(`echo-a/${name}`), name)
    await utimes(at('echo-a/istio-token'), MADE, MADE)
    await writeFile(at('echo-a/cluster.env'), `ISTIO_METAJSON_LABELS='{"app":"echo-a"}'\n`)
    await writeFile(at('bin/pilot-agent'), AGENT)
    await chmod(at('bin/pilot-agent'), 0o755)
  })
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  it('lays the bundle out, becomes the agent, and ends with the app', async () => {
    const labels = `{"podless.dev/vm":"echo-a","app":"echo-a"}`
    assert.equal(await vm(), `./etc/certs 10.0.0.7 ${labels} root-cert.pem\n`)
    assert.equal(await readFile(at('etc/istio/config/mesh'), 'utf8'), 'mesh.yaml')
    assert.equal(await readFile(at('var/run/secrets/tokens/istio-token'), 'utf8'), 'istio-token')
  })

  it('leaves the agent the certificate it got by the token', async () => {
    await haveCertificate(new Date(MADE.getTime() + 60_000))
    assert.match(await vm(), / cert-chain\.pem root-cert\.pem\n$/)
  })

  it('begins anew with a token made since', async () => {
    await haveCertificate(new Date(MADE.getTime() - 60_000))
    assert.match(await vm(), /} root-cert\.pem\n$/)
  })
})
