// Calls of functions: evaluates arguments, charges the cost, and chooses the overload that takes
// the values. Called by the interpreter. Ref: cel-go/interpreter/interpretable.go,
// cel-go/common/decls

import type { Evaluator, Frame } from './frame.ts'
import { accepts, type Overload } from './function.ts'
import { CelError, type CelValue, noSuchOverload, typeOf } from './value.ts'

type Dispatch = (args: readonly CelValue[]) => CelValue
export type Cost = (args: readonly CelValue[], result: () => CelValue) => number

/** All arguments are evaluated before an error among them ends the call. */
export function evaluateCall(
  frame: Frame,
  operands: readonly Evaluator[],
  dispatch: Dispatch,
  cost: Cost | undefined,
): CelValue {
  const args: CelValue[] = []
  let failed: CelError | undefined
  for (const operand of operands) {
    const value = operand(frame)
    if (failed === undefined && value instanceof CelError) failed = value
    args.push(value)
  }
  if (failed !== undefined) {
    const outcome = failed
    if (cost !== undefined) frame.charge(cost(args, () => outcome))
    return failed
  }
  if (cost === undefined) return dispatch(args)
  let result: CelValue | undefined
  // What a call costs is charged before it runs, unless it depends on the result.
  frame.charge(cost(args, () => (result = dispatch(args))))
  return result ?? dispatch(args)
}

/** For calls without a charge. */
export const free: Cost = () => 0

/**
 * Upstream evaluates some calls' arguments only up to the first error, and then charges nothing for
 * the call.
 */
export function stopsAtError(fn: string, constants: readonly (CelValue | undefined)[]): boolean {
  if (constants.length > 2 || fn === 'format') return true
  return PATTERN_FUNCTIONS.has(fn) && typeof constants[1] === 'string'
}

const PATTERN_FUNCTIONS: ReadonlySet<string> = new Set(['matches', 'find', 'findAll'])

/** Arguments are evaluated up to the first error, which is charged for only as the last one. */
export function evaluateUntilError(
  frame: Frame,
  operands: readonly Evaluator[],
  dispatch: Dispatch,
  cost: Cost,
): CelValue {
  const args: CelValue[] = []
  for (const operand of operands) {
    const value = operand(frame)
    args.push(value)
    if (!(value instanceof CelError)) continue
    if (args.length === operands.length) frame.charge(cost(args, () => value))
    return value
  }
  let result: CelValue | undefined
  frame.charge(cost(args, () => (result = dispatch(args))))
  return result ?? dispatch(args)
}

/** Calls the one overload that types have chosen, if the values are as those say. */
export function direct(name: string, overload: Overload): Dispatch {
  const { params, implementation } = overload
  if (implementation === undefined) return () => new CelError(`no such overload: ${name}`)
  const [first, second] = params
  if (params.length === 2 && first !== undefined && second !== undefined) {
    return args => {
      const [a, b] = args as [CelValue, CelValue]
      if (accepts(first, a) && accepts(second, b)) return implementation(a, b)
      return noOverload(name, args)
    }
  }
  return args => {
    for (let i = 0; i < args.length; i++) {
      if (!accepts(params[i] as Overload['params'][0], args[i] as CelValue)) {
        return noOverload(name, args)
      }
    }
    return implementation(...args)
  }
}

/** Chooses among several overloads by the values, when types could not. */
export function dispatcher(name: string, overloads: readonly Overload[]): Dispatch {
  return args => {
    for (const { params, implementation } of overloads) {
      if (implementation === undefined || params.length !== args.length) continue
      if (params.every((param, i) => accepts(param, args[i] as CelValue))) {
        return implementation(...args)
      }
    }
    return noOverload(name, args)
  }
}

/** Upstream words this in three ways, by how a function is implemented. */
function noOverload(name: string, args: readonly CelValue[]): CelError {
  const first = args[0]
  const kinds = OPERATOR_KINDS[name]
  if (kinds !== undefined && first !== undefined && !kinds.includes(typeOf(first).kind)) {
    return new CelError(`no such overload: ${name}`)
  }
  if (!/^[a-z]/i.test(name) || TEXT_TESTS.has(name)) return noSuchOverload()
  if (name === 'size') return new CelError(`no such overload: ${name}`)
  return new CelError(`no such overload: ${name}(${args.map(arg => typeOf(arg).name).join(', ')})`)
}

const ORDERED = 'bool int uint double string bytes duration timestamp'
/** What an operator's first operand may be; any other is refused by the operator's name. */
const OPERATOR_KINDS: Readonly<Record<string, string>> = {
  '_+_': 'int uint double string bytes list duration timestamp',
  '_-_': 'int uint double duration timestamp',
  '_*_': 'int uint double',
  '_/_': 'int uint double',
  '_%_': 'int uint',
  '-_': 'int double duration',
  '_<_': ORDERED,
  '_<=_': ORDERED,
  '_>_': ORDERED,
  '_>=_': ORDERED,
}

const TEXT_TESTS: ReadonlySet<string> = new Set(
  'startsWith endsWith contains matches find findAll'.split(' '),
)
