// Runs the real command line as a child process, as a user would. Used by the end-to-end tests and the benchmarks.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ApiAccess, accessOf } from './api-client.ts'
import { type Child, run, start, until } from './child-process.ts'

const PODLESS = fileURLToPath(new URL('../../podless', import.meta.url))
const READY = /podless: ready on (\S+) in (\d+) ms/

export interface PodlessOptions {
  /** Its data folder; the log is written beside it. */
  readonly data: string
  readonly port: number
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Podless {
  readonly child: Child
  readonly url: string
  /** Path of the admin's kubeconfig. */
  readonly kubeconfig: string
  readonly admin: ApiAccess
}

/** Runs `podless up` and waits for its ready line. */
export async function startPodless({ data, port, args, env }: PodlessOptions): Promise<Podless> {
  const logFile = `${data}.log`
  await writeFile(logFile, '')
  const child = start({
    name: 'podless',
    program: PODLESS,
    args: ['up', '--data', data, '--port', String(port), ...(args ?? [])],
    logFile,
    ...(env === undefined ? {} : { env }),
  })
  const url = await until('podless up says that it is ready', () => {
    if (!child.running) throw new Error(`podless up ended: ${child.log()}`)
    return READY.exec(child.log())?.[1]
  })
  const kubeconfig = join(data, 'admin.kubeconfig')
  return { child, url, kubeconfig, admin: accessOf(await readFile(kubeconfig, 'utf8')) }
}

/** Runs a command of podless to its end and returns what it prints. Throws when it fails. */
export async function podless(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(PODLESS, args)
  if (code !== 0) throw new Error(`podless ${args.join(' ')} ended with ${code}: ${stderr}`)
  return stdout
}
