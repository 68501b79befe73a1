// Runs the suites of real client libraries against a server, each a project of its own with a `run` beside this file.
// A suite skips when its toolchain is absent or its libraries cannot be had in time; the slow ones run with
// CONFORMANCE=all.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { missingPrograms, run, start, until } from '../harness/child-process.ts'
import { startServer, type TestServer } from '../harness/server.ts'

interface Suite {
  /** The name of its folder. */
  readonly client: string
  readonly programs: readonly string[]
  /** Minutes of compilation when nothing is cached. */
  readonly slow?: true
}

const SUITES: readonly Suite[] = [
  { client: 'client-go', programs: ['go'] },
  { client: 'python', programs: ['python3'] },
  { client: 'javascript', programs: ['npm'] },
  { client: 'controller-runtime', programs: ['go'], slow: true },
  { client: 'kube-rs', programs: ['cargo'], slow: true },
  { client: 'fabric8', programs: ['java', 'mvn'], slow: true },
]
const ALL = process.env.CONFORMANCE === 'all'
/** Together, so that a registry which hangs leaves time for the checks. */
const PREPARE_MS_MAX = ALL ? 1_500_000 : 240_000

/** What a `run` ends with when its libraries cannot be fetched: EX_UNAVAILABLE. */
const UNAVAILABLE = 69

function reasonToSkip({ programs, slow }: Suite): string | false {
  if (slow && !ALL) return 'slow: set CONFORMANCE=all'
  return missingPrograms(...programs)
}

const programOf = ({ client }: Suite): string => join(import.meta.dirname, client, 'run')
/** Compilers take both cores; tests that run beside this one come first. */
const NICE = ['-n', '10']

/** Fetches and compiles what a suite needs. Returns why it cannot be had, or undefined. */
async function prepare(suite: Suite, folder: string): Promise<string | undefined> {
  const child = start({
    name: suite.client,
    program: 'nice',
    args: [...NICE, programOf(suite), 'prepare'],
    logFile: join(folder, `${suite.client}.log`),
  })
  const inTime = await until('it is prepared', () => !child.running || undefined, {
    timeoutMs: PREPARE_MS_MAX,
  }).catch(() => false)
  await child.stop('SIGKILL')
  if (!inTime) return `its libraries were not there within ${PREPARE_MS_MAX / 1000} s`
  const log = child.log().trim()
  if (child.exitCode === UNAVAILABLE)
    return `its libraries cannot be fetched: ${log.split('\n').at(-1)}`
  assert.equal(child.exitCode, 0, log)
  return undefined
}

describe('client libraries', () => {
  let server: TestServer
  let folder: string
  const missing = new Map<Suite, Promise<string | undefined>>()

  before(async () => {
    server = await startServer()
    folder = await mkdtemp(join(tmpdir(), 'podless-clients-'))
    for (const suite of SUITES)
      if (reasonToSkip(suite) === false) missing.set(suite, prepare(suite, folder))
    await Promise.allSettled(missing.values())
  })
  after(async () => {
    await server.close()
    await rm(folder, { recursive: true, force: true })
  })

  for (const suite of SUITES) {
    it(suite.client, { skip: reasonToSkip(suite) }, async t => {
      const reason = await missing.get(suite)
      if (reason !== undefined) {
        t.skip(reason)
        return
      }
      const env = { KUBECONFIG: server.kubeconfig, NODE: process.execPath }
      const { code, stdout, stderr } = await run('nice', [...NICE, programOf(suite)], { env })
      for (const line of stdout.trim().split('\n')) t.diagnostic(line)
      assert.equal(code, 0, `${stdout}${stderr}`)
    })
  }
})
