// Runs the suites of real client libraries against a server, each a project of its own with a `run` beside this file.
// A suite skips when its toolchain is absent or its libraries cannot be fetched; the slow ones run with CONFORMANCE=all.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { missingPrograms, run } from '../harness/child-process.ts'
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

/** What a `run` ends with when its libraries cannot be fetched: EX_UNAVAILABLE. */
const UNAVAILABLE = 69

function reasonToSkip({ programs, slow }: Suite): string | false {
  if (slow && process.env.CONFORMANCE !== 'all') return 'slow: set CONFORMANCE=all'
  return missingPrograms(...programs)
}

describe('client libraries', { timeout: 600_000 }, () => {
  let server: TestServer

  before(async () => {
    server = await startServer()
  })
  after(async () => await server.close())

  for (const suite of SUITES) {
    it(suite.client, { skip: reasonToSkip(suite) }, async t => {
      const program = join(import.meta.dirname, suite.client, 'run')
      const env = { KUBECONFIG: server.kubeconfig, NODE: process.execPath }
      // Compilers take both cores; tests that run beside this one come first.
      const { code, stdout, stderr } = await run('nice', ['-n', '10', program], { env })
      if (code === UNAVAILABLE) {
        t.skip(`its libraries cannot be fetched: ${stderr.trim().split('\n').at(-1)}`)
        return
      }
      for (const line of stdout.trim().split('\n')) t.diagnostic(line)
      assert.equal(code, 0, `${stdout}${stderr}`)
    })
  }
})
