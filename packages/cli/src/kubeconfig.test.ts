// podless kubeconfig: YAML and JSON say the same, and the credentials inside are the user's.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseYaml } from '@podless/apimachinery'
import { kubeconfig, openPki } from '@podless/identity'

const MAIN = join(import.meta.dirname, 'main.ts')
const data = await mkdtemp(join(tmpdir(), 'podless-kubeconfig-'))
after(() => rm(data, { recursive: true, force: true }))

interface Config {
  clusters: { cluster: { server: string } }[]
  users: { user: { 'client-certificate-data': string } }[]
}

function printed(...args: readonly string[]): string {
  const command = [MAIN, 'kubeconfig', 'ann', '--group', 'ops', '--data', data, ...args]
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return stdout
}

test('a kubeconfig in JSON has what the one in YAML has', async () => {
  const pki = await openPki(data, { now: new Date() })
  const admin = { name: 'podless', server: 'https://h:1', ca: pki.bundle, user: { token: 't' } }
  await writeFile(join(data, 'admin.kubeconfig'), kubeconfig(admin))
  const server = ['--server', 'https://mesh.example.com:6443']
  const json = printed(...server, '--output', 'json')
  const yaml = printed(...server)
  const configs = [JSON.parse(json), parseYaml(Buffer.from(yaml), { strict: true }).value]
  for (const { clusters, users } of configs as Config[]) {
    assert.equal(clusters[0]?.cluster.server, 'https://mesh.example.com:6443')
    const pem = Buffer.from(users[0]?.user['client-certificate-data'] ?? '', 'base64')
    assert.match(new X509Certificate(pem).subject, /^O=ops\nCN=ann\n/)
  }
})
