// The sources of CRDs, the mesh config and istiod's environment.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { CliError } from '../exit.ts'
import { readCrds } from './crd-source.ts'
import { istiodSettings } from './env.ts'
import { discoveryAddressOf, meshConfig } from './mesh-config.ts'

const crd = (name: string): string =>
  `---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: ${name}\n  annotations:\n    text: |\n      a\n      --- b\n`

test('readCrds() takes the CRDs of a file or a folder and nothing else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'podless-crds-'))
  try {
    const service = '---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n'
    await writeFile(join(folder, 'a.yaml'), crd('one') + service + crd('two'))
    await writeFile(join(folder, 'b.json'), JSON.stringify({ kind: 'List' }))
    await writeFile(join(folder, 'notes.txt'), crd('three'))
    const names = async (from: string): Promise<unknown[]> =>
      (await readCrds(from)).map(({ metadata }) => (metadata as { name: string }).name)
    assert.deepEqual(await names(folder), ['one', 'two'])
    assert.deepEqual(await names(join(folder, 'a.yaml')), ['one', 'two'])
    for (const from of [join(folder, 'b.json'), join(folder, 'absent')])
      await assert.rejects(readCrds(from), CliError)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('readCrds() says what kept it from a URL', async () => {
  // A port that fetch refuses by itself: no network is asked.
  await assert.rejects(readCrds('http://127.0.0.1:9/crds.yaml'), /cannot be fetched: bad port; /)
})

test('meshConfig() keeps what is there and sets what is asked', () => {
  const made = meshConfig(undefined, { discoveryAddress: '10.0.0.1:15012' })
  assert.equal(discoveryAddressOf(made), '10.0.0.1:15012')
  assert.match(made, /^ingressControllerMode: "OFF"$/m)
  const written = '# mine\naccessLogFile: /dev/stdout\ntrustDomain: old\n'
  assert.equal(meshConfig(written, {}), written)
  const changed = meshConfig(written, { trustDomain: 'new' })
  assert.match(changed, /^accessLogFile: \/dev\/stdout$/m)
  assert.match(changed, /^trustDomain: new$/m)
})

test('istiodSettings() adds what was asked for', () => {
  const base = {
    revision: 'default',
    clusterId: 'Kubernetes',
    name: 'istiod-0',
    istiodKubeconfig: 'k',
  }
  const { env, args } = istiodSettings(base)
  assert.equal(env.POD_NAME, 'istiod-0')
  assert.equal(env.ENABLE_LEADER_ELECTION, undefined)
  assert.deepEqual(args.slice(0, 2), ['--kubeconfig', 'k'])
  const more = istiodSettings({ ...base, single: true, stockEnvoy: true }).env
  assert.equal(more.ENABLE_LEADER_ELECTION, 'false')
  assert.equal(more.PILOT_ENABLE_METADATA_EXCHANGE, 'false')
})
