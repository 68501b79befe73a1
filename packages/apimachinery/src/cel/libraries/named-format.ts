// Formats of names and texts: format.dns1123Label().validate(x). Called by registry.ts.
// Ref: apiserver/pkg/cel/library/format.go

import {
  isLabelValue,
  isQualifiedName,
  nameIsDns1035Label,
  nameIsDnsLabel,
  nameIsDnsSubdomain,
} from '../../names.ts'
import { hasFormat } from '../../schema/formats.ts'
import { type CelType, NAMED_FORMAT } from '../cel-type.ts'
import type { Library } from '../function.ts'
import { ArrayList, CelOpaque, CelOptional, type CelValue, NONE } from '../value.ts'
import { readRequestUri } from './url.ts'

type Check = (text: string) => readonly string[]

class NamedFormat extends CelOpaque {
  readonly type: CelType = NAMED_FORMAT
  readonly check: Check
  readonly #regexSize: number

  constructor(check: Check, regexSize: number) {
    super()
    this.check = check
    this.#regexSize = regexSize
  }

  equals(other: CelOpaque): boolean {
    return this === other
  }

  /** Checking costs as much as matching a regular expression of this length. */
  override costSize(): number {
    return this.#regexSize
  }
}

function schemaFormat(format: string, message: string): Check {
  return text => (hasFormat(format, text) === true ? [] : [message])
}

function checkUri(text: string): readonly string[] {
  const parts = readRequestUri(text)
  return typeof parts === 'string' ? [parts] : []
}

const FORMATS: ReadonlyMap<string, NamedFormat> = new Map(
  (
    [
      ['dns1123Label', text => nameIsDnsLabel(text, false), 30],
      ['dns1123Subdomain', text => nameIsDnsSubdomain(text, false), 60],
      ['dns1035Label', text => nameIsDns1035Label(text, false), 30],
      ['qualifiedName', isQualifiedName, 60],
      ['dns1123LabelPrefix', text => nameIsDnsLabel(text, true), 30],
      ['dns1123SubdomainPrefix', text => nameIsDnsSubdomain(text, true), 60],
      ['dns1035LabelPrefix', text => nameIsDns1035Label(text, true), 30],
      ['labelValue', isLabelValue, 40],
      ['uri', checkUri, 1103],
      ['uuid', schemaFormat('uuid', 'does not match the UUID format'), 70],
      ['byte', schemaFormat('byte', 'invalid base64'), 84],
      ['date', schemaFormat('date', 'invalid date'), 71],
      ['datetime', schemaFormat('datetime', 'invalid datetime'), 71],
    ] satisfies [string, Check, number][]
  ).map(([name, check, regexSize]) => [name, new NamedFormat(check, regexSize)]),
)

function validate(format: NamedFormat, text: string): CelValue {
  const problems = format.check(text)
  return problems.length === 0 ? NONE : new CelOptional(new ArrayList([...problems]))
}

function named(name: string): CelValue {
  const format = FORMATS.get(name)
  return format === undefined ? NONE : new CelOptional(format)
}

export const NAMED_FORMATS: Library = {
  validate: {
    'format-validate': ['kubernetes.NamedFormat.(string) -> optional_type(list(string))', validate],
  },
  'format.named': { 'format-named': ['(string) -> optional_type(kubernetes.NamedFormat)', named] },
  ...Object.fromEntries(
    [...FORMATS].map(([name, format]) => [
      `format.${name}`,
      { [`format.${name}`]: ['() -> kubernetes.NamedFormat', () => format] as const },
    ]),
  ),
}
