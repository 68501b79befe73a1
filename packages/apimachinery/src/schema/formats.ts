// String formats of OpenAPI schemas: which names are known and what each accepts. Called by validate.ts.
// Ref: apiextensions-apiserver/pkg/apiserver/validation/formats.go, kube-openapi/pkg/validation/strfmt/default.go

import { isIPv4, isIPv6 } from 'node:net'
import { RE2JS } from 're2js'

/** Whether `text` has the format; undefined when no format of that name exists. Dashes in names do not count. */
export function hasFormat(format: string, text: string): boolean | undefined {
  return FORMATS[format.replaceAll('-', '')]?.(text)
}

/** The format a CRD's value is held to: unknown ones, and ones of another type, are ignored. */
export function effectiveFormat(types: readonly string[], format: string | undefined): string {
  if (format === undefined || format === '') return ''
  const type = types.length === 1 ? types[0]! : ''
  if (type === '' || type === 'string') {
    return Object.hasOwn(FORMATS, format.replaceAll('-', '')) ? format : ''
  }
  return NUMBER_FORMATS[type]?.includes(format) ? format : ''
}

const NUMBER_FORMATS: Readonly<Record<string, readonly string[]>> = {
  integer: ['int32', 'int64'],
  number: ['float', 'double'],
}

// These expressions are ours and run in linear time, but for the host name's, which only RE2 makes safe.
const matches = (expression: RegExp) => (text: string) => expression.test(text)
const SHORT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const HOSTNAME = RE2JS.compile(
  '^([a-zA-Z0-9\\p{S}\\p{L}]((-?[a-zA-Z0-9\\p{S}\\p{L}]{0,62})?)' +
    '|([a-zA-Z0-9\\p{S}\\p{L}](([a-zA-Z0-9-\\p{S}\\p{L}]{0,61}[a-zA-Z0-9\\p{S}\\p{L}])?)(\\.)){1,}' +
    '([a-zA-Z\\p{L}]){2,63})$',
)
const CARD_NUMBER =
  /^(4\d{12}(\d{3})?|5[1-5]\d{14}|6(011|5\d\d)\d{12}|3[47]\d{13}|3(0[0-5]|[68]\d)\d{11}|(2131|1800|35\d{3})\d{11})$/
const TIME_OF_DAY = /^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(.\d+)?(z|[+-]\d{2}:\d{2})$/
const GO_DURATION = /^[-+]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$/
const MAC =
  /^[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}((\1[0-9a-f]{2}){2}|(\1[0-9a-f]{2}){14})?$/i
const DOTTED_MAC = /^[0-9a-f]{4}(\.[0-9a-f]{4}){2}(\.[0-9a-f]{4}|(\.[0-9a-f]{4}){7})?$/i
const RGB_COLOR =
  /^rgb\(\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*\)$/

const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  bsonobjectid: matches(/^[0-9a-fA-F]{24}$/),
  uri: isRequestUri,
  email: isEmail,
  hostname: text =>
    HOSTNAME.matcher(text).find() &&
    bytes(text) <= 255 &&
    text.split('.').every(part => bytes(part) <= 63),
  ipv4: text => isIPv4(withoutLeadingZeros(text)) || (text.includes('.') && isPlainIPv6(text)),
  ipv6: isPlainIPv6,
  cidr: isCidr,
  mac: text => MAC.test(text) || DOTTED_MAC.test(text),
  uuid: matches(/^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i),
  uuid3: matches(/^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i),
  uuid4: matches(/^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i),
  uuid5: matches(/^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i),
  isbn: text => isIsbn10(text) || isIsbn13(text),
  isbn10: isIsbn10,
  isbn13: isIsbn13,
  creditcard: isCreditCard,
  ssn: text => text.length === 11 && /^\d{3}[- ]?\d{2}[- ]?\d{4}$/.test(text),
  hexcolor: matches(/^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/),
  rgbcolor: matches(RGB_COLOR),
  byte: matches(/^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/),
  password: () => true,
  date: isDate,
  duration: isDuration,
  datetime: text => {
    const [day = '', time] = text.toLowerCase().split('t')
    return time !== undefined && isDate(day) && TIME_OF_DAY.test(time)
  },
  k8sshortname: text => text.length <= 63 && SHORT_NAME.test(text),
  k8slongname: text => text.length <= 253 && text.split('.').every(part => SHORT_NAME.test(part)),
}

