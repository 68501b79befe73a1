// Runs the CEL specification's conformance tests. What is left out is listed with its reason, as
// data.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { tests } from '@bufbuild/cel-spec/testdata/conformance.js'
import {
  type CelType,
  DYN,
  listOf,
  mapOf,
  optionalOf,
  paramType,
  readType,
  TYPE_NAMES,
} from './cel-type.ts'
import { check } from './checker.ts'
import { Frame } from './frame.ts'
import { FunctionSet } from './function.ts'
import { InstantiationError, plan } from './interpreter.ts'
import { KUBERNETES_FUNCTIONS, KUBERNETES_LIBRARIES } from './libraries/registry.ts'
import { ALL_MACROS } from './macros.ts'
import { parse } from './parser.ts'
import { Source } from './source.ts'
import { readDuration, readTimestamp } from './time.ts'
import {
  ArrayList,
  CelDuration,
  CelError,
  CelTimestamp,
  CelUint,
  type CelValue,
  equal,
  typeOf,
  ValueMap,
} from './value.ts'

/** Tests that are not run: any whose path or expression matches, and why. */
const LEFT_OUT: readonly {
  readonly path?: RegExp
  readonly expr?: RegExp
  readonly why: string
}[] = [
  {
    path: /^(proto2|proto3|proto2_ext|enums|wrappers|dynamic)\//,
    why: 'no protocol buffer messages',
  },
  { path: /\/(eq_wrapper|wrappers|legacy_nullable_types)\//, why: 'no protocol buffer wrappers' },
  {
    expr: /TestAllTypes|NestedTestAllTypes|google\.protobuf\.|proto\.hasExt/,
    why: 'no protocol buffer messages',
  },
  { path: /^block_ext\//, why: 'cel.block is made by optimizers only' },
  { path: /^math_ext\//, why: 'Kubernetes leaves the math extension out' },
  {
    path: /^string_ext\/format\/.*(scientific|infinity|NaN .*dec|(list|map) support|for (list|map)s)/i,
    why: 'Kubernetes formats as version 2 of the strings extension',
  },
  { path: /\/(last)?indexof_out_of_range$/, why: 'cel-go answers -1 instead' },
  { path: /\/duration_converters\/get_milliseconds$/, why: 'cel-go counts all milliseconds' },
  {
    path: /\/map_bad_key_type_(or_true|and_false)$/,
    why: 'Kubernetes refuses a literal key of a wrong type before it runs anything',
  },
  { path: /^encoders_ext\//, why: 'Kubernetes leaves the encoders extension out' },
  {
    path: /\/map_(key_float|value_repeat_key(_heterogeneous)?)$/,
    why: 'cel-go does not look for bad or repeated keys',
  },
  {
    path: /\/map_(null_entry_no_such_key|present_key_invalid_field)$/,
    why: 'Kubernetes counts a field of a non-object as absent',
  },
]

interface Original {
  readonly name: string
  readonly expr: string
  readonly [field: string]: unknown
}

type Data = Readonly<Record<string, unknown>>

interface Suite {
  readonly name: string
  readonly suites?: readonly Suite[]
  readonly tests?: readonly { readonly original: Original }[]
}

const NAMED: Readonly<Record<string, string>> = {
  BOOL: 'bool',
  INT64: 'int',
  UINT64: 'uint',
  DOUBLE: 'double',
  STRING: 'string',
  BYTES: 'bytes',
  TIMESTAMP: 'timestamp',
  DURATION: 'duration',
}

function readSpecType(data: Data): CelType {
  const [kind, value] = Object.entries(data)[0] as [string, Data]
  const inner = (field: string): CelType => readSpecType(value[field] as Data)
  switch (kind) {
    case 'primitive':
    case 'wellKnown':
      return readType(NAMED[String(value)] ?? 'dyn')
    case 'listType':
      return listOf(value.elemType === undefined ? DYN : inner('elemType'))
    case 'mapType':
      return mapOf(inner('keyType'), inner('valueType'))
    case 'typeParam':
      return paramType(String(value))
    case 'null':
      return readType('null_type')
    case 'type':
      return readType('type')
    case 'abstractType':
      return optionalOf(readSpecType((value.parameterTypes as Data[])[0] as Data))
    default:
      return DYN
  }
}

function readSpecValue(data: Data): CelValue {
  const [kind, value] = Object.entries(data)[0] as [string, never]
  switch (kind) {
    case 'int64Value':
      return BigInt(value)
    case 'uint64Value':
      return new CelUint(BigInt(value))
    case 'doubleValue':
      return Number(value)
    case 'bytesValue':
      return new Uint8Array(Buffer.from(value, 'base64'))
    case 'nullValue':
      return null
    case 'typeValue':
      return TYPE_NAMES.get(value) ?? readType('null_type')
    case 'listValue':
      return new ArrayList(
        (((value as Data).values as Data[] | undefined) ?? []).map(readSpecValue),
      )
    case 'mapValue':
      return readSpecMap(((value as Data).entries as Data[] | undefined) ?? [])
    case 'objectValue':
      return readSpecObject(value as Data)
    default:
      return value
  }
}

function readSpecMap(entries: readonly Data[]): ValueMap {
  const map = new ValueMap()
  for (const { key, value } of entries) {
    map.set(readSpecValue(key as Data), readSpecValue(value as Data))
  }
  return map
}

function readSpecObject(object: Data): CelValue {
  const text = String(object.value)
  if (String(object['@type']).endsWith('.Duration')) return readDuration(text)
  if (String(object['@type']).endsWith('.Timestamp')) return readTimestamp(text)
  throw new Error(`no value for ${String(object['@type'])}`)
}

interface Outcome {
  readonly problem?: string
  readonly type?: string
  readonly value?: CelValue
}

/** The suite declares functions of its own for tests of names; they only have types. */
function evaluate(test: Original): Outcome {
  const variables = new Map<string, CelType>()
  for (const entry of (test.typeEnv as Data[] | undefined) ?? []) {
    const ident = entry.ident as Data | undefined
    if (ident !== undefined) variables.set(String(entry.name), readSpecType(ident.type as Data))
  }
  const source = new Source(test.expr)
  const parsed = parse(source, ALL_MACROS)
  if (source.failed) return { problem: source.display() }
  const container = test.container as string | undefined
  const checked = check(parsed, source, {
    functions: functionsOf(test),
    variables,
    homogeneousLiterals: false,
    ...(container === undefined ? {} : { container }),
  })
  if (source.failed) return { problem: source.display() }
  const type = String(checked.types[checked.expr.id])
  if (test.checkOnly === true) return { type }
  const names = [...variables.keys()]
  const bindings = (test.bindings as Record<string, Data> | undefined) ?? {}
  const read = (index: number): CelValue => {
    const bound = bindings[names[index] as string]
    if (bound === undefined) return new CelError(`no such attribute(s): ${names[index]}`)
    return readSpecValue(bound.value as Data)
  }
  try {
    const planned = plan(checked, names)
    return { type, value: planned.run(new Frame(planned.slots, 1e9, read)) }
  } catch (error) {
    if (error instanceof InstantiationError) return { problem: error.message, type }
    throw error
  }
}

function functionsOf(test: Original): FunctionSet {
  const declared = ((test.typeEnv as Data[] | undefined) ?? []).filter(
    entry => entry.function !== undefined,
  )
  if (declared.length === 0) return KUBERNETES_FUNCTIONS
  const own = Object.fromEntries(
    declared.map(entry => {
      const overloads = (entry.function as Data).overloads as Data[]
      const table = overloads.map(overload => {
        const params = ((overload.params as Data[] | undefined) ?? []).map(readSpecType)
        const signature = `(${params.join(', ')}) -> ${readSpecType(overload.resultType as Data)}`
        return [String(overload.overloadId), [signature]] as const
      })
      return [String(entry.name), Object.fromEntries(table)]
    }),
  )
  return new FunctionSet([...KUBERNETES_LIBRARIES, own])
}

function same(actual: CelValue, expected: CelValue): boolean {
  if (typeof actual === 'number' && Number.isNaN(actual)) return Number.isNaN(expected)
  return typeOf(actual).kind === typeOf(expected).kind && equal(actual, expected) === true
}

function print(value: CelValue | undefined): string {
  if (value instanceof CelError) return `error ${value.message}`
  if (value instanceof CelDuration || value instanceof CelTimestamp) return `${value.nanos}ns`
  return `${value} (${value === undefined ? '' : typeOf(value)})`
}

/** Tests of expressions that were never checked; what our checker refuses can not be run. */
const UNCHECKED = 'unchecked expressions are never run'

function run(test: Original, skip: (why: string) => void): void {
  const outcome = evaluate(test)
  if (test.disableCheck === true && outcome.type === undefined && test.value !== undefined) {
    skip(UNCHECKED)
    return
  }
  const expected = test.evalError !== undefined ? 'error' : 'value'
  if (expected === 'error') {
    const failed = outcome.problem !== undefined || outcome.value instanceof CelError
    assert.ok(failed, `expected an error, got ${print(outcome.value)}`)
    return
  }
  assert.equal(outcome.problem, undefined)
  const typed = test.typedResult as Data | undefined
  const deduced = typed?.deducedType as Data | undefined
  if (deduced !== undefined) assert.equal(outcome.type, String(readSpecType(deduced)))
  if (test.checkOnly === true) return
  const value = (typed?.result ?? test.value) as Data | undefined
  const wanted = value === undefined ? true : readSpecValue(value)
  assert.ok(
    same(outcome.value as CelValue, wanted),
    `expected ${print(wanted)}, got ${print(outcome.value)}`,
  )
}

function walk(suite: Suite, path: string): void {
  describe(suite.name, () => {
    for (const { original } of suite.tests ?? []) {
      const reason = LEFT_OUT.find(
        rule =>
          (rule.path?.test(`${path}/${original.name}`) ?? true) &&
          (rule.expr?.test(`${JSON.stringify(original.typeEnv)} ${original.expr}`) ?? true),
      )
      it(original.name, { skip: reason?.why ?? false }, context => {
        run(original, why => context.skip(why))
      })
    }
    for (const child of suite.suites ?? []) {
      walk(child, path === '' ? child.name : `${path}/${child.name}`)
    }
  })
}

walk(tests as unknown as Suite, '')
