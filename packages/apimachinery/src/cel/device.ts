// What a selector of devices knows of `device`: its fields, and how large their values get. Called by compile.ts.
// Ref: dynamic-resource-allocation/cel/compile.go

import { ANY, BOOL, CelType, mapOf, QUANTITY, STRING } from './cel-type.ts'
import type { Declaration } from './declaration.ts'

/** Attributes and capacities of a device together, and so of each domain. */
const PROPERTIES_MAX = 32
const DOMAIN_BYTES_MAX = 63
const NAME_BYTES_MAX = 32
const VALUE_BYTES_MAX = 64
const DRIVER_BYTES_MAX = 63

const text = (maxElements: number): Declaration => ({ type: STRING, maxElements, minBytes: 2 })

/** Properties by their names, within their domains. */
function byDomain(element: Declaration, hasKnownFields: boolean): Declaration {
  const inner: Declaration = {
    type: mapOf(STRING, element.type),
    maxElements: PROPERTIES_MAX,
    minBytes: 2,
    key: text(NAME_BYTES_MAX),
    element,
    ...(hasKnownFields ? { field: () => element } : {}),
  }
  return {
    type: mapOf(STRING, inner.type),
    maxElements: PROPERTIES_MAX,
    minBytes: 2,
    key: text(DOMAIN_BYTES_MAX),
    element: inner,
  }
}

const attribute: Declaration = { type: ANY, maxElements: VALUE_BYTES_MAX, minBytes: 1 }
const amount: Declaration = { type: QUANTITY, maxElements: 0, minBytes: 8 }

const FIELDS: ReadonlyMap<string, Declaration> = new Map([
  ['driver', text(DRIVER_BYTES_MAX)],
  ['allowMultipleAllocations', { type: BOOL, maxElements: 1, minBytes: 4 }],
  // NOTE: the sizes of attributes are known also where they are fields, those of capacities are not.
  ['attributes', byDomain(attribute, true)],
  ['capacity', byDomain(amount, false)],
])

const described = { maxElements: 0, minBytes: 2, field: (name: string) => FIELDS.get(name) }

/** The variable `device`. */
export const DEVICE: Declaration = {
  ...described,
  get type() {
    return DEVICE_TYPE
  },
}

const DEVICE_TYPE = new CelType('struct', 'kubernetes.DRADevice', [], DEVICE)
