// Evaluates x-kubernetes-validations over an object: walks value and schema together, pairs values with the ones they
// replace, and words what fails. Called by custom-resource.ts and the checks of defaults; calls the CEL engine.
// Ref: apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go

import {
  type CelProgram,
  type Compiled,
  type CostBudget,
  compileCel,
  PER_CALL_LIMIT,
  RUNTIME_COST_BUDGET,
  schemaCardinality,
} from '../cel/index.ts'
import { type FieldError, formatFieldError } from '../field-error.ts'
import { isObject, type JsonValue } from '../json.ts'
import { type Correlation, MapListIndex } from './correlate.ts'
import { resolveFieldPath } from './field-path.ts'
import type { SchemaNode, ValidationRule } from './node.ts'

/** Longer results of a messageExpression are not used. */
const MESSAGE_BYTES_MAX = 5 * 1024

export interface RuleFindings {
  readonly errors: FieldError[]
  /** Failures in parts that did not change, as Warning texts. */
  readonly warnings: string[]
}

export interface RuleOptions {
  readonly fieldPath?: string
  /** Forgives failures of unchanged values. Absent: nothing is forgiven. */
  readonly correlation?: Correlation | undefined
  /** Cost units left; shared by calls that belong together. */
  readonly budget?: CostBudget
}

export const newBudget = (): CostBudget => ({
  remaining: RUNTIME_COST_BUDGET,
  perCall: PER_CALL_LIMIT,
})

/** A rule ready to run. `error` means that it can not: it was stored before today's compiler refused it. */
export interface CompiledRule {
  readonly rule: ValidationRule
  readonly program?: CelProgram
  readonly error?: RuleError
  readonly usesOldSelf: boolean
  readonly message?: CelProgram
  readonly messageError?: RuleError
  /** fieldPath as field errors print it. */
  readonly fieldPath: string
}

export interface RuleError {
  readonly type: 'FieldValueInvalid' | 'InternalError'
  readonly detail: string
}

/** Compiles one rule of a node. Ref: apiextensions-apiserver/pkg/apiserver/schema/cel/compilation.go */
export function compileRule(
  rule: ValidationRule,
  node: SchemaNode,
  resourceRoot: boolean,
): CompiledRule {
  const base = { rule, usesOldSelf: false, fieldPath: '' }
  if (rule.rule.trim() === '') return base
  const self = { schema: resourceRoot ? asResource(node) : node, resourceRoot }
  const variables = { self, oldSelf: { ...self, optional: rule.optionalOldSelf === true } }
  const compiled = compileCel(rule.rule, { variables, result: 'bool' })
  if (!compiled.ok) {
    const detail = compileErrorText(compiled, RULE_TEXTS)
    return { ...base, error: { type: 'FieldValueInvalid', detail } }
  }
  const path = rule.fieldPath === undefined ? undefined : resolveFieldPath(rule.fieldPath, node)
  const result: CompiledRule = {
    rule,
    program: compiled.program,
    usesOldSelf: compiled.usesOldSelf,
    fieldPath: path?.ok === true ? path.path : '',
  }
  if (rule.messageExpression === undefined) return result
  const message = compileCel(rule.messageExpression, { variables, result: 'string' })
  if (message.ok) return { ...result, message: message.program }
  const detail = compileErrorText(message, MESSAGE_TEXTS)
  return { ...result, messageError: { type: 'FieldValueInvalid', detail } }
}

const resources = new WeakMap<SchemaNode, SchemaNode>()

/** Values at a root show apiVersion, kind and metadata to rules, as embedded resources do. */
function asResource(node: SchemaNode): SchemaNode {
  if (node.embeddedResource === true) return node
  let known = resources.get(node)
  if (known === undefined) {
    known = { ...node, embeddedResource: true }
    resources.set(node, known)
  }
  return known
}

type CompileFailure = Extract<Compiled, { ok: false }>
type CompileTexts = Readonly<Record<CompileFailure['reason'], (error: string) => string>>

const RULE_TEXTS: CompileTexts = {
  compilation: error => `compilation failed: ${error}`,
  'result-type': () => 'cel expression must evaluate to a bool',
  declaration: error => `rule compiler initialization error: ${error}`,
  instantiation: error => `program instantiation failed: ${error}`,
}
const MESSAGE_TEXTS: CompileTexts = {
  compilation: error => `messageExpression compilation failed: ${error}`,
  'result-type': () => 'messageExpression must evaluate to a string',
  declaration: RULE_TEXTS.declaration,
  instantiation: error => `messageExpression instantiation failed: ${error}`,
}

function compileErrorText(failure: CompileFailure, texts: CompileTexts): string {
  return texts[failure.reason](failure.error)
}

const rulesBelow = new WeakMap<SchemaNode, boolean>()

