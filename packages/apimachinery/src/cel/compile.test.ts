// What callers rely on beyond single answers: limits that hold, lazy reading of data, variables of
// all kinds, and that no text makes the compiler throw.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { JsonObject, JsonValue } from '../json.ts'
import type { SchemaNode } from '../schema/node.ts'
import { compileSchema } from '../schema/structural.ts'
import { type CelProgram, compileCel, PER_CALL_LIMIT, RUNTIME_COST_BUDGET } from './index.ts'

const SCHEMA = compileSchema({
  type: 'object',
  properties: {
    count: { type: 'integer' },
    text: { type: 'string' },
    items: { type: 'array', items: { type: 'integer' } },
    nested: { type: 'object', properties: { deep: { type: 'string' } } },
  },
})

function program(rule: string, schema: SchemaNode = SCHEMA): CelProgram {
  const compiled = compileCel(rule, { variables: { self: schema }, result: 'bool' })
  assert.ok(compiled.ok, compiled.ok ? '' : compiled.error)
  return compiled.program
}

function newBudget(remaining = RUNTIME_COST_BUDGET) {
  return { remaining, perCall: PER_CALL_LIMIT }
}

describe('cost limits', () => {
  const self = { items: Array.from({ length: 2_000 }, (_, i) => i) }

  it('stop a nested comprehension over a large list', () => {
    const rule = 'self.items.all(a, self.items.all(b, self.items.all(c, a + b + c >= 0)))'
    const budget = newBudget()
    const result = program(rule).evaluate({ self }, budget)
    assert.equal(result.ok, false)
    assert.equal(result.ok ? '' : result.budgetExceeded, 'call')
    assert.equal(result.ok ? '' : result.error, 'operation cancelled: actual cost limit exceeded')
    assert.ok(result.cost > PER_CALL_LIMIT && result.cost < PER_CALL_LIMIT * 1.1)
    assert.equal(budget.remaining, RUNTIME_COST_BUDGET - result.cost)
  })

  it('say when what remained for all rules is used up', () => {
    const budget = newBudget(100)
    const result = program('self.items.all(a, a >= 0)').evaluate({ self }, budget)
    assert.equal(result.ok ? '' : result.budgetExceeded, 'total')
    assert.ok(budget.remaining < 0)
  })

  it('hold for calls that would build something huge', () => {
    const doubled = "self.text.replace('', self.text).replace('', self.text).replace('', self.text)"
    const rules = [
      'lists.range(1000000000000).size() > 0',
      'self.items.sort().size() > 0',
      `${doubled}.size() > 0`,
    ]
    for (const rule of rules) {
      const data = { ...self, text: 'x'.repeat(5_000) }
      const result = program(rule).evaluate({ self: data }, newBudget())
      assert.equal(result.ok ? '' : result.budgetExceeded, 'call', rule)
    }
  })

  it('do not keep a macro over a large list from collecting it in one pass', () => {
    const size = 20_000
    const large = { items: Array.from({ length: size }, (_, i) => i) }
    const rule = `self.items.map(x, x).filter(x, x >= 0).size() == ${size}`
    const result = program(rule).evaluate({ self: large }, newBudget())
    assert.deepEqual(result.ok && result.value, true)
  })
})

describe('regular expressions', () => {
  it('take linear time where backtracking would not end', () => {
    const text = `${'a'.repeat(5_000)}!`
    const result = program("!self.text.matches('^(a+)+$')").evaluate(
      { self: { text } },
      newBudget(),
    )
    assert.deepEqual(result.ok && result.value, true)
  })

  it('have the syntax of RE2', () => {
    const rule = String.raw`self.text.matches(r'(?i)^HELLO\z')`
    const result = program(rule).evaluate({ self: { text: 'hello' } }, newBudget())
    assert.deepEqual(result.ok && result.value, true)
    const refused = compileCel("self.text.matches(r'(?=x)')", {
      variables: { self: SCHEMA },
      result: 'bool',
    })
    assert.match(refused.ok ? '' : refused.error, /invalid matches argument/)
  })
})

