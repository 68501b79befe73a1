// Checks a value against a schema and words each failure as kube-openapi does. One recursive pass; anyOf and oneOf
// report the alternative that matched most. Called by custom-resource.ts and the checks of defaults; calls
// numeric-checks.ts and formats.ts.
// Ref: kube-openapi/pkg/validation/validate, apiextensions-apiserver/pkg/apiserver/validation/{validation,ratcheting}.go

import {
  type FieldError,
  invalidValue,
  notSupported,
  required,
  tooLong,
  tooMany,
  typeInvalid,
} from '../field-error.ts'
import { isInt64, isJsonNumber } from '../int64.ts'
import { equalJson, isObject, type JsonObject, type JsonValue } from '../json.ts'
import type { Correlation } from './correlate.ts'
import { effectiveFormat, hasFormat } from './formats.ts'
import type { NestedValidation, SchemaNode, ValueValidation } from './node.ts'
import { checkNumber } from './numeric-checks.ts'
import { patternMatches } from './pattern.ts'
import { sortedText, sortKeys } from './sorted-json.ts'
import { NO_VALUE } from './structural.ts'

export interface ValidateOptions {
  /** Where the value stands in its object: 'status' when only that part is checked. Default: the root. */
  readonly fieldPath?: string
  /** Pairs the value with the one it replaces: failures of unchanged parts are forgiven. */
  readonly correlation?: Correlation | undefined
  /** Lets x-kubernetes-int-or-string stand for any type, as the checks of defaults do. */
  readonly looseIntOrString?: boolean
}

/** Everything wrong with `value` by types and value validations; CEL rules are not looked at. */
export function validateValue(
  node: SchemaNode,
  value: JsonValue,
  options: ValidateOptions = {},
): FieldError[] {
  const check = new Check(options.fieldPath ?? '', options.looseIntOrString === true)
  return check.run(node, facetsOf(node), value, '', options.correlation).failures.map(f => f.error)
}

/** What a pass found. `matches` counts passed steps: it decides which failed alternative is reported. */
interface Outcome {
  readonly failures: readonly Failure[]
  readonly matches: number
}

interface Failure {
  /** Equal texts are one failure, as kube-openapi merges results. */
  readonly text: string
  readonly error: FieldError
}

class Findings {
  readonly failures: Failure[] = []
  matches = 0

  merge(outcome: Outcome): void {
    for (const failure of outcome.failures) this.add(failure)
    this.matches += outcome.matches
  }

  add(failure: Failure): void {
    if (!this.failures.some(known => known.text === failure.text)) this.failures.push(failure)
  }
}

type Schema = SchemaNode | NestedValidation
const NO_TYPES: readonly string[] = []
const INT_OR_STRING: readonly string[] = ['integer', 'string']

class Check {
  readonly #base: string
  readonly #looseIntOrString: boolean

  constructor(base: string, looseIntOrString: boolean) {
    this.#base = base
    this.#looseIntOrString = looseIntOrString
  }

  /** Steps and their counting follow kube-openapi's SchemaValidator, since `matches` must agree with it. */
  run(
    schema: Schema,
    facets: ValueValidation,
    value: JsonValue,
    path: string,
    correlation?: Correlation,
  ): Outcome {
    const found = new Findings()
    const types = typesOf(schema, this.#looseIntOrString)
    const format = effectiveFormat(types, facets.format)
    if (value === null) {
      const failure = this.#type(schema, types, format, value, path)
      if (failure === undefined) found.matches++
      else found.add(failure)
      this.#enum(facets, value, path, found)
    } else {
      if (types.length > 0 || format !== '') {
        const failure = this.#type(schema, types, format, value, path)
        if (failure !== undefined) found.add(failure)
        found.matches += failure === undefined ? 2 : 1
      }
      this.#junctors(facets, value, path, found)
      this.#byKind(schema, facets, types, format, value, path, correlation, found)
      found.matches++
    }
    const forgiven = found.failures.length > 0 && correlation?.unchanged === true
    return forgiven ? { failures: [], matches: found.matches } : found
  }

  #byKind(
    schema: Schema,
    facets: ValueValidation,
    types: readonly string[],
    format: string,
    value: JsonValue,
    path: string,
    correlation: Correlation | undefined,
    found: Findings,
  ): void {
    if (typeof value === 'string') {
      this.#string(facets, format, value, path, found)
      found.matches += hasFormat(format, value) === undefined ? 1 : 2
    } else if (isJsonNumber(value)) {
      for (const { named, text, value: shown } of checkNumber(facets, types, format, value, path)) {
        const field = named ? this.#field(path) : this.#field('')
        found.add({ text, error: invalidValue(field, shown, text) })
      }
      found.matches += 2
    } else if (Array.isArray(value)) {
      this.#array(schema, facets, value, path, correlation, found)
      found.matches += 2
    }
    this.#enum(facets, value, path, found)
    found.matches++
    if (isObject(value)) {
      this.#object(schema, facets, value, path, correlation, found)
      found.matches++
    }
  }

