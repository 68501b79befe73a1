// Runs a real etcd of PATH on free ports with its data in a given folder. Used by tests and benchmarks of --store etcd.

import { join } from 'node:path'
import { type Child, freePorts, start, until } from './child-process.ts'

export interface EtcdServer {
  readonly child: Child
  /** URL for clients. */
  readonly endpoint: string
}

/** Resolves when it serves. `folder` must exist; log and data are kept in it. */
export async function startEtcd(folder: string): Promise<EtcdServer> {
  const [client, peer] = await freePorts(2)
  const endpoint = `http://127.0.0.1:${client}`
  const peerUrl = `http://127.0.0.1:${peer}`
  const child = start({
    name: 'etcd',
    program: 'etcd',
    args: [
      ...['--name', 'default', '--data-dir', join(folder, 'etcd')],
      ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', `default=${peerUrl}`],
    ],
    logFile: join(folder, 'etcd.log'),
  })
  await until('etcd is healthy', async () => {
    if (!child.running) throw new Error(`etcd ended: ${child.log()}`)
    return (await fetch(`${endpoint}/health`)).ok || undefined
  })
  return { child, endpoint }
}
