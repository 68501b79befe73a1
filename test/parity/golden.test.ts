// Requests with the answers that Kubernetes' own machinery gave to them, sent to podless. Needs the recordings that lie
// beside the repository in ../shared/golden; differences.ts names the steps that differ on purpose.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startServer } from '../harness/server.ts'
import { DIFFERENCES } from './differences.ts'

const GOLDEN = join(import.meta.dirname, '../../../shared/golden')
const RUNNER = join(GOLDEN, 'run.mjs')

interface Step {
  readonly area: string
  readonly scenario: string
  readonly id: string
  readonly pass: boolean
  readonly diffs: readonly { readonly path: string; expected: unknown; got: unknown }[]
}

const skip = existsSync(RUNNER) ? false : 'there are no recordings in ../shared/golden'

test('podless answers as the recorded server did', { skip }, async t => {
  const server = await startServer()
  try {
    const steps = await compare(server.kubeconfig, join(server.directory, 'steps.json'))
    assert.ok(steps.length > 0, 'the runner compared nothing')
    const differing = new Map(steps.filter(step => !step.pass).map(step => [nameOf(step), step]))
    t.diagnostic(`${steps.length - differing.size} of ${steps.length} steps are equal`)
    const unlisted = [...differing].filter(([name]) => !Object.hasOwn(DIFFERENCES, name))
    assert.deepEqual(unlisted.map(describe), [])
    const mended = Object.keys(DIFFERENCES).filter(name => !differing.has(name))
    assert.deepEqual(mended, [], 'these differ no more: take them off the list')
  } finally {
    await server.close()
  }
})

async function compare(kubeconfig: string, report: string): Promise<readonly Step[]> {
  const runner = spawn(
    process.execPath,
    [
      ...[RUNNER, 'compare', '--kubeconfig', kubeconfig, '--json', report],
      ...['--scenarios', join(GOLDEN, 'scenarios'), '--golden', join(GOLDEN, 'recorded')],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  await once(runner, 'exit')
  const { steps } = JSON.parse(await readFile(report, 'utf8')) as { steps: Step[] }
  return steps
}

const nameOf = ({ area, scenario, id }: Step): string => `${area}/${scenario}/${id}`

function describe([name, { diffs }]: readonly [string, Step]): string {
  const first = diffs.map(({ path, expected, got }) => `${path}: expected ${expected}, got ${got}`)
  return `${name}: ${first.slice(0, 3).join('; ')}`
}
