// A network namespace per demo VM, so that each has its own address and its own ports for Envoy, and one for the bridge
// that joins them: there a machine's firewall has no rules. Docker's and ufw's drop what goes from one VM to another.
// Called by up.ts and down.ts; needs root and iproute2. All names follow from the mesh's id, so leftovers are found again.

import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
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
const BRIDGE = 'bridge'
/** Where iproute2 keeps network namespaces by name, and the kernel the devices of this one. */
const NAMESPACES = '/run/netns'
const LINKS = '/sys/class/net'

/** Makes the bridge on a /24 of 10.213.0.0/16 that no interface has yet. */
export async function openNetwork(id: string): Promise<MeshNetwork> {
  const subnet = freeSubnet()
  const address = `${subnet}.1`
  const netns = `${id}-bridge`
  await ip('netns', 'add', netns)
  await ip('-n', netns, 'link', 'add', BRIDGE, 'up', 'type', 'bridge')
  await ip('link', 'add', id, 'type', 'veth', 'peer', 'name', 'host', 'netns', netns)
  await ip('-n', netns, 'link', 'set', 'host', 'master', BRIDGE, 'up')
  await ip('addr', 'add', `${address}/24`, 'dev', id)
  await ip('link', 'set', id, 'up')
  let count = 0
  return {
    address,
    addVm: async name => {
      count += 1
      return await addVm({ id, bridge: netns, name, link: `vm${count}`, subnet, host: count + 1 })
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
  readonly id: string
  /** The namespace of the bridge. */
  readonly bridge: string
  readonly name: string
  readonly link: string
  readonly subnet: string
  readonly host: number
}

async function addVm({ id, bridge, name, link, subnet, host }: VmLink): Promise<VmNetwork> {
  const netns = `${id}-${name}`
  const address = `${subnet}.${host}`
  await ip('netns', 'add', netns)
  await ip(
    '-n',
    bridge,
    'link',
    'add',
    link,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    netns,
  )
  await ip('-n', bridge, 'link', 'set', link, 'master', BRIDGE, 'up')
  await ip('-n', netns, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
  for (const device of ['eth0', 'lo']) await ip('-n', netns, 'link', 'set', device, 'up')
  await ip('-n', netns, 'route', 'add', 'default', 'via', `${subnet}.1`)
  return { netns, address }
}

/** Ends what still runs in the mesh's namespaces and removes them and the bridge. Returns how many it removed. */
export async function closeNetwork(id: string): Promise<number> {
  const ours = (await listed(NAMESPACES)).filter(name => name.startsWith(`${id}-`))
  for (const name of ours) {
    const pids = (await ip('netns', 'pids', name)).split('\n').filter(line => line !== '')
    for (const pid of pids) signal(Number(pid), 'SIGKILL')
    await ip('netns', 'del', name)
  }
  for (const link of await listed(LINKS)) {
    // A namespace that is still going takes its veth with it, perhaps between the list and now.
    if (link.startsWith(id)) await run('ip', ['link', 'del', link]).catch(gone)
  }
  return ours.length
}

/** Read without `ip`: what has left nothing behind is cleared away without it too. */
async function listed(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

const gone = (error: unknown): void => {
  if (typeof (error as { code?: unknown }).code !== 'number') throw error
}

async function ip(...args: readonly string[]): Promise<string> {
  try {
    return (await run('ip', args)).stdout
  } catch (error) {
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string }
    throw new CliError(
      EXIT.unavailable,
      code === 'ENOENT'
        ? 'the network of the demo VMs needs ip, which is not on PATH: it is in the package iproute2, often in /usr/sbin'
        : `the network of the demo VMs needs root (sudo), or CAP_NET_ADMIN and CAP_SYS_ADMIN, and a kernel with bridges and veth: ip ${args.join(' ')}: ${stderr.trim()}`,
      { cause: error },
    )
  }
}
