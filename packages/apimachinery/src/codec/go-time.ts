// The two time formats of API objects, parsed and printed as Go's time package does, error texts included.
// Called by typed.ts and protobuf.ts. Ref: apimachinery/pkg/apis/meta/v1/time.go, micro_time.go

import { DecodeError, quoteGo } from './decode-error.ts'

/** Seconds since 1970 and nanoseconds within the second. */
export interface Instant {
  readonly seconds: number
  readonly nanos: number
}

/** Go's zero time, year 1, which is written as null. */
const ZERO_SECONDS = -62_135_596_800

interface Element {
  /** How Go's layout spells it. */
  readonly text: string
  readonly read: (value: string, at: number) => { next: number; out: number } | undefined
  /** The name for `X out of range`. */
  readonly range?: readonly [name: string, min: number, max: number]
}

const isDigit = (char: string | undefined): boolean =>
  char !== undefined && char >= '0' && char <= '9'

const YEAR: Element = {
  text: '2006',
  read: (value, at) =>
    /^[0-9]{4}$/.test(value.slice(at, at + 4))
      ? { next: at + 4, out: Number(value.slice(at, at + 4)) }
      : undefined,
}

function twoDigits(text: string, range?: Element['range'], mayBeOne = false): Element {
  return {
    text,
    ...(range === undefined ? {} : { range }),
    read: (value, at) => {
      if (!isDigit(value[at])) return undefined
      if (isDigit(value[at + 1])) return { next: at + 2, out: Number(value.slice(at, at + 2)) }
      return mayBeOne ? { next: at + 1, out: Number(value[at]) } : undefined
    },
  }
}

const MICROS: Element = {
  text: '.000000',
  read: (value, at) =>
    /^[.,][0-9]{6}$/.test(value.slice(at, at + 7))
      ? { next: at + 7, out: Number(value.slice(at + 1, at + 7)) * 1000 }
      : undefined,
}

const ZONE: Element = {
  text: 'Z07:00',
  read: (value, at) => {
    if (value[at] === 'Z') return { next: at + 1, out: 0 }
    const match = /^([+-])([0-9]{2}):([0-9]{2})$/.exec(value.slice(at, at + 6))
    if (match === null) return undefined
    const [, sign, hours, minutes] = match
    if (Number(hours) > 24 || Number(minutes) > 60) return undefined
    const offset = (Number(hours) * 60 + Number(minutes)) * 60
    return { next: at + 6, out: sign === '-' ? -offset : offset }
  },
}

const DATE: readonly (Element | string)[] = [
  YEAR,
  '-',
  twoDigits('01', ['month', 1, 12]),
  '-',
  twoDigits('02'),
  'T',
  twoDigits('15', ['hour', 0, 23], true),
  ':',
  twoDigits('04', ['minute', 0, 59]),
  ':',
  twoDigits('05', ['second', 0, 59]),
]
const RFC3339: readonly (Element | string)[] = [...DATE, ZONE]
const RFC3339_MICRO: readonly (Element | string)[] = [...DATE, MICROS, ZONE]

/** Reads RFC 3339, with any fraction of a second. Throws DecodeError with Go's text. */
export function parseTime(text: string): Instant {
  return parse(text, RFC3339, '2006-01-02T15:04:05Z07:00')
}

/** Reads RFC 3339 with exactly six digits of a second's fraction. Throws DecodeError with Go's text. */
export function parseMicroTime(text: string): Instant {
  return parse(text, RFC3339_MICRO, '2006-01-02T15:04:05.000000Z07:00')
}

function parse(text: string, layout: readonly (Element | string)[], layoutText: string): Instant {
  const fail = (rest: string, element: string): never => {
    throw new DecodeError(
      `parsing time ${quoteGo(text)} as ${quoteGo(layoutText)}: cannot parse ${quoteGo(rest)} as ${quoteGo(element)}`,
    )
  }
  const failWith = (why: string): never => {
    throw new DecodeError(`parsing time ${quoteGo(text)}: ${why}`)
  }
  const parts: number[] = []
  let nanos = 0
  let at = 0
  for (const element of layout) {
    if (typeof element === 'string') {
      if (text[at] !== element) fail(text.slice(at), element)
      at++
      continue
    }
    const read = element.read(text, at)
    if (read === undefined) return fail(text.slice(at), element.text)
    const [name = '', min = read.out, max = read.out] = element.range ?? []
    if (read.out < min || read.out > max) failWith(`${name} out of range`)
    at = read.next
    if (element === MICROS) nanos = read.out
    else parts.push(read.out)
    if (element.text !== '05' || layout.includes(MICROS)) continue
    const fraction = /^[.,][0-9]+/.exec(text.slice(at))?.[0] ?? ''
    nanos = fraction === '' ? 0 : Number(fraction.slice(1, 10).padEnd(9, '0'))
    at += fraction.length
  }
  if (at < text.length) failWith(`extra text: ${quoteGo(text.slice(at))}`)
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0, offset = 0] = parts
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCDate() !== day || date.getUTCMonth() !== month - 1) failWith('day out of range')
  date.setUTCHours(hour, minute, second)
  return { seconds: date.getTime() / 1000 - offset, nanos }
}

/** True for Go's zero time. */
export function isZeroTime({ seconds, nanos }: Instant): boolean {
  return seconds === ZERO_SECONDS && nanos === 0
}

export const ZERO_TIME: Instant = { seconds: ZERO_SECONDS, nanos: 0 }

/** `2024-01-02T03:04:05Z`: UTC, whole seconds, as metav1.Time is written. */
export function formatTime({ seconds }: Instant): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}

/** `2024-01-02T03:04:05.000006Z`: UTC, microseconds, as metav1.MicroTime is written. */
export function formatMicroTime(instant: Instant): string {
  const micros = String(Math.floor(instant.nanos / 1000)).padStart(6, '0')
  return formatTime(instant).replace('Z', `.${micros}Z`)
}
