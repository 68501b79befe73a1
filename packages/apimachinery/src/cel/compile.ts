// From the text of an expression to a program: parse, check, plan. Called through index.ts.
// Ref: apiextensions-apiserver/pkg/apiserver/schema/cel/compilation.go

import type { JsonValue } from '../json.ts'
import type { SchemaNode } from '../schema/node.ts'
import { AccessQuestion } from './authorization.ts'
import { type CelType, DYN, optionalOf, readType } from './cel-type.ts'
import { type Checked, check } from './checker.ts'
import { estimate } from './cost.ts'
import { CostExceeded } from './cost-limit.ts'
import { type Declaration, declareSchema } from './declaration.ts'
import { DEVICE } from './device.ts'
import { declareFields, LazyFields } from './fields.ts'
import { Frame } from './frame.ts'
import type {
  CelBinding,
  CelProgram,
  CelVariable,
  Compiled,
  CompileOptions,
  CostBudget,
  CostEstimate,
  Evaluation,
} from './index.ts'
import { InstantiationError, type Planned, plan } from './interpreter.ts'
import { KUBERNETES_FUNCTIONS, PATCH_FUNCTIONS } from './libraries/registry.ts'
import { checkLiterals } from './literal-checks.ts'
import { ALL_MACROS, KUBERNETES_MACROS } from './macros.ts'
import { parse } from './parser.ts'
import { patchType } from './patch-types.ts'
import { fromJson, fromSchema } from './schema-value.ts'
import { Source } from './source.ts'
import { CelError, CelOptional, type CelValue, NONE } from './value.ts'

interface Variable {
  readonly name: string
  readonly type: CelType
  readonly declaration: Declaration | undefined
  /** Converts what is bound to it. */
  readonly read: (bound: CelBinding) => CelValue
}

/** Results that only an expression with patch types can have. */
const PATCH_RESULTS: ReadonlySet<CompileOptions['result']> = new Set(['Object', 'list(JSONPatch)'])

/** Compiles an expression with the functions and macros Kubernetes offers. */
export function compileCel(expression: string, options: CompileOptions): Compiled {
  const variables: Variable[] = []
  for (const [name, variable] of Object.entries(options.variables)) {
    const declared = declareVariable(name, variable)
    if (declared === undefined) {
      const error = 'failed to convert to declType for CEL validation rules'
      return { ok: false, reason: 'declaration', error }
    }
    variables.push(declared)
  }
  const source = new Source(expression)
  const parsed = parse(source, options.binds === true ? ALL_MACROS : KUBERNETES_MACROS)
  if (source.failed) return { ok: false, reason: 'compilation', error: source.display() }
  const makesPatch = PATCH_RESULTS.has(options.result)
  const checked = check(parsed, source, {
    functions: makesPatch ? PATCH_FUNCTIONS : KUBERNETES_FUNCTIONS,
    variables: new Map(variables.map(({ name, type }) => [name, type])),
    homogeneousLiterals: false,
    ...(makesPatch ? { constructed: patchType } : {}),
  })
  if (!source.failed) checkLiterals(checked, source)
  if (source.failed) return { ok: false, reason: 'compilation', error: source.display() }
  const type = checked.types[checked.expr.id]
  if (options.result !== 'any' && !options.result.split(' or ').includes(String(type))) {
    return { ok: false, reason: 'result-type', error: String(type) }
  }
  return makeProgram(checked, variables)
}

function makeProgram(checked: Checked, variables: readonly Variable[]): Compiled {
  try {
    const names = variables.map(({ name }) => name)
    const program = new Program(checked, variables, plan(checked, names))
    return { ok: true, program, usesOldSelf: program.references('oldSelf') }
  } catch (error) {
    if (!(error instanceof InstantiationError)) throw error
    return { ok: false, reason: 'instantiation', error: error.message }
  }
}

/** Types with fields that no schema describes. */
const OBJECTS: ReadonlyMap<string, Declaration> = new Map([['kubernetes.DRADevice', DEVICE]])

