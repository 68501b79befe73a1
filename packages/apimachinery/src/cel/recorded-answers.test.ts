// Compares whole answers - compile errors, estimates, values, runtime errors and costs to the unit
// - with what Kubernetes' own machinery answered for the same rules and data.
// recorded-answers.data.json holds those answers.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { JsonObject } from '../json.ts'
import { compileSchema } from '../schema/structural.ts'
import { type Compiled, compileCel, PER_CALL_LIMIT, RUNTIME_COST_BUDGET } from './index.ts'

interface Answer {
  readonly rule: string
  /** Upstream's detail of a rule that does not compile. */
  readonly error?: string
  readonly maxCost?: number
  readonly usesOldSelf?: boolean
  readonly cost?: number
  readonly value?: boolean
  readonly evaluationError?: string
}

interface Recording {
  readonly groups: readonly {
    readonly schema: JsonObject
    readonly self?: JsonObject
    readonly oldSelf?: JsonObject
    readonly answers: readonly Answer[]
  }[]
}

const file = new URL('recorded-answers.data.json', import.meta.url)
const recording = JSON.parse(readFileSync(file, 'utf8')) as Recording

const DETAILS = {
  compilation: 'compilation failed: ',
  instantiation: 'program instantiation failed: ',
  declaration: '',
} as const

function detailOf(compiled: Compiled): string | undefined {
  if (compiled.ok) return undefined
  if (compiled.reason === 'result-type') return 'cel expression must evaluate to a bool'
  return DETAILS[compiled.reason] + compiled.error
}

for (const [i, { schema, self, oldSelf, answers }] of recording.groups.entries()) {
  const node = compileSchema(schema)
  describe(`recorded answers, schema ${i + 1}`, () => {
    for (const expected of answers) {
      it(expected.rule, () => {
        const variables = { self: { schema: node }, oldSelf: { schema: node } }
        const compiled = compileCel(expected.rule, { variables, result: 'bool' })
        assert.equal(detailOf(compiled), expected.error)
        if (!compiled.ok) return
        assert.equal(compiled.usesOldSelf, expected.usesOldSelf === true)
        const { max } = compiled.program.estimateCost()
        // Saturated estimates lose their last digits in a double.
        assert.ok(Math.abs(max - (expected.maxCost ?? 0)) <= max * 1e-9, `estimate ${max}`)
        if (self === undefined || oldSelf === undefined) return
        const budget = { remaining: RUNTIME_COST_BUDGET, perCall: PER_CALL_LIMIT }
        const result = compiled.program.evaluate({ self, oldSelf }, budget)
        assert.equal(result.ok ? undefined : result.error, expected.evaluationError)
        if (result.ok) assert.equal(result.value, expected.value)
        assert.equal(result.cost, expected.cost)
        assert.equal(budget.remaining, RUNTIME_COST_BUDGET - result.cost)
      })
    }
  })
}