describe('variables', () => {
  it('are read only where the expression looks', () => {
    const trap = new Proxy({} as JsonObject, {
      get: () => assert.fail('read without need'),
      ownKeys: () => assert.fail('listed without need'),
    })
    const self: JsonObject = { count: 1, nested: trap }
    const result = program('self.count == 1 || self.nested.deep == "x"').evaluate(
      { self },
      newBudget(),
    )
    assert.deepEqual(result.ok && result.value, true)
  })

  it('may be optional, and absent then', () => {
    const variables = { self: SCHEMA, oldSelf: { schema: SCHEMA, optional: true } }
    const rule = 'oldSelf.optMap(old, old.count).orValue(0) < self.count'
    const compiled = compileCel(rule, { variables, result: 'bool' })
    assert.ok(compiled.ok && compiled.usesOldSelf && compiled.program.references('self'))
    const run = (bindings: Record<string, JsonValue>) => {
      const result = compiled.program.evaluate(bindings, newBudget())
      return result.ok ? result.value : result.error
    }
    assert.equal(run({ self: { count: 1 } }), true)
    assert.equal(run({ self: { count: 1 }, oldSelf: { count: 1 } }), false)
  })

  it('of plain types take JSON as it is', () => {
    const options = { variables: { n: 'int', any: 'dyn' }, result: 'string' } as const
    const compiled = compileCel('string(n) + string(any.x[0])', options)
    assert.ok(compiled.ok)
    const result = compiled.program.evaluate({ n: 3, any: { x: [true] } }, newBudget())
    assert.deepEqual(result.ok && result.value, '3true')
  })

  it('that are not bound are an error only when read', () => {
    const bindings = {}
    const unread = program('true || self.count == 1').evaluate(bindings, newBudget())
    assert.equal(unread.ok, true)
    const read = program('self.count == 1').evaluate(bindings, newBudget())
    assert.equal(read.ok ? '' : read.error, 'no such attribute(s): self')
  })

  it('have the fields of every resource at a root, and no others', () => {
    const bare = compileSchema({ type: 'object', properties: { spec: { type: 'object' } } })
    const self = { schema: bare, resourceRoot: true }
    const compile = (rule: string) => compileCel(rule, { variables: { self }, result: 'bool' })
    assert.ok(compile('self.metadata.name == self.kind && has(self.metadata.generateName)').ok)
    const refused = compile('self.metadata.labels.size() == 0')
    assert.match(refused.ok ? '' : refused.error, /undefined field 'labels'/)
  })

  it('whose schema expressions can not see are refused', () => {
    const self = compileSchema({ 'x-kubernetes-preserve-unknown-fields': true })
    const refused = compileCel('true', { variables: { self }, result: 'bool' })
    assert.equal(refused.ok ? '' : refused.reason, 'declaration')
  })

  it('may have a schema that contains itself', () => {
    const properties = new Map<string, SchemaNode>([['name', { type: 'string' }]])
    const node: SchemaNode = { type: 'object', properties, required: ['child'] }
    properties.set('child', node)
    properties.set('children', { type: 'array', items: node })
    const rule = 'self.child.child.children.all(c, c.name.size() < 3)'
    const estimate = program(rule, node).estimateCost()
    assert.ok(estimate.max > 0)
  })
})

describe('compileCel()', () => {
  const parts = fc.constantFrom(
    ...['self', '.', 'count', '(', ')', '[', ']', '{', '}', ',', ':', '?', '&&', '||', '!', '-'],
    ...[
      '"a"',
      "'",
      'r"',
      '1',
      '1.5',
      '0x',
      '7u',
      'all',
      'map',
      'has',
      'x',
      ' ',
      '==',
      'in',
      '%d',
      '`',
    ],
  )

  it('answers for any text without throwing', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.array(parts, { maxLength: 24 }).map(list => list.join('')),
    )
    fc.assert(
      fc.property(texts, text => {
        const compiled = compileCel(text, { variables: { self: SCHEMA }, result: 'any' })
        if (!compiled.ok) return compiled.error !== '' || compiled.reason !== 'compilation'
        compiled.program.estimateCost()
        compiled.program.evaluate({ self: { count: 1, items: [1] } }, newBudget(100_000))
        return true
      }),
      { numRuns: 2_000 },
    )
  })

  it('computes what JavaScript computes for integers in range', () => {
    const small = fc.integer({ min: -1_000_000, max: 1_000_000 })
    const rule = program('self.items[0] * self.items[1] - self.items[2] == self.count')
    fc.assert(
      fc.property(small, small, small, (a, b, c) => {
        const self = { items: [a, b, c], count: a * b - c }
        const result = rule.evaluate({ self }, newBudget())
        return result.ok && result.value === true
      }),
    )
  })
})
