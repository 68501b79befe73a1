// The network of `mesh up` on a machine whose firewall drops what it would forward, as Docker and ufw set it up: a network
// namespace stands for that machine. Skips with the reason where programs, rights or the kernel's module are missing.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { missingPrograms, run } from '../../harness/child-process.ts'
import { noNetworkReason } from '../istiod/mesh-network.ts'

const SKIP =
  missingPrograms('ip', 'iptables') ||
  noNetworkReason() ||
  // With this module the firewall sees what a bridge passes on.
  (!existsSync('/proc/sys/net/bridge') && 'not in this kernel: br_netfilter')
const MACHINE = `pdlfw${process.pid}`
const NETWORK = join(import.meta.dirname, '../../../packages/cli/src/mesh/network.ts')
const LISTEN =
  "require('node:net').createServer().listen(8080, () => process.stdout.write('listens'))"
/** A connection that the firewall drops fails when the kernel gives up. */
const CONNECT =
  "require('node:net').connect(8080, process.argv[1]).on('connect', function () { this.end() })"
const PROBE = `
  import { spawn, spawnSync } from 'node:child_process'
  import { once } from 'node:events'
  import { closeNetwork, openNetwork } from ${JSON.stringify(NETWORK)}
  const network = await openNetwork('${MACHINE}')
  const [one, other] = [await network.addVm('one'), await network.addVm('other')]
  const node = (vm, ...args) => ['netns', 'exec', vm.netns, process.execPath, '-e', ...args]
  const server = spawn('ip', node(other, ${JSON.stringify(LISTEN)}))
  await once(server.stdout, 'data')
  const client = spawnSync('ip', node(one, ${JSON.stringify(CONNECT)}, other.address), {
    stdio: 'inherit',
  })
  process.exitCode = client.status ?? 1
  await closeNetwork('${MACHINE}')
`

describe('a machine that forwards nothing', { skip: SKIP }, () => {
  const ip = async (...args: readonly string[]): Promise<void> => {
    const { code, stdout, stderr } = await run('ip', args)
    assert.equal(code, 0, stdout + stderr)
  }
  const onMachine = ['netns', 'exec', MACHINE]

  before(async () => {
    await ip('netns', 'add', MACHINE)
    await ip(...onMachine, 'iptables', '-P', 'FORWARD', 'DROP')
    await ip(...onMachine, 'sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=1')
  })
  after(async () => {
    await ip('netns', 'del', MACHINE)
  })

  it('lets one demo VM reach another', async () => {
    await ip(...onMachine, process.execPath, '--input-type=module', '-e', PROBE)
  })
})
