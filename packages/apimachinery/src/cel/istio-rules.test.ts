// Every validation rule of Istio's CRDs compiles, stays within the limits a CRD may have, and runs.
// Reads the CRDs from the data shared between checkouts; without them the test is skipped.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { loadAll } from 'js-yaml'
import { isObject, type JsonObject, type JsonValue } from '../json.ts'
import { compileSchema } from '../schema/structural.ts'
import { compileCel, PER_CALL_LIMIT, RUNTIME_COST_BUDGET, schemaCardinality } from './index.ts'

const CRDS = new URL('../../../../../shared/data/istio/crds.yaml', import.meta.url)
/**
 * Ref: apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go
 * StaticEstimatedCostLimit
 */
const ESTIMATED_COST_LIMIT = 10_000_000

interface Site {
  readonly rule: string
  readonly schema: JsonObject
  readonly path: string
}

function collect(schema: JsonValue | undefined, path: string, sites: Site[]): void {
  if (!isObject(schema)) return
  const rules = schema['x-kubernetes-validations']
  if (Array.isArray(rules)) {
    for (const rule of rules) sites.push({ rule: String((rule as JsonObject).rule), schema, path })
  }
  const { properties, items, additionalProperties } = schema
  if (isObject(properties)) {
    for (const [name, child] of Object.entries(properties)) collect(child, `${path}.${name}`, sites)
  }
  collect(items, `${path}[]`, sites)
  collect(additionalProperties, `${path}{}`, sites)
}

function readSites(): Site[] {
  const sites: Site[] = []
  for (const crd of loadAll(readFileSync(CRDS, 'utf8')) as JsonObject[]) {
    const spec = crd.spec as JsonObject
    for (const version of spec.versions as JsonObject[]) {
      const { openAPIV3Schema } = version.schema as JsonObject
      collect(openAPIV3Schema, `${(spec.names as JsonObject).kind}/${version.name}`, sites)
    }
  }
  return sites
}

/** A value that has what the schema requires and nothing else. */
function smallest(schema: JsonObject): JsonValue {
  switch (schema.type) {
    case 'object': {
      const object: JsonObject = {}
      const properties = (schema.properties ?? {}) as JsonObject
      for (const name of (schema.required ?? []) as string[]) {
        object[name] = smallest((properties[name] ?? {}) as JsonObject)
      }
      return object
    }
    case 'array':
      return []
    case 'boolean':
      return false
    case 'integer':
    case 'number':
      return 0
    default:
      return '1s'
  }
}

const skip = existsSync(CRDS) ? false : 'the CRDs are not beside this checkout'

describe("Istio's validation rules", { skip }, () => {
  const sites = skip === false ? readSites() : []

  it('are found', () => assert.ok(sites.length > 300, `${sites.length} rules`))

  for (const [i, { rule, schema, path }] of sites.entries()) {
    it(`${i + 1}. ${path}: ${rule.slice(0, 60)}`, () => {
      const node = compileSchema(schema)
      const variables = { self: { schema: node }, oldSelf: { schema: node } }
      const compiled = compileCel(rule, { variables, result: 'bool' })
      assert.ok(compiled.ok, compiled.ok ? '' : compiled.error)
      assert.ok(compiled.program.estimateCost().max <= ESTIMATED_COST_LIMIT)
      assert.ok((schemaCardinality(node, false) ?? 0) > 0)
      const self = smallest(schema)
      const budget = { remaining: RUNTIME_COST_BUDGET, perCall: PER_CALL_LIMIT }
      const result = compiled.program.evaluate({ self, oldSelf: self }, budget)
      // A made-up text may be no URL, but types and functions must fit.
      if (result.ok) assert.equal(typeof result.value, 'boolean')
      else assert.doesNotMatch(result.error, /no such (overload|attribute)|cost/)
    })
  }
})
