// A MutatingAdmissionPolicy's expressions, compiled once, and the patches they make of one request. Pure; called by
// mutating-policy.ts. Ref: apiserver/pkg/admission/plugin/policy/mutating/compilation.go

import {
  isObject,
  type JsonObject,
  misnamedObjects,
  NotJsonError,
  RUNTIME_COST_BUDGET,
  toExactJson,
  toJson,
} from '@podless/apimachinery'
import { type PolicyVariable, policyEnvironment } from './policy-environment.ts'
import {
  compileStep,
  conditionsHold,
  type Expression,
  evaluator,
  OverBudget,
  type PolicyInput,
  type VariablePrograms,
} from './policy-run.ts'

export interface MutationSpec {
  readonly paramKind?: { readonly apiVersion: string; readonly kind: string }
  readonly matchConditions?: readonly { readonly name: string; readonly expression: string }[]
  readonly variables?: readonly PolicyVariable[]
  readonly mutations?: readonly Mutation[]
}

interface Mutation {
  readonly patchType: 'ApplyConfiguration' | 'JSONPatch'
  readonly applyConfiguration?: { readonly expression: string }
  readonly jsonPatch?: { readonly expression: string }
}

/** What a mutation wants of an object, or why that is not known. */
export type Patch =
  | { readonly type: 'configuration'; readonly value: JsonObject }
  | { readonly type: 'operations'; readonly value: readonly JsonObject[] }
  | { readonly type: 'error'; readonly message: string }

export interface MutationProgram {
  /** Whether the match conditions hold, or why that cannot be said. */
  matches(input: PolicyInput): boolean | { readonly error: string }
  /** The mutations in order; each is to see what those before it made of the object. */
  readonly patches: readonly ((input: PolicyInput) => Patch)[]
}

/** Compiles everything; an expression that does not compile fails when it is asked for. */
export function mutationProgram(spec: MutationSpec): MutationProgram {
  const { deciding, programs } = policyEnvironment(spec.variables ?? [], {
    hasParams: spec.paramKind !== undefined,
  })
  const conditions = (spec.matchConditions ?? []).map(({ expression }) => ({
    expression,
    step: compileStep(expression, deciding, 'bool'),
  }))
  const patches = (spec.mutations ?? []).map(mutation => {
    const isJsonPatch = mutation.patchType === 'JSONPatch'
    const { expression = '' } =
      (isJsonPatch ? mutation.jsonPatch : mutation.applyConfiguration) ?? {}
    const step = compileStep(expression, deciding, isJsonPatch ? 'list(JSONPatch)' : 'Object')
    return (input: PolicyInput) => run({ expression, step }, isJsonPatch, programs, input)
  })
  const matches = (input: PolicyInput): ReturnType<MutationProgram['matches']> =>
    withinBudget(
      () => conditionsHold(conditions, programs, input),
      error => ({ error }),
    )
  return { matches, patches }
}

function run(
  { expression, step }: Expression,
  isJsonPatch: boolean,
  variables: VariablePrograms,
  input: PolicyInput,
): Patch {
  return withinBudget(() => {
    const result = evaluator(variables, input, RUNTIME_COST_BUDGET)(step, expression)
    if (!result.ok) return failed(result.error)
    return isJsonPatch ? operationsOf(result.value) : configurationOf(result.value)
  }, failed)
}

function withinBudget<T>(judge: () => T, refuse: (why: string) => T): T {
  try {
    return judge()
  } catch (error) {
    if (error instanceof OverBudget || error instanceof NotJsonError) return refuse(error.message)
    throw error
  }
}

const failed = (message: string): Patch => ({ type: 'error', message })

function configurationOf(value: unknown): Patch {
  const misnamed = misnamedObjects(value)
  if (misnamed.length > 0) return failed(`type mismatch: ${misnamed.join('\n')}`)
  const json = toExactJson(value)
  if (isObject(json)) return { type: 'configuration', value: json }
  return failed('unsupported return type from ApplyConfiguration expression')
}

function operationsOf(value: unknown): Patch {
  const operations: JsonObject[] = []
  for (const operation of value as Iterable<unknown>) {
    const misnamed = misnamedObjects(operation)
    if (misnamed.length > 0) return failed(`type mismatch: ${misnamed.join('\n')}`)
    operations.push(toJson(operation) as JsonObject)
  }
  return { type: 'operations', value: operations }
}
