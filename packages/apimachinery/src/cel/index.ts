// The Common Expression Language's public face: compile an expression against declared variables,
// then evaluate it often. Called by the schema's rules (schema/validate.ts) and CRD validation; the
// work is in compile.ts.

import type { JsonValue } from '../json.ts'
import type { SchemaNode } from '../schema/node.ts'
import type { AccessQuestion } from './authorization.ts'

/** Types a variable may be declared with when it has no schema. */
export type CelTypeName =
  | 'bool'
  | 'int'
  | 'uint'
  | 'double'
  | 'string'
  | 'bytes'
  | 'null_type'
  | 'duration'
  | 'timestamp'
  | 'dyn'
  | 'kubernetes.DRADevice'
  | 'kubernetes.authorization.Authorizer'
  | 'kubernetes.authorization.ResourceCheck'

/** A variable described by a schema. */
export interface CelSchemaVariable {
  readonly schema: SchemaNode
  /**
   * The root of a resource: apiVersion, kind and metadata.name and generateName are always
   * declared.
   */
  readonly resourceRoot?: boolean
  /**
   * Declares optional_type(T): an absent binding is optional.none(), a present one
   * optional.of(value).
   */
  readonly optional?: boolean
}

/**
 * A variable whose fields are the results of other programs, computed when first read: a policy's
 * `variables`.
 */
export interface CelFieldsVariable {
  /** undefined where the program did not compile: anything may be expected of it. */
  readonly fields: ReadonlyMap<string, CelProgram | undefined>
}

/** What is bound to a CelFieldsVariable. A field that fails is an error where it is read. */
export type CelFields = ReadonlyMap<string, () => Evaluation>

/** What a variable may be bound to; questions of access have the types of an authorizer. */
export type CelBinding = JsonValue | CelFields | AccessQuestion | undefined

export type CelVariable = SchemaNode | CelSchemaVariable | CelFieldsVariable | CelTypeName

export interface CompileOptions {
  readonly variables: Readonly<Record<string, CelVariable>>
  /**
   * The type the expression must have; 'any' accepts all. Those of the last two may construct
   * Object{...} and JSONPatch{...}, which no other expression knows.
   */
  readonly result: 'bool' | 'string' | 'string or null' | 'any' | 'Object' | 'list(JSONPatch)'
  /** True where cel.bind() is offered too, which only selectors of devices know. */
  readonly binds?: boolean
}

/**
 * `error` is what cel-go prints, without any prefix: "ERROR: <input>:1:6: undefined field 'x'\n |
 * self.x\n | .....^". `reason` says which step failed: 'compilation' is syntax or types,
 * 'result-type' a type that `result` does not allow (error is then its name), 'declaration' a
 * variable whose schema CEL can not see, and 'instantiation' a literal that can not be converted
 * (upstream prefixes it with "program instantiation failed: ").
 */
export type Compiled =
  | { readonly ok: true; readonly program: CelProgram; readonly usesOldSelf: boolean }
  | {
      readonly ok: false
      readonly error: string
      readonly reason: 'compilation' | 'result-type' | 'declaration' | 'instantiation'
    }

export interface CelProgram {
  /**
   * Evaluates once. Bindings are JSON values in the form the schema declares; an absent variable is
   * a runtime error when read. The actual cost is taken off `budget.remaining`, which may go below
   * zero.
   */
  evaluate(bindings: Readonly<Record<string, CelBinding>>, budget: CostBudget): Evaluation
  /**
   * The worst case in cost units, from the sizes the schemas allow. Saturates at
   * Number.MAX_SAFE_INTEGER.
   */
  estimateCost(): CostEstimate
  /** The type of what it evaluates to, as messages spell it. */
  readonly resultType: string
  /** Whether the expression reads this variable. */
  references(name: string): boolean
}

export type Evaluation =
  | { readonly ok: true; readonly value: unknown; readonly cost: number }
  | {
      readonly ok: false
      /** As cel-go words it: 'no such key: x', 'divide by zero'. */
      readonly error: string
      readonly cost: number
      /** 'call': this evaluation passed perCall. 'total': it passed what remained of the budget. */
      readonly budgetExceeded?: 'call' | 'total'
    }

export interface CostBudget {
  /** Cost units left for all rules of a request; see RUNTIME_COST_BUDGET. */
  remaining: number
  /** Cost units one evaluation may use; see PER_CALL_LIMIT. */
  readonly perCall: number
}

export interface CostEstimate {
  readonly min: number
  readonly max: number
}

/**
 * The limit of one evaluation and of all evaluations for one request. Ref:
 * apiserver/pkg/apis/cel/config.go
 */
export const PER_CALL_LIMIT = 1_000_000
export const RUNTIME_COST_BUDGET = 10_000_000

export {
  type AccessQuestion,
  type CelAccess,
  type CelAccessCheck,
  celAuthorizer,
  celResourceCheck,
} from './authorization.ts'
export { compileCel } from './compile.ts'
export { schemaCardinality } from './declaration.ts'
export { misnamedObjects } from './patch-types.ts'
export { stringsOf } from './strings.ts'
export { NotJsonError, toExactJson, toJson } from './to-json.ts'
