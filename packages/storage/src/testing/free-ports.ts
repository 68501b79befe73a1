// Ports for programs that have to be told theirs, and may be started again on them. Called by etcd-process.ts and
// test/harness.

import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below the range from which the kernel gives ports to listeners and clients that name none: what runs beside a test
 * takes none of these by chance, also while the program is down.
 */
const FIRST = 10_000
const BLOCKS = 300
/** Test files that run side by side are processes of their own, each with a block. */
const BLOCK_PORTS = 20

let given = 0

/** Ports nobody listens on at any address, all different; none is given twice by one process. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = FIRST + ((process.pid * BLOCK_PORTS + given) % (BLOCKS * BLOCK_PORTS))
    given += 1
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port)
  try {
    await once(server, 'listening')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return false
  }
  await once(server.close(), 'close')
  return true
}