/** Whether the schema has rules anywhere. Properties that CEL can not see are passed over, rules and all. */
export function hasRules(node: SchemaNode | undefined): boolean {
  if (node === undefined) return false
  let known = rulesBelow.get(node)
  if (known === undefined) {
    known =
      node.rules !== undefined ||
      hasRules(node.items) ||
      hasRules(node.additionalProperties) ||
      [...(node.properties?.values() ?? [])].some(hasVisibleRules)
    rulesBelow.set(node, known)
  }
  return known
}

const visible = new WeakMap<SchemaNode, boolean>()

function hasVisibleRules(property: SchemaNode): boolean {
  let known = visible.get(property)
  if (known === undefined) {
    const embedded = property.embeddedResource === true
    known = hasRules(property) && schemaCardinality(property, embedded) !== undefined
    visible.set(property, known)
  }
  return known
}

/** The rules of one schema. Programs are compiled on first use and kept until `drop`. */
export class SchemaRules {
  readonly #root: SchemaNode
  readonly #resourceRoot: boolean
  #compiled = new Map<SchemaNode, readonly CompiledRule[]>()

  constructor(root: SchemaNode, options: { readonly resourceRoot: boolean }) {
    this.#root = root
    this.#resourceRoot = options.resourceRoot
  }

  /** Whether there are rules at all. */
  get any(): boolean {
    return hasRules(this.#root)
  }

  /** Runs every rule that applies. Without an old value, transition rules are left out. */
  validate(value: JsonValue, old: JsonValue | undefined, options: RuleOptions = {}): RuleFindings {
    const run = new RuleRun(options.budget ?? newBudget(), node => this.#rulesOf(node))
    if (hasRules(this.#root)) {
      run.visit(this.#root, value, old, options.fieldPath ?? '', { current: options.correlation })
    }
    return run
  }

  /** Forgets the programs, so that an idle schema costs only its nodes. */
  drop(): void {
    this.#compiled = new Map()
  }

  #rulesOf(node: SchemaNode): readonly CompiledRule[] {
    const known = this.#compiled.get(node)
    if (known !== undefined) return known
    const root = node === this.#root ? this.#resourceRoot : node.embeddedResource === true
    const compiled = (node.rules ?? []).map(rule => compileRule(rule, node, root))
    this.#compiled.set(node, compiled)
    return compiled
  }
}

/** Where a value stands for forgiveness: paired with its predecessor, or else under an ancestor that is. */
interface Pairing {
  readonly current?: Correlation | undefined
  readonly ancestor?: Correlation | undefined
}

const isForgiven = (pairing: Pairing): boolean =>
  (pairing.current ?? pairing.ancestor)?.unchanged === true

function pairField(pairing: Pairing, name: string): Pairing {
  if (pairing.current === undefined) return pairing
  // Objects are converted before they are compared, so a change of version can not be seen.
  const typeMeta = pairing.ancestor === undefined && (name === 'apiVersion' || name === 'kind')
  return typeMeta ? {} : { current: pairing.current.field(name), ancestor: pairing.current }
}

const pairItem = (pairing: Pairing, index: number): Pairing =>
  pairing.current === undefined
    ? pairing
    : { current: pairing.current.item(index), ancestor: pairing.current }

interface Site {
  readonly node: SchemaNode
  readonly value: JsonValue
  readonly old: JsonValue | undefined
  readonly path: string
  readonly pairing: Pairing
}

class RuleRun implements RuleFindings {
  readonly errors: FieldError[] = []
  readonly warnings: string[] = []
  readonly #budget: CostBudget
  readonly #rulesOf: (node: SchemaNode) => readonly CompiledRule[]
  #stopped = false

  constructor(budget: CostBudget, rulesOf: (node: SchemaNode) => readonly CompiledRule[]) {
    this.#budget = budget
    this.#rulesOf = rulesOf
  }

  visit(
    node: SchemaNode,
    value: JsonValue | undefined,
    old: JsonValue | undefined,
    path: string,
    pairing: Pairing,
  ): void {
    if (value === null || value === undefined || this.#stopped || !hasRules(node)) return
    const rules = this.#rulesOf(node)
    if (rules.length > 0) this.#runAll(rules, { node, value, old: old ?? undefined, path, pairing })
    if (Array.isArray(value)) this.#visitItems(node, value, old, path, pairing)
    else if (isObject(value)) {
      for (const name of Object.keys(value)) {
        const property = node.properties?.get(name)
        const child = property ?? node.additionalProperties
        if (child === undefined || !hasVisibleRules(child)) continue
        const before = isObject(old) && Object.hasOwn(old, name) ? old[name] : undefined
        const childPath = property === undefined ? `${path}[${name}]` : join(path, name)
        this.visit(child, value[name], before, childPath, pairField(pairing, name))
      }
    }
  }

  #visitItems(
    node: SchemaNode,
    value: readonly JsonValue[],
    old: JsonValue | undefined,
    path: string,
    pairing: Pairing,
  ): void {
    if (node.items === undefined || !hasRules(node.items)) return
    const before = new MapListIndex(node, Array.isArray(old) ? old : undefined)
    for (const [i, item] of value.entries()) {
      this.visit(node.items, item, before.get(item), `${path}[${i}]`, pairItem(pairing, i))
    }
  }

  #runAll(rules: readonly CompiledRule[], site: Site): void {
    if (this.#budget.remaining <= 0) {
      this.#outOfBudget(site)
      return
    }
    for (const rule of rules) {
      if (rule.error !== undefined) {
        this.#report(site, `rule compile error: ${rule.error.detail}`)
      } else if (rule.program !== undefined && this.#applies(rule, site)) {
        this.#run(rule, rule.program, site)
        if (this.#stopped) return
      }
    }
  }

  #applies(rule: CompiledRule, site: Site): boolean {
    return !rule.usesOldSelf || site.old !== undefined || rule.rule.optionalOldSelf === true
  }

  #run(rule: CompiledRule, program: CelProgram, site: Site): void {
    const result = program.evaluate({ self: site.value, oldSelf: site.old }, this.#budget)
    if (this.#budget.remaining < 0) {
      this.#outOfBudget(site)
      return
    }
    if (result.ok) {
      if (result.value !== true) this.#fail(rule, site)
      return
    }
    const text = ruleText(rule.rule)
    if (result.budgetExceeded !== undefined) {
      const why = 'no further validation rules will be run due to call cost exceeds limit for rule'
      this.#report(site, `'${result.error}': ${why}: ${text}`)
      this.#stopped = true
    } else if (result.error.startsWith(NO_SUCH_OVERLOAD)) {
      const why = 'call arguments did not match a supported operator, function or macro signature'
      this.#report(site, `'${result.error}': ${why} for rule: ${text}`)
    } else this.#report(site, `${result.error} evaluating rule: ${text}`)
  }

  /** Reports a rule that is false, in the words its author chose. */
  #fail(rule: CompiledRule, site: Site): void {
    const field = orNil(rule.fieldPath === '' ? site.path : join(site.path, rule.fieldPath))
    const type = site.node.type ?? ''
    const message = rule.message && this.#message(rule.message, rule.rule, site)
    if (message?.fatal !== undefined) {
      this.#add(rule, site, {
        type: 'FieldValueInvalid',
        field,
        badValue: type,
        detail: message.fatal,
      })
      this.#stopped = true
      return
    }
    const detail = message?.text ?? defaultMessage(rule.rule)
    const omitValue = type === 'object' || type === 'array'
    const reason = rule.rule.reason ?? 'FieldValueInvalid'
    const bad = omitValue ? { omitValue } : { badValue: site.value }
    this.#add(rule, site, {
      type: reason,
      field,
      ...bad,
      detail: reason === 'FieldValueDuplicate' ? '' : detail,
    })
  }

  #message(
    program: CelProgram,
    rule: ValidationRule,
    site: Site,
  ): { text?: string; fatal?: string } {
    const before = this.#budget.remaining
    const result = program.evaluate({ self: site.value, oldSelf: site.old }, this.#budget)
    if (result.cost > before) {
      const fatal =
        'messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run'
      return { fatal }
    }
    if (!result.ok) {
      if (result.budgetExceeded === undefined) return {}
      const quoted = JSON.stringify(rule.messageExpression)
      const why =
        'no further validation rules will be run due to call cost exceeds limit for messageExpression'
      return { fatal: `${why}: ${quoted}` }
    }
    const text = typeof result.value === 'string' ? result.value.trim() : ''
    const usable =
      text !== '' && !text.includes('\n') && Buffer.byteLength(text) <= MESSAGE_BYTES_MAX
    return usable ? { text } : {}
  }

  #add(rule: CompiledRule, site: Site, error: FieldError): void {
    if (!rule.usesOldSelf && isForgiven(site.pairing)) this.warnings.push(formatFieldError(error))
    else this.errors.push(error)
  }

  #report(site: Site, detail: string): void {
    this.errors.push({
      type: 'FieldValueInvalid',
      field: orNil(site.path),
      badValue: site.node.type ?? '',
      detail,
    })
  }

  #outOfBudget(site: Site): void {
    const why = 'validation failed due to running out of cost budget'
    this.#report(site, `${why}, no further validation rules will be run`)
    this.#stopped = true
  }
}

// CEL's own words for an argument of a type that no function takes; only dynamic values get that far.
const NO_SUCH_OVERLOAD = 'no such overload'

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)
const orNil = (path: string): string => (path === '' ? '<nil>' : path)

function ruleText(rule: ValidationRule): string {
  return (rule.message ?? rule.rule).trim()
}

function defaultMessage(rule: ValidationRule): string {
  return rule.message === undefined ? `failed rule: ${ruleText(rule)}` : rule.message.trim()
}
