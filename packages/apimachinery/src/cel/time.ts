// Durations and timestamps: reading, printing, arithmetic and calendar fields. Called by
// libraries/standard.ts and schema-value.ts. Ref: cel-go/common/types/{duration,timestamp}.go

import { CelDuration, CelError, CelTimestamp, fitsInt } from './value.ts'

const SECOND = 1_000_000_000n
const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: SECOND,
  m: 60n * SECOND,
  h: 3600n * SECOND,
}
/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999999Z */
const MIN_SECONDS = -62135596800n
const MAX_SECONDS = 253402300799n

/**
 * A duration as Go writes it (`1h30m`, `-1.5s`, `0`), in nanoseconds; undefined when it is none.
 */
export function readGoDuration(text: string): bigint | undefined {
  if (/^[+-]?0$/.test(text)) return 0n
  const match = /^([+-]?)((?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(text)
  if (match === null) return undefined
  let total = 0n
  for (const part of (match[2] as string).matchAll(/([0-9]*)\.?([0-9]*)([a-zµμ]+)/g)) {
    const unit = UNITS[part[3] as string] as bigint
    const fraction = (part[2] as string).slice(0, 18)
    total += BigInt(part[1] || '0') * unit
    total += (BigInt(fraction || '0') * unit) / 10n ** BigInt(fraction.length)
  }
  const nanos = match[1] === '-' ? -total : total
  return fitsInt(nanos) ? nanos : undefined
}

/** duration("..."): Go's form only. */
export function readDuration(text: string): CelDuration | CelError {
  const nanos = readGoDuration(text)
  if (nanos !== undefined) return new CelDuration(nanos)
  return new CelError(`type conversion error from 'string' to 'google.protobuf.Duration'`)
}

/** Seconds with as many digits as needed: `1.5s`. */
export function printDuration(duration: CelDuration): string {
  const { nanos } = duration
  const size = nanos < 0n ? -nanos : nanos
  const fraction = (size % SECOND).toString().padStart(9, '0').replace(/0+$/, '')
  const sign = nanos < 0n ? '-' : ''
  return `${sign}${size / SECOND}${fraction === '' ? '' : `.${fraction}`}s`
}

const RFC3339 =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})$/

/** Nanoseconds since 1970, and minutes east of UTC as written. */
export interface Instant {
  readonly nanos: bigint
  readonly offset: number
}

/** An RFC 3339 instant; undefined when it is none. */
export function readInstant(text: string): Instant | undefined {
  const match = RFC3339.exec(text)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    ...[number, number, number],
    ...[number, number, number],
  ]
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const offset = readOffset(match[8] as string)
  const days = daysSinceEpoch(year, month, day)
  if (days === undefined || offset === undefined) return undefined
  const seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset * 60
  const fraction = (match[7] ?? '').slice(0, 9).padEnd(9, '0')
  return { nanos: BigInt(seconds) * SECOND + BigInt(fraction), offset }
}

/** Minutes east of UTC. */
function readOffset(zone: string): number | undefined {
  if (zone === 'Z') return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(4, 6))
  if (hours > 24 || minutes > 60) return undefined
  return (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes)
}

function daysSinceEpoch(year: number, month: number, day: number): number | undefined {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  return date.getTime() / 86_400_000
}

/** timestamp("...") */
export function readTimestamp(text: string): CelTimestamp | CelError {
  const instant = readInstant(text)
  if (instant !== undefined) return makeTimestamp(instant.nanos, instant.offset)
  return new CelError(`type conversion error from 'string' to 'google.protobuf.Timestamp'`)
}

/** A timestamp when it lies between the years 1 and 9999. */
export function makeTimestamp(nanos: bigint, offset = 0): CelTimestamp | CelError {
  const seconds = floorDivide(nanos, SECOND)
  if (seconds < MIN_SECONDS || seconds > MAX_SECONDS) return new CelError('timestamp overflow')
  return new CelTimestamp(nanos, offset)
}

export function timestampOfSeconds(seconds: bigint): CelTimestamp | CelError {
  return makeTimestamp(seconds * SECOND)
}

/** Whole seconds since 1970, rounded down. */
export function secondsOf(timestamp: CelTimestamp): bigint {
  return floorDivide(timestamp.nanos, SECOND)
}

/** A duration when it fits 64 bits of nanoseconds. */
export function makeDuration(nanos: bigint): CelDuration | CelError {
  return fitsInt(nanos) ? new CelDuration(nanos) : new CelError('integer overflow')
}

