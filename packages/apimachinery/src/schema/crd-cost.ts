// How much the rules of a CRD's schema may cost: each alone, and all together. Called by crd-schema-validation.ts.
// Ref: apiextensions-apiserver/pkg/apis/apiextensions/validation/cel_validation.go

import { type FieldError, forbiddenField } from '../field-error.ts'
import { isObject, type JsonObject } from '../json.ts'
import { numberOf, textOf } from './raw-schema.ts'

/** The largest estimated cost of one expression, and of all expressions of a schema. */
export const EXPRESSION_COST_LIMIT = 10_000_000
export const SCHEMA_COST_LIMIT = 100_000_000
/** Expressions below one percent of the whole are not worth naming, nor are more than four. */
const NAMED_COST_MIN = SCHEMA_COST_LIMIT / 100
const NAMED_MAX = 4

/** Adds up estimated costs and remembers the most expensive expressions. */
export class CostTotal {
  #total = 0
  #expensive: { readonly path: string; readonly cost: number }[] = []

  add(path: string, cost: number): void {
    this.#total += cost
    if (cost < NAMED_COST_MIN) return
    this.#expensive.push({ path, cost })
    this.#expensive.sort((a, b) => b.cost - a.cost)
    this.#expensive.length = Math.min(this.#expensive.length, NAMED_MAX)
  }

  /** What to say when the schema at `path` costs too much. */
  errors(path: string): FieldError[] {
    if (this.#total <= SCHEMA_COST_LIMIT) return []
    const part =
      'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema'
    const whole = 'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema'
    return [
      ...this.#expensive.map(expression => forbiddenField(expression.path, part)),
      forbiddenField(path, costMessage(whole, this.#total, SCHEMA_COST_LIMIT)),
    ]
  }
}

/** One sentence for a cost over its limit, with advice. */
export function costMessage(what: string, cost: number, limit: number): string {
  const advice =
    'try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared'
  return `${what} exceeds budget by factor of ${factorText(cost / limit)} (${advice})`
}

function factorText(factor: number): string {
  if (factor > 100) return 'more than 100x'
  // Near one, more digits, so that no one reads "1.0x".
  return factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`
}

/** How many children one value of this schema can have of a kind; undefined when nothing limits it. */
export function maxChildren(schema: JsonObject): number | undefined {
  const limit = (key: string): number | undefined => {
    const value = numberOf(schema, key)
    return value === undefined ? undefined : Math.max(0, value)
  }
  switch (textOf(schema, 'type')) {
    case 'object':
      return isMap(schema) ? limit('maxProperties') : 1
    case 'array':
      return limit('maxItems')
    default:
      return 1
  }
}

function isMap(schema: JsonObject): boolean {
  return isObject(schema.additionalProperties) || typeof schema.additionalProperties === 'boolean'
}
