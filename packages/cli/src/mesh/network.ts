// A bridge and one network namespace per demo VM, so that each has its own address and its own ports for Envoy.
// Called by up.ts and down.ts; needs root and iproute2. All names follow from the mesh's id, so leftovers are found again.

import { execFile } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import { promisify } from 'node:util'
import { CliError, EXIT } from '../exit.ts'
import { signal } from './processes.ts'

const run = promisify(execFile)

export interface VmNetwork {
  readonly netns: string
  readonly address: string
}

export interface MeshNetwork {
  /** This machine's address on the bridge: where VMs find istiod. */
  readonly address: string
  /** A namespace with one address, joined to the bridge. */
  addVm(name: string): Promise<VmNetwork>
}

const SUBNETS = 256

/** Makes the bridge on a /24 of 10.213.0.0/16 that no interface has yet. */
export async function openNetwork(id: string): Promise<MeshNetwork> {
  const subnet = freeSubnet()
  const address = `${subnet}.1`
  await ip('link', 'add', id, 'type', 'bridge')
  await ip('addr', 'add', `${address}/24`, 'dev', id)
  await ip('link', 'set', id, 'up')
  let count = 0
  return {
    address,
    addVm: async name => {
      count += 1
      return await addVm(id, { name, link: `${id}v${count}`, subnet, host: count + 1 })
    },
  }
}

function freeSubnet(): string {
  const used = Object.values(networkInterfaces()).flatMap(all => all ?? [])
  for (let third = 0; third < SUBNETS; third += 1) {
    const subnet = `10.213.${third}`
    if (!used.some(({ address }) => address.startsWith(`${subnet}.`))) return subnet
  }
  throw new CliError(EXIT.unavailable, 'every subnet of 10.213.0.0/16 is in use; free one of them')
}

interface VmLink {
  readonly name: string
  readonly link: string
  readonly subnet: string
  readonly host: number
}

async function addVm(id: string, { name, link, subnet, host }: VmLink): Promise<VmNetwork> {
  const netns = `${id}-${name}`
  const address = `${subnet}.${host}`
  await ip('netns', 'add', netns)
  await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns)
  await ip('link', 'set', link, 'master', id, 'up')
  await ip('-n', netns, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
  for (const device of ['eth0', 'lo']) await ip('-n', netns, 'link', 'set', device, 'up')
  await ip('-n', netns, 'route', 'add', 'default', 'via', `${subnet}.1`)
  return { netns, address }
}

/** Ends what still runs in the mesh's namespaces and removes them and the bridge. Returns how many it removed. */
export async function closeNetwork(id: string): Promise<number> {
  const listed = await ip('netns', 'list')
  const names = listed.split('\n').map(line => line.split(' ')[0] ?? '')
  const ours = names.filter(name => name.startsWith(`${id}-`))
  for (const name of ours) {
    const pids = (await ip('netns', 'pids', name)).split('\n').filter(line => line !== '')
    for (const pid of pids) signal(Number(pid), 'SIGKILL')
    await ip('netns', 'del', name)
  }
  const links = (await ip('-o', 'link', 'show')).matchAll(/^\d+: ([^:@]+)/gm)
  for (const [, link = ''] of links) {
    // A namespace that is still going takes its veth with it, perhaps between the list and now.
    if (link.startsWith(id)) await run('ip', ['link', 'del', link]).catch(gone)
  }
  return ours.length
}

const gone = (error: unknown): void => {
  if (typeof (error as { code?: unknown }).code !== 'number') throw error
}

async function ip(...args: readonly string[]): Promise<string> {
  try {
    return (await run('ip', args)).stdout
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string }
    throw new CliError(
      EXIT.unavailable,
      `the network of the demo VMs cannot be made: ip ${args.join(' ')}: ${stderr.trim()}; it needs root (or CAP_NET_ADMIN and CAP_SYS_ADMIN) and a kernel with bridges and veth`,
      { cause: error },
    )
  }
}