function declareVariable(name: string, variable: CelVariable): Variable | undefined {
  if (typeof variable === 'string') {
    const read = (bound: CelBinding) =>
      bound === undefined
        ? missing(name)
        : bound instanceof AccessQuestion
          ? bound
          : fromJson(bound as JsonValue)
    const declaration = OBJECTS.get(variable)
    return { name, type: declaration?.type ?? readType(variable), declaration, read }
  }
  if ('fields' in variable) {
    const types = [...variable.fields].map(
      ([field, program]) => [field, program instanceof Program ? program.type : DYN] as const,
    )
    const { type } = declareFields(new Map(types))
    const read = (bound: CelBinding) =>
      bound instanceof Map ? new LazyFields(bound) : missing(name)
    return { name, type, declaration: undefined, read }
  }
  const isWrapped = 'schema' in variable
  const schema = isWrapped ? variable.schema : variable
  const optional = isWrapped && variable.optional === true
  const declaration = declaredRoot(schema, isWrapped && variable.resourceRoot === true)
  if (declaration === undefined) return undefined
  const type = optional ? optionalOf(declaration.type) : declaration.type
  const read = (bound: CelBinding): CelValue => {
    if (bound === undefined) return optional ? NONE : missing(name)
    const value = fromSchema(bound as JsonValue, schema)
    return optional && !(value instanceof CelError) ? new CelOptional(value) : value
  }
  return { name, type, declaration, read }
}

/** self and oldSelf have one type, so that they can be compared; so do rules of one schema. */
const roots = new WeakMap<SchemaNode, Map<boolean, Declaration | undefined>>()

function declaredRoot(schema: SchemaNode, resourceRoot: boolean): Declaration | undefined {
  let known = roots.get(schema)
  if (known === undefined) {
    known = new Map()
    roots.set(schema, known)
  }
  if (!known.has(resourceRoot)) {
    known.set(resourceRoot, declareSchema(schema, 'selfType', resourceRoot))
  }
  return known.get(resourceRoot)
}

function missing(name: string): CelError {
  return new CelError(`no such attribute(s): ${name}`)
}

class Program implements CelProgram {
  readonly #checked: Checked
  readonly #variables: readonly Variable[]
  readonly #planned: Planned
  readonly #referenced: ReadonlySet<string>

  constructor(checked: Checked, variables: readonly Variable[], planned: Planned) {
    this.#checked = checked
    this.#variables = variables
    this.#planned = planned
    const names = [...checked.references.values()].flatMap(reference =>
      reference.kind === 'variable' ? [reference.name] : [],
    )
    this.#referenced = new Set(names)
  }

  evaluate(bindings: Readonly<Record<string, CelBinding>>, budget: CostBudget): Evaluation {
    const frame = new Frame(this.#planned.slots, budget.perCall, index => {
      const variable = this.#variables[index] as Variable
      const bound = Object.hasOwn(bindings, variable.name) ? bindings[variable.name] : undefined
      return variable.read(bound)
    })
    const outcome = run(this.#planned, frame)
    const { cost } = frame
    budget.remaining -= cost
    if (outcome instanceof CostExceeded) {
      return { ok: false, error: outcome.message, cost, budgetExceeded: 'call' }
    }
    const over = budget.remaining < 0 ? ({ budgetExceeded: 'total' } as const) : undefined
    if (outcome instanceof CelError) return { ok: false, error: outcome.message, cost, ...over }
    if (over !== undefined) return { ok: false, error: OVER_BUDGET, cost, ...over }
    return { ok: true, value: outcome, cost }
  }

  /** What evaluate() returns when it is ok. */
  get type(): CelType {
    return this.#checked.types[this.#checked.expr.id] ?? DYN
  }

  get resultType(): string {
    return String(this.type)
  }

  estimateCost(): CostEstimate {
    const declarations = new Map(
      this.#variables.map(({ name, declaration }) => [name, declaration] as const),
    )
    return estimate(this.#checked, declarations)
  }

  references(name: string): boolean {
    return this.#referenced.has(`.${name}`)
  }
}

const OVER_BUDGET =
  'validation failed due to running out of cost budget, no further validation rules will be run'

function run(planned: Planned, frame: Frame): CelValue | CostExceeded {
  try {
    return planned.run(frame)
  } catch (error) {
    if (error instanceof CostExceeded) return error
    throw error
  }
}