/** RFC 3339 with as many fractional digits as needed. */
export function printTimestamp(timestamp: CelTimestamp): string {
  const seconds = secondsOf(timestamp)
  const fraction = (timestamp.nanos - seconds * SECOND)
    .toString()
    .padStart(9, '0')
    .replace(/0+$/, '')
  const date = new Date((Number(seconds) + timestamp.offset * 60) * 1000)
  const year = String(date.getUTCFullYear()).padStart(4, '0')
  const text = `${year}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':')
  return `${text}T${time}${fraction === '' ? '' : `.${fraction}`}${printOffset(timestamp.offset)}`
}

function printOffset(minutes: number): string {
  if (minutes === 0) return 'Z'
  const size = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b
  return a % b < 0n ? quotient - 1n : quotient
}

export type CalendarField =
  | 'year'
  | 'month'
  | 'dayOfYear'
  | 'dayOfMonth'
  | 'date'
  | 'dayOfWeek'
  | 'hours'
  | 'minutes'
  | 'seconds'
  | 'milliseconds'

/** One calendar field in a time zone (a name or `+02:00`), which is UTC when absent. */
export function calendarField(
  timestamp: CelTimestamp,
  field: CalendarField,
  zone: string | undefined,
): bigint | CelError {
  const offset = zone === undefined ? 0 : zoneOffsetSeconds(timestamp, zone)
  if (offset instanceof CelError) return offset
  const seconds = secondsOf(timestamp)
  const date = new Date((Number(seconds) + offset) * 1000)
  const nanos = timestamp.nanos - seconds * SECOND
  return field === 'milliseconds' ? nanos / 1_000_000n : BigInt(FIELDS[field](date))
}

const FIELDS: Readonly<Record<Exclude<CalendarField, 'milliseconds'>, (date: Date) => number>> = {
  year: date => date.getUTCFullYear(),
  month: date => date.getUTCMonth(),
  dayOfYear: date => {
    const start = new Date(0)
    start.setUTCFullYear(date.getUTCFullYear(), 0, 1)
    return Math.floor((date.getTime() - start.getTime()) / 86_400_000)
  },
  dayOfMonth: date => date.getUTCDate() - 1,
  date: date => date.getUTCDate(),
  dayOfWeek: date => date.getUTCDay(),
  hours: date => date.getUTCHours(),
  minutes: date => date.getUTCMinutes(),
  seconds: date => date.getUTCSeconds(),
}

function zoneOffsetSeconds(timestamp: CelTimestamp, zone: string): number | CelError {
  const colon = zone.indexOf(':')
  if (colon >= 0) {
    const hours = Number(zone.slice(0, colon))
    const minutes = Number(zone.slice(colon + 1))
    if (!Number.isInteger(hours) || !Number.isInteger(minutes)) {
      return new CelError(`strconv.Atoi: parsing ${JSON.stringify(zone)}: invalid syntax`)
    }
    return (hours * 60 + (zone.startsWith('-') ? -minutes : minutes)) * 60
  }
  if (zone === 'UTC' || zone === '') return 0
  return namedZoneOffset(timestamp, zone) ?? new CelError(`unknown time zone ${zone}`)
}

const formats = new Map<string, Intl.DateTimeFormat>()

function namedZoneOffset(timestamp: CelTimestamp, zone: string): number | undefined {
  let format = formats.get(zone)
  if (format === undefined) {
    if (!isZoneName(zone)) return undefined
    const numeric = 'numeric'
    format = new Intl.DateTimeFormat('en-US', {
      ...{ timeZone: zone, hourCycle: 'h23', era: 'short', year: numeric, month: numeric },
      ...{ day: numeric, hour: numeric, minute: numeric, second: numeric },
    })
    formats.set(zone, format)
  }
  const seconds = Number(secondsOf(timestamp))
  const parts = new Map(format.formatToParts(seconds * 1000).map(part => [part.type, part.value]))
  const [year, month, day, hour, minute, second] = ZONE_PARTS.map(part => Number(parts.get(part)))
  const days = daysSinceEpoch(year as number, month as number, day as number)
  if (days === undefined) return undefined
  const local = days * 86400 + (hour as number) * 3600 + (minute as number) * 60
  return local + (second as number) - seconds
}

const ZONE_PARTS = ['year', 'month', 'day', 'hour', 'minute', 'second'] as const

function isZoneName(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: zone }) !== undefined
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}
