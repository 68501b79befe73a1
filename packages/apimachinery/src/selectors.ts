// Label and field selectors: the two little languages of lists and watches, and the selector objects inside specs.
// Called by options.ts, the cacher's filters and strategies; calls names.ts. Texts are upstream's.
// Ref: apimachinery/pkg/labels/selector.go, apimachinery/pkg/fields/selector.go

import {
  type FieldError,
  forbiddenField,
  formatFieldError,
  invalidValue,
  required,
} from './field-error.ts'
import { isObject, type JsonValue } from './json.ts'
import { isLabelValue, isQualifiedName } from './names.ts'
import { validateLabels } from './object-meta.ts'
import { badRequest, type StatusError } from './status.ts'
import { ParseError, parseInt64 } from './strconv.ts'

export type LabelOperator = 'in' | 'notin' | '=' | '==' | '!=' | 'gt' | 'lt' | 'exists' | '!'

export interface LabelRequirement {
  readonly key: string
  readonly operator: LabelOperator
  /** Sorted and without repeats; empty for exists and !. */
  readonly values: readonly string[]
}

type Labels = Readonly<Record<string, string>> | undefined

export interface LabelSelector {
  readonly requirements: readonly LabelRequirement[]
  /** True when it selects everything. */
  readonly empty: boolean
  readonly matches: (labels: Labels) => boolean
}

const byKey = (a: LabelRequirement, b: LabelRequirement) =>
  a.key < b.key ? -1 : a.key > b.key ? 1 : 0

function selectorOf(unsorted: readonly LabelRequirement[]): LabelSelector {
  const requirements = [...unsorted].sort(byKey)
  return {
    requirements,
    empty: requirements.length === 0,
    matches: labels => requirements.every(requirement => meets(requirement, labels)),
  }
}

/** Selects every object. */
export const EVERYTHING: LabelSelector = selectorOf([])
/** Selects no object. */
export const NOTHING: LabelSelector = { requirements: [], empty: false, matches: () => false }

function meets({ key, operator, values }: LabelRequirement, labels: Labels): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case 'in':
    case '=':
    case '==':
      return value !== undefined && values.includes(value)
    case 'notin':
    case '!=':
      return value === undefined || !values.includes(value)
    case 'exists':
      return value !== undefined
    case '!':
      return value === undefined
    case 'gt':
    case 'lt': {
      const [mine, theirs] = [integer(value), integer(values[0])]
      if (mine === undefined || theirs === undefined) return false
      return operator === 'gt' ? mine > theirs : mine < theirs
    }
  }
}

function integer(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined
  try {
    return parseInt64(text)
  } catch (error) {
    if (error instanceof ParseError) return undefined
    throw error
  }
}

// --- the text form of label selectors

type TokenKind = 'end' | 'identifier' | Punctuation | 'in' | 'notin'
type Punctuation = ')' | ',' | '!' | '==' | '=' | '>' | '<' | '!=' | '('
interface Token {
  readonly kind: TokenKind
  readonly text: string
}

const SYMBOLS: ReadonlySet<string> = new Set([')', ',', '!', '==', '=', '>', '<', '!=', '('])
const BINARY_OPERATORS = 'in, notin, =, ==, !=, gt, lt'
const OPERATOR_OF: Partial<Record<TokenKind, LabelOperator>> = {
  in: 'in',
  notin: 'notin',
  '=': '=',
  '==': '==',
  '!=': '!=',
  '>': 'gt',
  '<': 'lt',
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  const end = text.indexOf('\0') < 0 ? text.length : text.indexOf('\0')
  let position = 0
  while (position < end) {
    if (/[ \t\r\n]/.test(text.charAt(position))) {
      position += 1
      continue
    }
    const token = nextToken(text.slice(position, end))
    tokens.push(token)
    position += token.text.length
  }
  tokens.push({ kind: 'end', text: '' })
  return tokens
}

function nextToken(rest: string): Token {
  const two = rest.slice(0, 2)
  const symbol = SYMBOLS.has(two) ? two : SYMBOLS.has(rest.charAt(0)) ? rest.charAt(0) : undefined
  if (symbol !== undefined) return { kind: symbol as Punctuation, text: symbol }
  const word = /^[^=!(),<> \t\r\n]+/.exec(rest)?.[0] ?? rest
  return { kind: word === 'in' || word === 'notin' ? word : 'identifier', text: word }
}

const refused = (message: string): StatusError => badRequest(message)
const badRequirement = (message: string): StatusError =>
  refused(`unable to parse requirement: ${message}`)

