// Field selectors: `metadata.name=a,type!=b`, with backslash escapes. Called by options.ts and the cacher's filters.
// Ref: apimachinery/pkg/fields/selector.go

import { badRequest } from './status.ts'

export interface FieldRequirement {
  readonly field: string
  readonly op: '=' | '!='
  readonly value: string
}

export interface FieldSelector {
  readonly requirements: readonly FieldRequirement[]
  /** True when it selects everything. */
  readonly empty: boolean
  /** An absent field counts as the empty string. */
  readonly matches: (getField: (field: string) => string | undefined) => boolean
}

function selectorOf(requirements: readonly FieldRequirement[]): FieldSelector {
  return {
    requirements,
    empty: requirements.length === 0,
    matches: getField =>
      requirements.every(
        ({ field, op, value }) => ((getField(field) ?? '') === value) === (op === '='),
      ),
  }
}

const EVERY_OBJECT = selectorOf([])

/** Parses a field selector. Throws 400 with upstream's sentence. Which fields exist is checkFieldLabels' business. */
export function parseFieldSelector(text: string): FieldSelector {
  if (text === '') return EVERY_OBJECT
  const requirements: FieldRequirement[] = []
  for (const term of splitTerms(text).sort()) {
    if (term === '') continue
    const operator = /!=|==|=/.exec(term)
    if (operator === null) {
      throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`)
    }
    requirements.push({
      field: term.slice(0, operator.index),
      op: operator[0] === '!=' ? '!=' : '=',
      value: unescapeValue(term.slice(operator.index + operator[0].length)),
    })
  }
  return selectorOf(requirements)
}

/** Commas separate terms unless a backslash stands before them; backslashes stay for unescapeValue. */
function splitTerms(text: string): string[] {
  const terms = ['']
  let escaped = false
  for (const character of text) {
    if (character === ',' && !escaped) {
      terms.push('')
      continue
    }
    escaped = !escaped && character === '\\'
    terms[terms.length - 1] += character
  }
  return terms
}

function unescapeValue(text: string): string {
  let value = ''
  let escaped = false
  for (const character of text) {
    if (escaped) {
      if (!'\\,='.includes(character)) throw badEscape(`\\${character}`)
      value += character
      escaped = false
    } else if (character === '\\') escaped = true
    else if (character === ',' || character === '=') {
      // NOTE: upstream prints the rune as its number.
      const code = character.codePointAt(0)
      throw badRequest(`invalid field selector: unescaped character in value: ${code}`)
    } else value += character
  }
  if (escaped) throw badEscape('\\')
  return value
}

const badEscape = (sequence: string) =>
  badRequest(`invalid field selector: invalid escape sequence: ${sequence}`)

/** The value as a field selector's right side must spell it. */
export function escapeFieldValue(value: string): string {
  return value.replaceAll(/[\\,=]/g, character => `\\${character}`)
}

const ALWAYS_SELECTABLE: ReadonlySet<string> = new Set(['metadata.name', 'metadata.namespace'])

/**
 * Throws 400 when the selector names a field that cannot be selected by. `selectable` has the fields besides
 * metadata.name and metadata.namespace; built-in kinds that have any answer in other words than those that have none.
 * `custom` is set for custom resources, of which only namespaced ones can be selected by namespace.
 */
export function checkFieldLabels(
  selector: FieldSelector,
  selectable: { readonly size: number; has(field: string): boolean },
  custom?: { readonly namespaced: boolean },
): void {
  for (const { field } of selector.requirements) {
    if (selectable.has(field)) continue
    const isNamespaceOfNone = custom?.namespaced === false && field === 'metadata.namespace'
    if (ALWAYS_SELECTABLE.has(field) && !isNamespaceOfNone) continue
    const name = JSON.stringify(field)
    throw badRequest(
      selectable.size > 0 || custom !== undefined
        ? `field label not supported: ${field}`
        : `${name} is not a known field selector: only "metadata.name", "metadata.namespace"`,
    )
  }
}