  /** The shapes of this look odd: a value that is a string or list passes when only its format is known. */
  #type(
    schema: Schema,
    types: readonly string[],
    format: string,
    value: JsonValue,
    path: string,
  ): Failure | undefined {
    const actual = typeName(value)
    if (value === null) {
      const nullable = 'nullable' in schema && schema.nullable === true
      return types.length === 0 || nullable ? undefined : this.#wrongType(path, types, actual)
    }
    const fits = types.includes(actual) || (actual === 'integer' && types.includes('number'))
    if (format !== '') {
      const valueFormat = VALUE_FORMATS[actual] ?? ''
      const textual = actual === 'string' || actual === 'array'
      if (!textual) {
        return fits || valueFormat === format
          ? undefined
          : this.#wrongType(path, [format], valueFormat)
      }
      if (!types.includes('number') && !types.includes('integer')) return undefined
    }
    return fits ? undefined : this.#wrongType(path, types, actual)
  }

  #string(
    facets: ValueValidation,
    format: string,
    value: string,
    path: string,
    found: Findings,
  ): void {
    const failure = this.#length(facets, value, path)
    if (failure) found.add(failure)
    if (hasFormat(format, value) === false) found.add(this.#wrongType(path, [format], value))
  }

  #length(facets: ValueValidation, value: string, path: string): Failure | undefined {
    const { maxLength, minLength, pattern } = facets
    if (maxLength !== undefined && characters(value) > maxLength) {
      return {
        text: `${path} in body should be at most ${maxLength} chars long`,
        error: tooLong(this.#field(path), maxLength),
      }
    }
    if (minLength !== undefined && characters(value) < minLength) {
      return this.#invalid(path, value, `should be at least ${minLength} chars long`)
    }
    if (pattern !== undefined && !patternMatches(pattern, value)) {
      return this.#invalid(path, value, `should match '${pattern}'`)
    }
    return undefined
  }

  #array(
    schema: Schema,
    facets: ValueValidation,
    value: readonly JsonValue[],
    path: string,
    correlation: Correlation | undefined,
    found: Findings,
  ): void {
    if (schema.items !== undefined) {
      for (const [i, item] of value.entries()) {
        const old = correlation?.item(i)
        found.merge(this.run(schema.items, facetsOf(schema.items), item, `${path}[${i}]`, old))
      }
    }
    if (facets.minItems !== undefined && value.length < facets.minItems) {
      const text = `should have at least ${facets.minItems} items`
      found.add(this.#invalid(path, value.length, text))
    }
    if (facets.maxItems !== undefined && value.length > facets.maxItems) {
      found.add({
        text: `${path} in body should have at most ${facets.maxItems} items`,
        error: tooMany(this.#field(path), value.length, facets.maxItems),
      })
    }
    if (facets.uniqueItems && value.some((a, i) => value.slice(0, i).some(b => equalJson(a, b)))) {
      found.add(this.#invalid(path, '', "shouldn't contain duplicates"))
    }
  }

  #object(
    schema: Schema,
    facets: ValueValidation,
    value: JsonObject,
    path: string,
    correlation: Correlation | undefined,
    found: Findings,
  ): void {
    const names = Object.keys(value).filter(name => value[name] !== undefined)
    this.#propertyCount(facets, names.length, path, found)
    const additional = schema.additionalProperties
    for (const name of names) {
      const property = schema.properties?.get(name)
      if (property === undefined && additional === NO_VALUE) {
        found.add(this.#forbidden(path, name))
        continue
      }
      const child = property ?? additional
      if (child === undefined) continue
      const childPath = property !== undefined && path === '' ? name : `${path}.${name}`
      const old = path === '' && TYPE_META.has(name) ? undefined : correlation?.field(name)
      found.merge(this.run(child, facetsOf(child), value[name] as JsonValue, childPath, old))
    }
    for (const name of facets.required ?? []) {
      if (Object.hasOwn(value, name) && value[name] !== undefined) continue
      const text = `${path}.${name} in body is required`
      found.add({ text, error: required(this.#field(`${path}.${name}`)) })
    }
  }

  #propertyCount(facets: ValueValidation, count: number, path: string, found: Findings): void {
    if (facets.minProperties !== undefined && count < facets.minProperties) {
      const text = `should have at least ${facets.minProperties} properties`
      found.add(this.#invalid(path, count, text))
    }
    if (facets.maxProperties !== undefined && count > facets.maxProperties) {
      found.add({
        text: `${path} in body should have at most ${facets.maxProperties} properties`,
        error: tooMany(this.#field(path), count, facets.maxProperties),
      })
    }
  }

  #enum(facets: ValueValidation, value: JsonValue, path: string, found: Findings): void {
    const choices = facets.enum
    if (choices === undefined || choices.some(choice => matchesChoice(value, choice))) return
    const texts = choices.map(choice => (typeof choice === 'string' ? choice : sortedText(choice)))
    found.add({
      text: `${path} in body should be one of ${texts.join(' ')}`,
      error: notSupported(this.#field(path), sortKeys(value), texts),
    })
  }

  #junctors(facets: ValueValidation, value: JsonValue, path: string, found: Findings): void {
    if (facets.anyOf !== undefined) this.#anyOf(facets.anyOf, value, path, found)
    if (facets.oneOf !== undefined) this.#oneOf(facets.oneOf, value, path, found)
    if (facets.allOf !== undefined) this.#allOf(facets.allOf, value, path, found)
    if (facets.not !== undefined && isClean(this.run(facets.not, facets.not, value, path))) {
      found.add(this.#unnamed(`${quote(path)} must not validate the schema (not)`))
    }
    // One for the step's own result, one for the step.
    found.matches += 2
  }

  #anyOf(
    clauses: readonly NestedValidation[],
    value: JsonValue,
    path: string,
    found: Findings,
  ): void {
    let best: Outcome | undefined
    for (const clause of clauses) {
      const outcome = this.run(clause, clause, value, path)
      if (isClean(outcome)) {
        found.merge(outcome)
        return
      }
      if (best === undefined || outcome.matches > best.matches) best = outcome
    }
    found.add(this.#unnamed(`${quote(path)} must validate at least one schema (anyOf)`))
    if (best !== undefined) found.merge(best)
  }

  #oneOf(
    clauses: readonly NestedValidation[],
    value: JsonValue,
    path: string,
    found: Findings,
  ): void {
    const outcomes = clauses.map(clause => this.run(clause, clause, value, path))
    const valid = outcomes.filter(isClean)
    if (valid.length === 1) {
      found.merge(valid[0]!)
      return
    }
    const why = valid.length === 0 ? 'Found none valid' : `Found ${valid.length} valid alternatives`
    const text = `${quote(path)} must validate one and only one schema (oneOf). ${why}`
    found.add(this.#unnamed(text))
    // After a success, upstream keeps no failure of an earlier alternative and none of a later one.
    if (valid.length > 0) return
    const best = outcomes.reduce((a, b) => (b.matches > a.matches ? b : a))
    found.merge(best)
  }

  #allOf(
    clauses: readonly NestedValidation[],
    value: JsonValue,
    path: string,
    found: Findings,
  ): void {
    const outcomes = clauses.map(clause => this.run(clause, clause, value, path))
    for (const outcome of outcomes) found.merge(outcome)
    const valid = outcomes.filter(isClean).length
    if (valid === clauses.length) return
    const none = valid === 0 ? '. None validated' : ''
    found.add(this.#unnamed(`${quote(path)} must validate all the schemas (allOf)${none}`))
  }

  #forbidden(path: string, name: string): Failure {
    const text = `${path}.${name} in body is a forbidden property`
    return { text, error: invalidValue(this.#field(path), name, text) }
  }

  #wrongType(path: string, expected: readonly string[], actual: string): Failure {
    const text = `${path} in body must be of type ${expected.join(',')}: ${quote(actual)}`
    return { text, error: typeInvalid(this.#field(path), actual, text) }
  }

  #invalid(path: string, value: JsonValue, what: string): Failure {
    const text = `${path} in body ${what}`
    return { text, error: invalidValue(this.#field(path), value, text) }
  }

  /** A failure that upstream reports without a field of its own. */
  #unnamed(text: string): Failure {
    return { text, error: invalidValue(this.#field(''), '', text) }
  }

  #field(path: string): string {
    const name = path.startsWith('.') ? path.slice(1) : path
    if (this.#base === '') return name === '' ? '<nil>' : name
    return name === '' ? this.#base : `${this.#base}.${name}`
  }
}

const TYPE_META: ReadonlySet<string> = new Set(['apiVersion', 'kind'])
const VALUE_FORMATS: Readonly<Record<string, string>> = { integer: 'int64', number: 'float64' }
const quote = (text: string): string => JSON.stringify(text)
const isClean = (outcome: Outcome): boolean => outcome.failures.length === 0

/** A clause of a junctor is its own facets; a node keeps them apart. */
function facetsOf(schema: Schema): ValueValidation {
  return 'validation' in schema ? (schema.validation ?? {}) : schema
}

function typesOf(schema: Schema, loose: boolean): readonly string[] {
  if (!loose && 'intOrString' in schema && schema.intOrString === true) return INT_OR_STRING
  return schema.type === undefined ? NO_TYPES : TYPE_LISTS[schema.type]
}
const TYPE_LISTS = {
  object: ['object'],
  array: ['array'],
  string: ['string'],
  integer: ['integer'],
  number: ['number'],
  boolean: ['boolean'],
} as const

function typeName(value: JsonValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (isJsonNumber(value)) return isInt64(value) ? 'integer' : 'number'
  return typeof value
}

function characters(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

/** Numbers are converted to the choice's type first, so 2.5 is 2 when 2 is the choice. */
function matchesChoice(value: JsonValue, choice: JsonValue): boolean {
  if (value === null || choice === null) return false
  if (isJsonNumber(value) && isJsonNumber(choice)) {
    if (!isInt64(choice)) return Number(value) === choice
    return (typeof value === 'number' ? Math.trunc(value) : value) === choice
  }
  return equalJson(value, choice)
}
