// What a name may look like: DNS labels and subdomains, qualified names, label values, path segments, keys of maps.
// Each check returns upstream's sentences, none when the value is fine. Called by object-meta.ts, selectors.ts and strategies.
// Ref: apimachinery/pkg/util/validation/validation.go, apimachinery/pkg/api/validate/content/*.go

import type { JsonNumber } from './int64.ts'

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`
const DNS_1035 = '[a-z]([-a-z0-9]*[a-z0-9])?'
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'
const LABEL_VALUE = `(${QUALIFIED})?`
const CONFIG_KEY = '[-._a-zA-Z0-9]+'
const C_IDENTIFIER = '[A-Za-z_][A-Za-z0-9_]*'
const ENV_NAME = '[-._a-zA-Z][-._a-zA-Z0-9]*'
const HEADER_NAME = '[-A-Za-z0-9]+'
const PERCENT = '[0-9]+%'
const WILDCARD = `\\*\\.${SUBDOMAIN}`

// These patterns are fixed and linear enough under the length limits that surround each of them.
const whole = (pattern: string) => new RegExp(`^${pattern}$`)
const LABEL_RE = whole(LABEL)
const SUBDOMAIN_RE = whole(SUBDOMAIN)
const DNS_1035_RE = whole(DNS_1035)
const QUALIFIED_RE = whole(QUALIFIED)
const LABEL_VALUE_RE = whole(LABEL_VALUE)
const CONFIG_KEY_RE = whole(CONFIG_KEY)
const C_IDENTIFIER_RE = whole(C_IDENTIFIER)
const ENV_NAME_RE = whole(ENV_NAME)
const HEADER_NAME_RE = whole(HEADER_NAME)
const PERCENT_RE = whole(PERCENT)
const WILDCARD_RE = whole(WILDCARD)

const LABEL_SENTENCE =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character"
const SUBDOMAIN_SENTENCE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
const DNS_1035_SENTENCE =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character"
const QUALIFIED_SENTENCE =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
const LABEL_VALUE_SENTENCE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
const CONFIG_KEY_SENTENCE =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
const C_IDENTIFIER_SENTENCE =
  "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'"
const ENV_NAME_SENTENCE =
  "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit"
const WILDCARD_SENTENCE =
  "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
const HEADER_SENTENCE = "a valid HTTP header must consist of alphanumeric characters or '-'"
const PERCENT_SENTENCE = "a valid percent string must be a numeric string followed by an ending '%'"

/** The sentence for a value that misses its pattern: what it must be, examples, the pattern. */
export function patternMismatch(
  sentence: string,
  pattern: string,
  ...examples: readonly string[]
): string {
  const shown = `regex used for validation is '${pattern}')`
  if (examples.length === 0) return `${sentence} (${shown}`
  const list = examples.map(example => `'${example}', `).join(' or ')
  return `${sentence} (e.g. ${list}${shown}`
}

/** Length of a text as Go's len counts it. */
export function byteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8')
}

type LengthUnit = 'characters' | 'bytes'
const tooLongBy = (value: string, max: number, unit: LengthUnit): string[] =>
  byteLength(value) > max ? [`must be no more than ${max} ${unit}`] : []

/** A DNS-1123 label: names of namespaces, containers and so on. */
export function isDns1123Label(value: string): string[] {
  const errors = tooLongBy(value, 63, 'characters')
  if (LABEL_RE.test(value)) return errors
  const dotted = SUBDOMAIN_RE.test(value)
  const sentence = patternMismatch(LABEL_SENTENCE, LABEL, 'my-name', '123-abc')
  return [...errors, dotted ? 'must not contain dots' : sentence]
}

/** A DNS-1123 subdomain: the names of most objects. `unit` is how a too long one is described. */
export function isDns1123Subdomain(value: string, unit: LengthUnit = 'characters'): string[] {
  const errors = tooLongBy(value, 253, unit)
  if (SUBDOMAIN_RE.test(value)) return errors
  return [...errors, patternMismatch(SUBDOMAIN_SENTENCE, SUBDOMAIN, 'example.com')]
}

/** A DNS-1035 label: names of Services. */
export function isDns1035Label(value: string): string[] {
  const errors = tooLongBy(value, 63, 'characters')
  if (DNS_1035_RE.test(value)) return errors
  return [...errors, patternMismatch(DNS_1035_SENTENCE, DNS_1035, 'my-name', 'abc-123')]
}

/** `*.` and a DNS-1123 subdomain: hosts of Ingresses. */
export function isWildcardDns1123Subdomain(value: string): string[] {
  const errors = tooLongBy(value, 253, 'characters')
  if (WILDCARD_RE.test(value)) return errors
  return [...errors, patternMismatch(WILDCARD_SENTENCE, WILDCARD, '*.example.com')]
}

/** A label key, finalizer or condition type: `[prefix/]name`. */
export function isQualifiedName(value: string): string[] {
  const parts = value.split('/')
  const shape = patternMismatch(QUALIFIED_SENTENCE, QUALIFIED, 'MyName', 'my.name', '123-abc')
  if (parts.length > 2) {
    const optional = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
    return [`a valid label key ${shape}${optional}`]
  }
  const name = parts.at(-1) ?? ''
  const errors: string[] = []
  if (parts.length === 2) {
    const prefix = parts[0] ?? ''
    if (prefix === '') errors.push('prefix part must be non-empty')
    else {
      errors.push(...isDns1123Subdomain(prefix, 'bytes').map(error => `prefix part ${error}`))
    }
  }
  if (name === '') errors.push('name part must be non-empty')
  else errors.push(...tooLongBy(name, 63, 'bytes').map(error => `name part ${error}`))
  if (!QUALIFIED_RE.test(name)) errors.push(`name part ${shape}`)
  return errors
}

/** A label's value. */
export function isLabelValue(value: string): string[] {
  const errors = tooLongBy(value, 63, 'bytes')
  if (LABEL_VALUE_RE.test(value)) return errors
  const examples = ['MyValue', 'my_value', '12345']
  return [...errors, patternMismatch(LABEL_VALUE_SENTENCE, LABEL_VALUE, ...examples)]
}

/** A key of ConfigMap.data and Secret.data. */
export function isConfigMapKey(value: string): string[] {
  const errors = tooLongBy(value, 253, 'characters')
  if (!CONFIG_KEY_RE.test(value)) {
    const examples = ['key.name', 'KEY_NAME', 'key-name']
    errors.push(patternMismatch(CONFIG_KEY_SENTENCE, CONFIG_KEY, ...examples))
  }
  return [...errors, ...parentDirectory(value)]
}

export function isCIdentifier(value: string): string[] {
  if (C_IDENTIFIER_RE.test(value)) return []
  return [patternMismatch(C_IDENTIFIER_SENTENCE, C_IDENTIFIER, 'my_name', 'MY_NAME', 'MyName')]
}

export function isEnvVarName(value: string): string[] {
  const examples = ['my.env-name', 'MY_ENV.NAME', 'MyEnvName1']
  const mismatch = patternMismatch(ENV_NAME_SENTENCE, ENV_NAME, ...examples)
  return [...(ENV_NAME_RE.test(value) ? [] : [mismatch]), ...parentDirectory(value)]
}

export function isHttpHeaderName(value: string): string[] {
  if (HEADER_NAME_RE.test(value)) return []
  return [patternMismatch(HEADER_SENTENCE, HEADER_NAME, 'X-Header-Name')]
}

export function isPercent(value: string): string[] {
  return PERCENT_RE.test(value) ? [] : [patternMismatch(PERCENT_SENTENCE, PERCENT, '1%', '93%')]
}

/** The name of a container's port, as Services and probes refer to it. */
export function isPortName(value: string): string[] {
  const errors = tooLongBy(value, 15, 'characters')
  if (!/^[-a-z0-9]+$/.test(value)) {
    errors.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)')
  }
  if (!/[a-z]/.test(value)) errors.push('must contain at least one letter (a-z)')
  if (value.includes('--')) errors.push('must not contain consecutive hyphens')
  if (/^-|-$/.test(value)) errors.push('must not begin or end with a hyphen')
  return errors
}

/** `must be between 1 and 65535, inclusive` */
export function isInRange(value: JsonNumber, min: number, max: number): string[] {
  return value >= min && value <= max ? [] : [`must be between ${min} and ${max}, inclusive`]
}

export const isPortNumber = (value: number): string[] => isInRange(value, 1, 65535)

function parentDirectory(value: string): string[] {
  if (value === '.') return ["must not be '.'"]
  if (value === '..') return ["must not be '..'"]
  return value.startsWith('..') ? ["must not start with '..'"] : []
}

/** What a URL path can carry: names of RBAC objects and of custom kinds that check nothing else. */
export function isPathSegmentName(name: string, prefix = false): string[] {
  if (!prefix && (name === '.' || name === '..')) return [`may not be '${name}'`]
  return ['/', '%'].filter(part => name.includes(part)).map(part => `may not contain '${part}'`)
}

/** A rule for metadata.name; with `prefix` the value is a generateName, to which characters are still appended. */
export type NameRule = (name: string, prefix: boolean) => readonly string[]

const ofPrefix = (name: string, prefix: boolean): string =>
  prefix && name.length > 1 && name.endsWith('-') ? `${name.slice(0, -2)}a` : name

export const nameIsDnsSubdomain: NameRule = (name, prefix) =>
  isDns1123Subdomain(ofPrefix(name, prefix))
export const nameIsDnsLabel: NameRule = (name, prefix) => isDns1123Label(ofPrefix(name, prefix))
export const nameIsDns1035Label: NameRule = (name, prefix) => isDns1035Label(ofPrefix(name, prefix))
export const nameIsPathSegment: NameRule = (name, prefix) => isPathSegmentName(name, prefix)

// No vowels and none of 0, 1, 3: a suffix never spells a word. Ref: apimachinery/pkg/util/rand/rand.go
const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'
const SUFFIX_LENGTH = 5
const NAME_LENGTH_MAX = 63

/** `base` (cut so that the whole stays within 63) and five characters. `random` returns integers below its argument. */
export function generateName(base: string, random: (below: number) => number): string {
  let suffix = ''
  for (let i = 0; i < SUFFIX_LENGTH; i += 1) {
    suffix += SUFFIX_ALPHABET[random(SUFFIX_ALPHABET.length)]
  }
  return base.slice(0, NAME_LENGTH_MAX - SUFFIX_LENGTH) + suffix
}