function bytes(text: string): number {
  return Buffer.byteLength(text)
}

/** What Go's url.ParseRequestURI accepts, near enough: an absolute URI or path without control characters. */
function isRequestUri(text: string): boolean {
  if (!/^([a-zA-Z][a-zA-Z0-9+.-]*:|\/)/.test(text) || hasControlCharacter(text)) return false
  const authority = /^[^:/?#]*:?\/\/([^/?#]*)/.exec(text)?.[1]
  if (authority === undefined) return !/%(?![0-9a-fA-F]{2})/.test(text.split('?')[0]!)
  const host = authority.slice(authority.lastIndexOf('@') + 1)
  return !/[ "<>^`{|}\\]/.test(host) && (host.startsWith('[') || /^[^:]*(:\d*)?$/.test(host))
}

function hasControlCharacter(text: string): boolean {
  return [...text].some(c => c < ' ' || c === '\x7f')
}

/** An address with an optional display name, as mail readers write it. */
function isEmail(text: string): boolean {
  const address = /^\s*(?:"(?:[^"\\]|\\.)*"\s*|[^<>"@,;:]*)<([^<>]+)>\s*$/.exec(text)?.[1] ?? text
  return /^\s*(?:[^\s@<>()[\]\\,;:".]+(?:\.[^\s@<>()[\]\\,;:".]+)*|"(?:[^"\\]|\\.)+")@(?:[^\s@<>()[\]\\,;:".]+(?:\.[^\s@<>()[\]\\,;:".]+)*|\[[^[\]\\]*\])\s*$/.test(
    address,
  )
}

/** Leading zeros in IPv4 are tolerated, as Go did before 1.17. */
function withoutLeadingZeros(text: string): string {
  return text.replace(/(^|\.)0+(?=\d)/g, '$1')
}

function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%')
}

function isCidr(text: string): boolean {
  const slash = text.indexOf('/')
  const address = text.slice(0, Math.max(slash, 0))
  const bits = text.slice(slash + 1)
  if (!/^\d{1,3}$/.test(bits)) return false
  if (isIPv4(withoutLeadingZeros(address))) return Number(bits) <= 32
  return isPlainIPv6(address) && Number(bits) <= 128
}

function isDate(text: string): boolean {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text)
  if (match === null) return false
  const [year, month, day] = match.slice(1).map(Number) as [number, number, number]
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
  return days !== undefined && day >= 1 && day <= days
}

const UNITS = ['ns', 'us', 'µs', 'ms', 's', 'm', 'h', 'hr', 'd', 'w', 'wk']
const UNIT_WORDS = ['nano', 'micro', 'milli', 'sec', 'min', 'hour', 'day', 'week']

/** Go's durations, and words in Scala's manner anywhere in the text: `22 ns`, `3 weeks`. */
function isDuration(text: string): boolean {
  if (GO_DURATION.test(text)) return true
  for (const [, unit] of text.matchAll(/\d+\s*([A-Za-zµ]+)/g)) {
    const word = unit!.toLowerCase()
    // Go matches the last spelling of each unit as a prefix, and for s to w that last spelling is a word.
    if (UNITS.includes(word) || UNIT_WORDS.some(prefix => word.startsWith(prefix))) return true
  }
  return false
}

function isIsbn10(text: string): boolean {
  const digits = text.replace(/[\s-]+/g, '')
  if (!/^(?:[0-9]{9}X|[0-9]{10})$/.test(digits)) return false
  const sum = [...digits].reduce((total, c, i) => total + (i + 1) * (c === 'X' ? 10 : +c), 0)
  return sum % 11 === 0
}

function isIsbn13(text: string): boolean {
  const digits = text.replace(/[\s-]+/g, '')
  if (!/^[0-9]{13}$/.test(digits)) return false
  return [...digits].reduce((total, c, i) => total + (i % 2 === 0 ? 1 : 3) * +c, 0) % 10 === 0
}

/** The Luhn check over the digits, doubles of ten or more counting their last digit and one. */
function isCreditCard(text: string): boolean {
  const digits = text.replace(/[^0-9]+/g, '')
  if (!CARD_NUMBER.test(digits)) return false
  const values = [...digits].reverse().map((c, i) => (i % 2 === 1 ? Number(c) * 2 : Number(c)))
  return values.reduce((total, value) => total + (value > 9 ? value - 9 : value), 0) % 10 === 0
}
