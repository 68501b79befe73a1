// A variable made of other expressions' results, each computed once, when it is first read. Called by compile.ts.
// Ref: apiserver/pkg/cel/lazy/lazy.go, apiserver/pkg/admission/plugin/cel/composition.go

import { CelType, DYN } from './cel-type.ts'
import type { Declaration } from './declaration.ts'
import type { CelFields } from './index.ts'
import { CelError, CelMap, type CelValue } from './value.ts'

const TYPE_NAME = 'kubernetes.variables'
/** Results of these kinds keep their type; what comes from a schema is dyn, as its shape is not carried along. */
const TYPED: ReadonlySet<string> = new Set([
  ...['bool', 'int', 'uint', 'double', 'string', 'bytes', 'null'],
  ...['duration', 'timestamp', 'list', 'map'],
])

/** Declares an object with these fields. */
export function declareFields(fields: ReadonlyMap<string, CelType>): Declaration {
  const declaration = { maxElements: 0, minBytes: 0 }
  const declared: Declaration = {
    ...declaration,
    type: new CelType('struct', TYPE_NAME, [], {
      ...declaration,
      type: DYN,
      field: name => fieldOf(fields.get(name)),
    }),
  }
  return declared
}

function fieldOf(type: CelType | undefined): Declaration | undefined {
  if (type === undefined) return undefined
  return { type: TYPED.has(type.kind) ? type : DYN, maxElements: 0, minBytes: 0 }
}

/** The object at run time. */
export class LazyFields extends CelMap {
  readonly #fields: CelFields
  readonly #known = new Map<string, CelValue>()

  constructor(fields: CelFields) {
    super()
    this.#fields = fields
  }

  get size(): number {
    return this.#fields.size
  }

  find(key: CelValue): CelValue | undefined {
    if (typeof key !== 'string') return undefined
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const outcome = this.#fields.get(key)?.()
    if (outcome === undefined) return undefined
    const value = outcome.ok
      ? (outcome.value as CelValue)
      : new CelError(
          `composited variable ${JSON.stringify(key)} fails to evaluate: ${outcome.error}`,
        )
    this.#known.set(key, value)
    return value
  }

  keys(): Iterable<CelValue> {
    return this.#fields.keys()
  }
}
