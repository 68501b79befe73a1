// A ValidatingAdmissionPolicy's expressions, compiled once, and what they make of one request. Pure; called by
// validating-policy.ts. Ref: apiserver/pkg/admission/plugin/policy/validating/validator.go

import {
  type CostBudget,
  type Evaluation,
  PER_CALL_LIMIT,
  RUNTIME_COST_BUDGET,
} from '@podless/apimachinery'
import { type PolicyVariable, policyEnvironment } from './policy-environment.ts'
import {
  compileStep,
  conditionsHold,
  type Expression,
  evaluator,
  OverBudget,
  type PolicyInput,
  type Run,
  type Step,
  type VariablePrograms,
} from './policy-run.ts'

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

export interface PolicyProgram {
  /** What has to be told to whoever the binding's actions name. */
  validations(input: PolicyInput): readonly Denial[]
  /** Errors of audit annotations, which refuse whatever the actions say. */
  annotationErrors(input: PolicyInput): readonly Denial[]
}

const MESSAGE_BYTES_MAX = 5 * 1024

/** Compiles everything; an expression that does not compile fails when it is asked for. */
export function policyProgram(spec: PolicySpec): PolicyProgram {
  const { deciding, telling, programs } = policyEnvironment(spec.variables ?? [], {
    hasParams: spec.paramKind !== undefined,
  })
  const conditions = (spec.matchConditions ?? []).map(({ expression }) => ({
    expression,
    step: compileStep(expression, deciding, 'bool'),
  }))
  const rules = (spec.validations ?? []).map(rule => ({
    rule,
    step: compileStep(rule.expression, deciding, 'bool'),
    message:
      (rule.messageExpression ?? '') === ''
        ? undefined
        : compileStep(rule.messageExpression ?? '', telling, 'string'),
  }))
  const audits = (spec.auditAnnotations ?? []).map(({ valueExpression }) => ({
    expression: valueExpression,
    step: compileStep(valueExpression, telling, 'any'),
  }))
  return new Program(spec, { conditions, rules, audits, variables: programs })
}

interface Parts {
  readonly conditions: readonly Expression[]
  readonly rules: readonly {
    readonly rule: Validation
    readonly step: Step
    readonly message: Step | undefined
  }[]
  readonly audits: readonly Expression[]
  readonly variables: VariablePrograms
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
      const run = evaluator(this.#parts.variables, input, RUNTIME_COST_BUDGET)
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
      const matched = conditionsHold(this.#parts.conditions, this.#parts.variables, input)
      if (matched === false) return []
      return matched === true ? judge() : this.#failure(matched.error)
    } catch (error) {
      if (error instanceof OverBudget) return this.#failure(error.message)
      throw error
    }
  }

  /** Validations first, then all messages on what is left of the budget, as upstream spends it. */
  #judge(input: PolicyInput): readonly Denial[] {
    const budget: CostBudget = { remaining: RUNTIME_COST_BUDGET, perCall: PER_CALL_LIMIT }
    const run = evaluator(this.#parts.variables, input, budget)
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
}

/** A message that can be shown: one line of reasonable length. */
function messageOf(result: Evaluation | undefined): string {
  if (result?.ok !== true || typeof result.value !== 'string') return ''
  const text = result.value.trim()
  return Buffer.byteLength(text) > MESSAGE_BYTES_MAX || text.includes('\n') ? '' : text
}
