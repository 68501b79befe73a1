// What `podless mesh` says where it cannot run. Needs no programs and no rights.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

const MAIN = join(import.meta.dirname, '../main.ts')
const folder = mkdtempSync(join(tmpdir(), 'podless-no-mesh-'))
after(() => rmSync(folder, { recursive: true }))

const mesh = (...args: readonly string[]): { status: number | null; stderr: string } =>
  spawnSync(process.execPath, [MAIN, 'mesh', ...args, '--data', join(folder, 'data')], {
    encoding: 'utf8',
    env: { PATH: folder },
  })

test('mesh up names every missing program and its source, and makes nothing', () => {
  const { status, stderr } = mesh('up')
  assert.equal(status, 69)
  for (const name of ['pilot-discovery', 'pilot-agent', 'envoy', 'ip', 'curl', 'istioctl'])
    assert.match(stderr, new RegExp(`^  ${name}: \\S`, 'm'))
  assert.match(stderr, /istio\/pilot/)
  assert.match(stderr, /istio\/proxyv2/)
  assert.deepEqual(readdirSync(folder), [])
})

test('mesh up --from needs no istioctl', () => {
  assert.doesNotMatch(mesh('up', '--from', 'crds.yaml').stderr, /^ {2}istioctl:/m)
})

for (const vms of ['1', '10', 'two'])
  test(`mesh up --vms ${vms} is refused`, () => {
    const { status, stderr } = mesh('up', '--vms', vms)
    assert.equal(status, 64)
    assert.match(stderr, /--vms .* 2 to 9/)
  })

test('mesh status says that nothing runs and how to start', () => {
  const { status, stderr } = mesh('status')
  assert.equal(status, 69)
  assert.match(stderr, /podless mesh up starts one/)
})

test('mesh down has nothing to do where no mesh ran, also without ip', () => {
  const { status, stderr } = mesh('down')
  assert.equal(status, 0, stderr)
})

test('mesh status and down say what to do about a damaged state file', () => {
  const data = join(folder, 'data')
  mkdirSync(data)
  writeFileSync(join(data, 'mesh.json'), '{')
  for (const command of ['status', 'down']) {
    const { status, stderr } = mesh(command)
    assert.equal(status, 65)
    assert.match(stderr, /mesh\.json is damaged: .*podless mesh down/)
  }
})