class LabelParser {
  readonly #tokens: readonly Token[]
  #position = 0

  constructor(text: string) {
    this.#tokens = tokenize(text)
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = []
    for (;;) {
      const token = this.#peek()
      if (token.kind === 'end') return requirements
      if (token.kind !== 'identifier' && token.kind !== '!') {
        throw refused(`found '${token.text}', expected: !, identifier, or 'end of string'`)
      }
      requirements.push(this.#requirement())
      const separator = this.#next()
      if (separator.kind === 'end') return requirements
      if (separator.kind !== ',') {
        throw refused(`found '${separator.text}', expected: ',' or 'end of string'`)
      }
      const following = this.#peek()
      if (following.kind !== 'identifier' && following.kind !== '!') {
        throw refused(`found '${following.text}', expected: identifier after ','`)
      }
    }
  }

  #requirement(): LabelRequirement {
    let token = this.#next()
    const absent = token.kind === '!'
    if (absent) token = this.#next()
    if (token.kind !== 'identifier') {
      throw badRequirement(`found '${token.text}', expected: identifier`)
    }
    const key = token.text
    const keyErrors = isQualifiedName(key)
    if (keyErrors.length > 0) {
      throw badRequirement(formatFieldError(invalidValue('<nil>', key, keyErrors.join('; '))))
    }
    if (absent) return { key, operator: '!', values: [] }
    const { kind } = this.#peek()
    if (kind === 'end' || kind === ',') return { key, operator: 'exists', values: [] }
    const operatorToken = this.#next(true)
    const operator = OPERATOR_OF[operatorToken.kind]
    if (operator === undefined) {
      throw badRequirement(`found '${operatorToken.text}', expected: ${BINARY_OPERATORS}`)
    }
    const set = operator === 'in' || operator === 'notin' ? this.#values() : this.#exactValue()
    return checked({ key, operator, values: [...set].sort() })
  }

  #values(): Set<string> {
    const open = this.#next()
    if (open.kind !== '(') throw badRequirement(`found '${open.text}' expected: '('`)
    const first = this.#peek()
    if (first.kind === ')') {
      this.#next()
      return new Set([''])
    }
    if (first.kind !== 'identifier' && first.kind !== ',') {
      throw badRequirement(`found '${first.text}', expected: ',', ')' or identifier`)
    }
    const values = this.#identifiers()
    this.#next()
    return values
  }

  /** The list between the parentheses, in which values may be empty: `(,a)`, `(a,,b)`, `(a,)`. */
  #identifiers(): Set<string> {
    const values = new Set<string>()
    for (;;) {
      const token = this.#next()
      const following = this.#peek()
      if (token.kind === 'identifier') {
        values.add(token.text)
        if (following.kind === ')') return values
        if (following.kind !== ',') {
          throw badRequirement(`found '${following.text}', expected: ',' or ')'`)
        }
      } else if (token.kind === ',') {
        if (values.size === 0) values.add('')
        if (following.kind === ')' || following.kind === ',') values.add('')
        if (following.kind === ')') return values
      } else throw badRequirement(`found '${token.text}', expected: ',', or identifier`)
    }
  }

  #exactValue(): Set<string> {
    const { kind } = this.#peek()
    if (kind === 'end' || kind === ',') return new Set([''])
    const token = this.#next()
    if (token.kind === 'identifier') return new Set([token.text])
    throw badRequirement(`found '${token.text}', expected: identifier`)
  }

  /** Keywords are plain identifiers everywhere but where an operator must stand. */
  #peek(operatorExpected = false): Token {
    const token = this.#tokens[Math.min(this.#position, this.#tokens.length - 1)]
    if (token === undefined) return { kind: 'end', text: '' }
    const keyword = token.kind === 'in' || token.kind === 'notin'
    return keyword && !operatorExpected ? { kind: 'identifier', text: token.text } : token
  }

  #next(operatorExpected = false): Token {
    const token = this.#peek(operatorExpected)
    this.#position += 1
    return token
  }
}

