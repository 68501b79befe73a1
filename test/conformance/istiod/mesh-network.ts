// One network namespace per VM, so that two meshes on one machine share neither ports nor addresses, and one for the
// bridge that joins them: in the machine's own, the firewall rules of Docker or ufw drop what one VM sends another.
// Needs root and iproute2; istiod.test.ts skips its VM parts with noNetworkReason() where they are missing.

import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { findProgram, run, undoAtExit } from '../../harness/child-process.ts'

export interface MeshNetwork {
  /** The machine's own address on the bridge: where VMs find istiod. */
  readonly address: string
  /** A new namespace with one address. */
  addVm(): Promise<VmNetwork>
  close(): Promise<void>
}

export interface VmNetwork {
  readonly namespace: string
  readonly address: string
}

const ATTEMPTS = 20
const CAP_NET_ADMIN = 12n
const CAP_SYS_ADMIN = 21n

/** Why no network namespace can be made here; false when one can. */
export function noNetworkReason(): string | false {
  if (findProgram('ip') === undefined) return 'not on PATH: ip (a VM gets a network namespace)'
  const held = /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  const has = (bit: bigint): boolean => ((BigInt(`0x${held}`) >> bit) & 1n) === 1n
  return !(has(CAP_NET_ADMIN) && has(CAP_SYS_ADMIN)) && 'making network namespaces needs root'
}

/** Makes the bridge on a /24 of 10.213.0.0/16 that no interface has yet. */
export async function openMeshNetwork(): Promise<MeshNetwork> {
  const id = `pl${process.pid.toString(36)}${randomInt(36 ** 2).toString(36)}`
  const bridge = `${id}b`
  const namespaces: string[] = []
  const remove = (): void => {
    for (const namespace of [...namespaces.splice(0), bridge])
      spawnSync('ip', ['netns', 'del', namespace])
    spawnSync('ip', ['link', 'del', id])
  }
  const forget = undoAtExit(remove)
  await ip('netns', 'add', bridge)
  await ip('-n', bridge, 'link', 'add', 'bridge', 'up', 'type', 'bridge')
  await ip('link', 'add', id, 'type', 'veth', 'peer', 'name', 'host', 'netns', bridge)
  await ip('-n', bridge, 'link', 'set', 'host', 'master', 'bridge', 'up')
  const subnet = await claimSubnet(id)
  await ip('link', 'set', id, 'up')
  return {
    address: `${subnet}.1`,
    addVm: async () => {
      const number = namespaces.length + 2
      const namespace = `${id}v${number}`
      await ip('netns', 'add', namespace)
      namespaces.push(namespace)
      const link = `vm${number}`
      const peer = ['peer', 'name', 'eth0', 'netns', namespace]
      await ip('-n', bridge, 'link', 'add', link, 'type', 'veth', ...peer)
      await ip('-n', bridge, 'link', 'set', link, 'master', 'bridge', 'up')
      const inside = ['-n', namespace]
      await ip(...inside, 'addr', 'add', `${subnet}.${number}/24`, 'dev', 'eth0')
      await ip(...inside, 'link', 'set', 'eth0', 'up')
      await ip(...inside, 'link', 'set', 'lo', 'up')
      await ip(...inside, 'route', 'add', 'default', 'via', `${subnet}.1`)
      return { namespace, address: `${subnet}.${number}` }
    },
    close: async () => {
      remove()
      forget()
    },
  }
}

async function claimSubnet(device: string): Promise<string> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const subnet = `10.213.${randomInt(256)}`
    const { stdout } = await run('ip', ['-o', '-4', 'addr', 'show'])
    if (stdout.includes(` ${subnet}.`)) continue
    await ip('addr', 'add', `${subnet}.1/24`, 'dev', device)
    return subnet
  }
  throw new Error('every tried subnet of 10.213.0.0/16 is in use')
}

async function ip(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await run('ip', args)
  if (code !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`)
}
