// What programs of both kinds of policies share: compiling for them, match conditions, and one evaluation's budget and
// variables. Called by policy-program.ts and mutation-program.ts. Ref: apiserver/pkg/admission/plugin/cel/filter.go,
// apiserver/pkg/admission/plugin/webhook/matchconditions/matcher.go

import {
  type AccessQuestion,
  type CelProgram,
  type CelVariable,
  type CompileOptions,
  type CostBudget,
  compileCel,
  type Evaluation,
  type JsonValue,
  PER_CALL_LIMIT,
  RUNTIME_COST_BUDGET,
} from '@podless/apimachinery'

export interface PolicyInput {
  readonly object: JsonValue
  readonly oldObject: JsonValue
  readonly request: JsonValue
  readonly namespaceObject: JsonValue
  /** null when the binding has none. */
  readonly params: JsonValue
  /** Asks what the request's user may do, or others. */
  readonly authorizer: AccessQuestion
  readonly 'authorizer.requestResource': AccessQuestion
}

/** A compiled expression, or why it is none, which is told when it is asked for. */
export type Step = { readonly program: CelProgram } | { readonly error: string }

export interface Expression {
  readonly expression: string
  readonly step: Step
}

/** The programs behind a policy's `variables`. */
export type VariablePrograms = ReadonlyMap<string, CelProgram | undefined>

export type Run = (step: Step, expression: string) => Evaluation

/** The rest of a policy is not looked at. */
export class OverBudget extends Error {
  override readonly name = 'OverBudget'
}

/** Match conditions get a quarter of the budget. Ref: apiserver/pkg/apis/cel/config.go */
const MATCH_COST_BUDGET = RUNTIME_COST_BUDGET / 4
const OVER_BUDGET =
  'validation failed due to running out of cost budget, no further validation rules will be run'

const NOT_COMPILED: Evaluation = { ok: false, error: 'compilation failed', cost: 0 }

/** Compiles an expression; one that does not compile fails when it is run. */
export function compileStep(
  expression: string,
  variables: Readonly<Record<string, CelVariable>>,
  result: CompileOptions['result'],
): Step {
  const compiled = compileCel(expression, { variables, result })
  if (compiled.ok) return { program: compiled.program }
  const why =
    compiled.reason === 'result-type'
      ? `must evaluate to ${result} but got ${compiled.error}`
      : `compilation failed: ${compiled.error}`
  return { error: `compilation error: ${why}` }
}

/** Evaluates with every variable computed once. What it returns throws OverBudget. */
export function evaluator(
  variables: VariablePrograms,
  input: PolicyInput,
  cost: number | CostBudget,
): Run {
  const budget: CostBudget =
    typeof cost === 'number' ? { remaining: cost, perCall: PER_CALL_LIMIT } : cost
  const fields = new Map<string, () => Evaluation>()
  const bindings = { ...input, variables: fields }
  for (const [name, program] of variables) {
    fields.set(name, () => program?.evaluate(bindings, budget) ?? NOT_COMPILED)
  }
  return (step, expression) => {
    if ('error' in step) return { ok: false, error: step.error, cost: 0 }
    const result = step.program.evaluate(bindings, budget)
    if (budget.remaining < 0) throw new OverBudget(OVER_BUDGET)
    if (result.ok) return result
    return { ...result, error: `expression '${expression}' resulted in error: ${result.error}` }
  }
}

/** Whether all match conditions hold, or why that cannot be said. Throws OverBudget. */
export function conditionsHold(
  conditions: readonly Expression[],
  variables: VariablePrograms,
  input: PolicyInput,
): boolean | { readonly error: string } {
  const run = evaluator(variables, { ...input, namespaceObject: null }, MATCH_COST_BUDGET)
  const errors: string[] = []
  const verdicts = conditions.map(({ expression, step }) => run(step, expression))
  for (const verdict of verdicts) {
    if (!verdict.ok) errors.push(verdict.error)
    else if (verdict.value !== true) return false
  }
  if (errors.length === 0) return true
  return { error: errors.length === 1 ? (errors[0] ?? '') : `[${errors.join(', ')}]` }
}
