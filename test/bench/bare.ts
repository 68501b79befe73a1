// Starts the bare server, whose figures are the limit of this machine for what podless is built on. Called by load.ts.

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Child, start, until } from '../harness/child-process.ts'
import { inFolder } from './measure.ts'

const PROGRAM = fileURLToPath(new URL('bare-server.ts', import.meta.url))
const READY = /^ready (.+)$/m

export interface BareServer {
  readonly child: Child
  /** Path of a kubeconfig. */
  readonly kubeconfig: string
}

/** Runs the body against a fresh one and ends it afterwards. */
export async function withBareServer(body: (server: BareServer) => Promise<void>): Promise<void> {
  await inFolder(async folder => {
    const child = start({
      name: 'bare server',
      program: process.execPath,
      args: [PROGRAM, folder],
      logFile: join(folder, 'log'),
    })
    try {
      const kubeconfig = await until('the bare server is ready', () => {
        if (!child.running) throw new Error(`the bare server ended: ${child.log()}`)
        return READY.exec(child.log())?.[1]
      })
      await body({ child, kubeconfig })
    } finally {
      await child.stop()
    }
  })
}
