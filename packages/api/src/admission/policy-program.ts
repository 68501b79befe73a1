// A ValidatingAdmissionPolicy's expressions, compiled once, and what they make of one request. Pure; called by
// validating-policy.ts. Ref: apiserver/pkg/admission/plugin/policy/validating/validator.go

import {
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
import { type PolicyVariable, policyEnvironment } from '../policy-environment.ts'

export interface PolicySpec {
  readonly paramKind?: { readonly apiVersion: string; readonly kind: string }
  readonly failurePolicy?: 'Fail' | 'Ignore'
  readonly matchConditions?: readonly { readonly name: string; readonly expression: string }[]
  readonly variables?: readonly PolicyVariable[]
  readonly validations?: readonly Validation[]
  readonly auditAnnotations?: readonly { readonly key: string; readonly valueExpression: string }[]
}

interface Validation {
  readonly expression: string
  readonly message?: string
  readonly messageExpression?: string
  readonly reason?: string
}

/** A refusal: by a validation, or by something that went wrong under failurePolicy Fail. */
export interface Denial {
  readonly message: string
  /** A Status reason; Invalid unless the validation names another. */
  readonly reason?: string
}

export interface PolicyInput {
  readonly object: JsonValue
  readonly oldObject: JsonValue
  readonly request: JsonValue
  readonly namespaceObject: JsonValue
  /** null when the binding has none. */
  readonly params: JsonValue
}

export interface PolicyProgram {
  /** What has to be told to whoever the binding's actions name. */
  validations(input: PolicyInput): readonly Denial[]
  /** Errors of audit annotations, which refuse whatever the actions say. */
  annotationErrors(input: PolicyInput): readonly Denial[]
}

/** Match conditions get a quarter of the budget. Ref: apiserver/pkg/apis/cel/config.go */
const MATCH_COST_BUDGET = RUNTIME_COST_BUDGET / 4
const MESSAGE_BYTES_MAX = 5 * 1024

type Step = { readonly program: CelProgram } | { readonly error: string }

class OverBudget extends Error {}

/** Compiles everything; an expression that does not compile fails when it is asked for. */
export function policyProgram(spec: PolicySpec): PolicyProgram {
  const { deciding, telling, programs } = policyEnvironment(spec.variables ?? [], {
    hasParams: spec.paramKind !== undefined,
  })
  const compile = (
    expression: string,
    variables: Readonly<Record<string, CelVariable>>,
    result: CompileOptions['result'],
  ): Step => {
    const compiled = compileCel(expression, { variables, result })
    if (compiled.ok) return { program: compiled.program }
    const why =
      compiled.reason === 'result-type'
        ? `must evaluate to ${result}`
        : `compilation failed: ${compiled.error}`
    return { error: `compilation error: ${why}` }
  }
  const conditions = (spec.matchConditions ?? []).map(({ expression }) => ({
    expression,
    step: compile(expression, deciding, 'bool'),
  }))
  const rules = (spec.validations ?? []).map(rule => ({
    rule,
    step: compile(rule.expression, deciding, 'bool'),
    message:
      (rule.messageExpression ?? '') === ''
        ? undefined
        : compile(rule.messageExpression ?? '', telling, 'string'),
  }))
  const audits = (spec.auditAnnotations ?? []).map(({ valueExpression }) => ({
    expression: valueExpression,
    step: compile(valueExpression, telling, 'any'),
  }))
  return new Program(spec, { conditions, rules, audits, variables: programs })
}

interface Expression {
  readonly expression: string
  readonly step: Step
}

interface Parts {
  readonly conditions: readonly Expression[]
  readonly rules: readonly {
    readonly rule: Validation
    readonly step: Step
    readonly message: Step | undefined
  }[]
  readonly audits: readonly Expression[]
  readonly variables: ReadonlyMap<string, CelProgram>
}

class Program implements PolicyProgram {
  readonly #fails: boolean
  readonly #parts: Parts

  constructor(spec: PolicySpec, parts: Parts) {
    this.#fails = spec.failurePolicy !== 'Ignore'
    this.#parts = parts
  }

  validations(input: PolicyInput): readonly Denial[] {
    return this.#guarded(input, () => this.#judge(input))
  }

  annotationErrors(input: PolicyInput): readonly Denial[] {
    return this.#guarded(input, () => {
      const run = this.#evaluator(input, RUNTIME_COST_BUDGET)
      return this.#parts.audits.flatMap(({ expression, step }) => {
        const result = run(step, expression)
        if (!result.ok) return this.#failure(result.error)
        if (typeof result.value === 'string' || result.value === null) return []
        const message = `valueExpression '${expression}' resulted in unsupported return type: Return type must be either string or null.`
        return [{ message }]
      })
    })
  }

  /** Nothing when a match condition says no; what went wrong when one cannot say. */
  #guarded(input: PolicyInput, judge: () => readonly Denial[]): readonly Denial[] {
    try {
      const matched = this.#matches(input)
      if (matched === false) return []
      return matched === true ? judge() : this.#failure(matched.error)
    } catch (error) {
      if (error instanceof OverBudget) return this.#failure(error.message)
      throw error
    }
  }

  #matches(input: PolicyInput): boolean | { readonly error: string } {
    const run = this.#evaluator({ ...input, namespaceObject: null }, MATCH_COST_BUDGET)
    const errors: string[] = []
    const verdicts = this.#parts.conditions.map(({ expression, step }) => run(step, expression))
    for (const verdict of verdicts) {
      if (!verdict.ok) errors.push(verdict.error)
      else if (verdict.value !== true) return false
    }
    if (errors.length === 0) return true
    return { error: errors.length === 1 ? (errors[0] ?? '') : `[${errors.join(', ')}]` }
  }

  /** Validations first, then all messages on what is left of the budget, as upstream spends it. */
  #judge(input: PolicyInput): readonly Denial[] {
    const budget: CostBudget = { remaining: RUNTIME_COST_BUDGET, perCall: PER_CALL_LIMIT }
    const run = this.#evaluator(input, budget)
    const verdicts = this.#parts.rules.map(({ rule, step }) => run(step, rule.expression))
    const messages = this.#messages(run)
    return this.#parts.rules.flatMap(({ rule }, i) => {
      const verdict = verdicts[i]
      if (verdict?.ok !== true) return this.#failure(verdict?.error ?? '')
      if ('error' in messages) return this.#failure(messages.error)
      if (verdict.value === true) return []
      const message =
        messageOf(messages.texts[i]) ||
        (rule.message ?? '').trim() ||
        `failed expression: ${rule.expression.trim()}`
      return [{ message, reason: rule.reason ?? 'Invalid' }]
    })
  }

  #messages(run: Run): { texts: readonly (Evaluation | undefined)[] } | { error: string } {
    try {
      const texts = this.#parts.rules.map(({ rule, message }) =>
        message === undefined ? undefined : run(message, rule.messageExpression ?? ''),
      )
      return { texts }
    } catch (error) {
      if (error instanceof OverBudget)
        return { error: `failed messageExpression: ${error.message}` }
      throw error
    }
  }

  #failure(message: string): readonly Denial[] {
    return this.#fails ? [{ message }] : []
  }

  /** Evaluates with every variable computed once. Throws OverBudget. */
  #evaluator(input: PolicyInput, cost: number | CostBudget): Run {
    const budget: CostBudget =
      typeof cost === 'number' ? { remaining: cost, perCall: PER_CALL_LIMIT } : cost
    const fields = new Map<string, () => Evaluation>()
    const bindings = { ...input, variables: fields }
    for (const [name, program] of this.#parts.variables)
      fields.set(name, () => program.evaluate(bindings, budget))
    return (step, expression) => {
      if ('error' in step) return { ok: false, error: step.error, cost: 0 }
      const result = step.program.evaluate(bindings, budget)
      if (budget.remaining < 0) throw new OverBudget(OVER_BUDGET)
      if (result.ok) return result
      return { ...result, error: `expression '${expression}' resulted in error: ${result.error}` }
    }
  }
}

type Run = (step: Step, expression: string) => Evaluation

const OVER_BUDGET =
  'validation failed due to running out of cost budget, no further validation rules will be run'

/** A message that can be shown: one line of reasonable length. */
function messageOf(result: Evaluation | undefined): string {
  if (result?.ok !== true || typeof result.value !== 'string') return ''
  const text = result.value.trim()
  return Buffer.byteLength(text) > MESSAGE_BYTES_MAX || text.includes('\n') ? '' : text
}
