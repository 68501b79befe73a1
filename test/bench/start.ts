// From starting `./podless up` to its /readyz answering ok, on a fresh folder and on one that exists.
// Called by run.ts.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { type Child, freePorts, start as startChild } from '../harness/child-process.ts'
import { inFolder, median, percentile, report } from './measure.ts'

const RUNS = 10
const TIMEOUT_MS = 30_000
const PODLESS = fileURLToPath(new URL('../../podless', import.meta.url))
const REQUEST = 'GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'

export async function start(): Promise<void> {
  await inFolder(async folder => {
    const fresh: number[] = []
    for (let i = 0; i < RUNS; i += 1) fresh.push(await startOnce(folder, `fresh-${i}`))
    reportStart('fresh', fresh)
    const existing: number[] = []
    for (let i = 0; i < RUNS; i += 1) existing.push(await startOnce(folder, 'fresh-0'))
    reportStart('existing', existing)
  })
}

function reportStart(data: string, times: readonly number[]): void {
  report('start', { data, median: median(times), max: percentile(times, 1), runs: times })
}

async function startOnce(folder: string, name: string): Promise<number> {
  const [port = 0] = await freePorts(1)
  const started = performance.now()
  const child = startChild({
    name: 'podless',
    program: PODLESS,
    args: ['up', '--data', join(folder, name), '--port', String(port)],
    logFile: join(folder, `${name}.log`),
  })
  try {
    while (!(await isReady(port))) {
      if (!child.running || performance.now() - started > TIMEOUT_MS)
        throw new Error(failure(child))
      await sleep(2)
    }
    return Math.round(performance.now() - started)
  } finally {
    await child.stop()
  }
}

const failure = (child: Child): string => `podless up is not ready: ${child.log()}`

/** One request on a connection of its own. Whoever listens is podless, so its certificate is not checked. */
async function isReady(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  socket.on('error', () => socket.destroy())
  socket.on('secureConnect', () => socket.write(REQUEST))
  // Not `once`, which throws when the port is still closed.
  await new Promise(resolve => socket.on('close', resolve))
  return text.startsWith('HTTP/1.1 200')
}
