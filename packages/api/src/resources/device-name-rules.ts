// Names in dynamic resource allocation: of drivers' pools, of attributes and capacities, of requests; and lists of things
// that have names. Called by the other device-*-rules.ts. Ref: kubernetes/pkg/apis/resource/validation

import {
  duplicate,
  type FieldError,
  invalidValue,
  isCIdentifier,
  isDns1123Label,
  isDns1123Subdomain,
  isLabelValue,
  isQualifiedName,
  type JsonValue,
  required,
  tooLong,
  tooMany,
} from '@podless/apimachinery'
import { driverNameErrors } from './storage-driver-rules.ts'

const POOL_NAME_MAX = 253
const ID_MAX = 32
const UID_LENGTHS = [32, 36, 38, 45]
const HEX = /^[0-9a-f]{32}$/i
const HYPHENATED = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

interface ListRules<T> {
  readonly max: number
  /** What no two items may have in common. */
  readonly keyOf?: (item: T) => string
  /** How a repeated key is shown; the key itself unless given. */
  readonly shown?: (item: T) => JsonValue
}

/** Everything wrong with a list: its length alone when that is too much, else its items and what is there twice. */
export function listErrors<T>(
  items: readonly T[],
  path: string,
  { max, keyOf, shown }: ListRules<T>,
  check: (item: T, path: string) => readonly FieldError[],
): FieldError[] {
  if (items.length > max) return [tooMany(path, items.length, max)]
  const errors = items.flatMap((item, index) => check(item, `${path}[${index}]`))
  if (keyOf === undefined) return errors
  const seen = new Set<string>()
  items.forEach((item, index) => {
    const key = keyOf(item)
    if (seen.has(key)) errors.push(duplicate(`${path}[${index}]`, shown?.(item) ?? key))
    seen.add(key)
  })
  return errors
}

const sentences = (check: (text: string) => string[]) => (text: string, path: string) =>
  check(text).map(why => invalidValue(path, text, why))

/** A label of DNS: the name of a request, a device or a counter. */
export const labelErrors = sentences(isDns1123Label)
/** The key of a label: a condition's type, a taint's key. */
export const labelKeyErrors = sentences(isQualifiedName)
export const labelValueErrors = sentences(isLabelValue)

/** The name of a DeviceClass. */
export function classNameErrors(name: string, path: string): FieldError[] {
  if (name === '') return [required(path)]
  return isDns1123Subdomain(name).map(text => invalidValue(path, name, text))
}

/** The name of a pool: names of DNS with slashes between them. */
export function poolNameErrors(name: string, path: string): FieldError[] {
  if (name === '') return [required(path)]
  return [
    ...(Buffer.byteLength(name) > POOL_NAME_MAX ? [tooLong(path, POOL_NAME_MAX)] : []),
    ...name
      .split('/')
      .flatMap(part => isDns1123Subdomain(part).map(text => invalidValue(path, part, text))),
  ]
}

function identifierErrors(id: string, path: string): FieldError[] {
  return [
    ...(Buffer.byteLength(id) > ID_MAX ? [tooLong(path, ID_MAX)] : []),
    ...isCIdentifier(id).map(text => invalidValue(path, id, text)),
  ]
}

/** The name of an attribute or a capacity, with or without a domain. */
export function qualifiedNameErrors(name: string, path: string): FieldError[] {
  const [first = '', second, ...more] = name.split('/')
  // NOTE: upstream takes any name with more than one slash.
  if (more.length > 0) return []
  if (second === undefined) return identifierErrors(first, path)
  return [
    ...(first === ''
      ? [invalidValue(path, '', 'the domain must not be empty')]
      : driverNameErrors(first, path)),
    ...(second === ''
      ? [invalidValue(path, '', 'the name must not be empty')]
      : identifierErrors(second, path)),
  ]
}

/** The same, with a domain. */
export function fullyQualifiedNameErrors(name: string, path: string): FieldError[] {
  const errors = qualifiedNameErrors(name, path)
  if (name.includes('/')) return errors
  const detail = 'a fully qualified name must be a domain and a name separated by a slash'
  return [...errors, invalidValue(path, name, detail)]
}

/** The identity of a share of a device. */
export function shareIdErrors(uid: string, path: string): FieldError[] {
  const problem = uuidProblem(uid)
  if (problem !== undefined) {
    return [invalidValue(path, uid, `error validating uid: ${problem}`)]
  }
  if (uid.length === 36 && uid === uid.toLowerCase()) return []
  const detail =
    'uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters'
  return [invalidValue(path, uid, detail)]
}

/** Why a text is no UUID in any of its forms, in the words of upstream's library. */
function uuidProblem(text: string): string | undefined {
  const length = Buffer.byteLength(text)
  if (!UID_LENGTHS.includes(length)) return `invalid UUID length: ${length}`
  if (length === 32) return HEX.test(text) ? undefined : 'invalid UUID format'
  const prefix = text.slice(0, 9)
  if (length === 45 && prefix.toLowerCase() !== 'urn:uuid:') {
    return `invalid urn prefix: ${JSON.stringify(prefix)}`
  }
  const isBracketed = text.startsWith('{') && text.endsWith('}')
  if (length === 38 && !isBracketed) return 'invalid bracketed UUID format'
  const bare = length === 45 ? text.slice(9) : length === 38 ? text.slice(1, -1) : text
  return HYPHENATED.test(bare) ? undefined : 'invalid UUID format'
}