function checked(requirement: LabelRequirement): LabelRequirement {
  const { key, operator, values } = requirement
  const errors: FieldError[] = []
  values.forEach((value, index) => {
    if ((operator === 'gt' || operator === 'lt') && integer(value) === undefined) {
      const detail = "for 'Gt', 'Lt' operators, the value must be an integer"
      errors.push(invalidValue(`values[${index}]`, value, detail))
    }
  })
  values.forEach((value, index) => {
    const sentences = isLabelValue(value)
    if (sentences.length > 0) {
      errors.push(invalidValue(`values[${index}][${key}]`, value, sentences.join('; ')))
    }
  })
  if (errors.length === 0) return requirement
  const texts = [...new Set(errors.map(formatFieldError))]
  throw badRequirement(texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`)
}

/** The text form: `a=b,c in (d,e),!f,g>1`. Throws 400 with upstream's sentence. */
export function parseLabelSelector(text: string): LabelSelector {
  return text === '' ? EVERYTHING : selectorOf(new LabelParser(text).parse())
}

/** The canonical text of a label selector, which parses back to the same one. */
export function formatLabelSelector({ requirements }: LabelSelector): string {
  const format = ({ key, operator, values }: LabelRequirement): string => {
    if (operator === 'exists') return key
    if (operator === '!') return `!${key}`
    if (operator === 'in' || operator === 'notin') return `${key} ${operator} (${values.join(',')})`
    const symbol = operator === 'gt' ? '>' : operator === 'lt' ? '<' : operator
    return `${key}${symbol}${values[0] ?? ''}`
  }
  return requirements.map(format).join(',')
}

// --- the object form of label selectors

const OBJECT_OPERATORS: ReadonlyMap<string, LabelOperator> = new Map([
  ['In', 'in'],
  ['NotIn', 'notin'],
  ['Exists', 'exists'],
  ['DoesNotExist', '!'],
])

interface ObjectExpression {
  readonly key: string
  readonly operator: string
  readonly values: readonly string[]
}

const strings = (value: JsonValue | undefined): string[] =>
  Array.isArray(value) ? value.map(item => String(item)) : []
const text = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '')

function expressionsOf(selector: JsonValue | undefined): ObjectExpression[] {
  if (!isObject(selector) || !Array.isArray(selector.matchExpressions)) return []
  return selector.matchExpressions.map(entry => {
    const expression = isObject(entry) ? entry : {}
    return {
      key: text(expression.key),
      operator: text(expression.operator),
      values: strings(expression.values),
    }
  })
}

function matchLabelsOf(selector: JsonValue | undefined): Record<string, string> {
  const labels = isObject(selector) ? selector.matchLabels : undefined
  return isObject(labels) ? (labels as Record<string, string>) : {}
}

/**
 * metav1.LabelSelector {matchLabels, matchExpressions}. An absent one selects nothing, an empty one everything.
 * Throws 400 for an operator that does not exist; validateLabelSelector reports that as a field.
 */
export function labelSelectorFromObject(selector: JsonValue | undefined): LabelSelector {
  if (!isObject(selector)) return NOTHING
  const requirements: LabelRequirement[] = []
  for (const [key, value] of Object.entries(matchLabelsOf(selector))) {
    requirements.push({ key, operator: '=', values: [value] })
  }
  for (const { key, operator, values } of expressionsOf(selector)) {
    const known = OBJECT_OPERATORS.get(operator)
    if (known === undefined) {
      throw refused(`${JSON.stringify(operator)} is not a valid label selector operator`)
    }
    requirements.push({ key, operator: known, values: [...new Set(values)].sort() })
  }
  return selectorOf(requirements)
}

/** Everything wrong with a selector object. Ref: apimachinery/pkg/apis/meta/v1/validation ValidateLabelSelector */
export function validateLabelSelector(selector: JsonValue | undefined, path: string): FieldError[] {
  if (!isObject(selector)) return []
  const errors = validateLabels(matchLabelsOf(selector), `${path}.matchLabels`)
  expressionsOf(selector).forEach((expression, index) => {
    errors.push(...validateExpression(expression, `${path}.matchExpressions[${index}]`))
  })
  return errors
}

function validateExpression(expression: ObjectExpression, path: string): FieldError[] {
  const { key, operator, values } = expression
  const errors: FieldError[] = []
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0) {
      const detail = "must be specified when `operator` is 'In' or 'NotIn'"
      errors.push(required(`${path}.values`, detail))
    }
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0) {
      const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
      errors.push(forbiddenField(`${path}.values`, detail))
    }
  } else {
    errors.push(invalidValue(`${path}.operator`, operator, 'not a valid selector operator'))
  }
  for (const sentence of isQualifiedName(key)) {
    errors.push(invalidValue(`${path}.key`, key, sentence))
  }
  values.forEach((value, index) => {
    for (const sentence of isLabelValue(value)) {
      errors.push(invalidValue(`${path}.values[${index}]`, value, sentence))
    }
  })
  return errors
}
