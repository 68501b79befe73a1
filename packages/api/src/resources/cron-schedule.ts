// Whether a text is a schedule, in the words of the library that upstream reads it with. Called by batch.ts; nothing here
// runs anything at any time. Ref: github.com/robfig/cron/v3 parser.go, kubernetes/pkg/apis/batch/validation

import { ParseError, parseGoDurationMs } from '@podless/apimachinery'

interface Bounds {
  readonly min: number
  readonly max: number
  readonly names?: readonly string[]
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
/** Minute, hour, day of the month, month, day of the week. Names count from the least number. */
const FIELDS: readonly Bounds[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: MONTHS },
  { min: 0, max: 6, names: DAYS },
]
const WORDS = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']
const EVERY = '@every '
const ZONE = /^(?:CRON_)?TZ=(\S*)\s+/

class ScheduleError extends Error {}

/** Why a text is no schedule; undefined when it is one. */
export function scheduleProblem(text: string): string | undefined {
  const zone = ZONE.exec(text)
  try {
    checkSchedule(zone === null ? text : text.slice(zone[0].length).trim())
  } catch (error) {
    if (error instanceof ScheduleError) return error.message
    throw error
  }
  if (!text.includes('TZ')) return undefined
  return 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'
}

/** Why a text names no time zone; undefined when it does. */
export function timeZoneProblem(name: string): string | undefined {
  if (name === '') return 'timeZone must be nil or non-empty string'
  if (name.toLowerCase() === 'local') {
    return 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones'
  }
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return undefined
  } catch (error) {
    if (error instanceof RangeError) return `unknown time zone ${name}`
    throw error
  }
}

function checkSchedule(text: string): void {
  if (text.startsWith('@')) {
    checkWord(text)
    return
  }
  const fields = text.trim().split(/\s+/)
  if (fields.length !== FIELDS.length) {
    const found = `found ${fields.length}: [${fields.join(' ')}]`
    throw new ScheduleError(`expected exactly ${FIELDS.length} fields, ${found}`)
  }
  FIELDS.forEach((bounds, index) => {
    for (const range of (fields[index] ?? '').split(',')) {
      if (range !== '') checkRange(range, bounds)
    }
  })
}

function checkWord(text: string): void {
  if (WORDS.includes(text)) return
  if (!text.startsWith(EVERY)) throw new ScheduleError(`unrecognized descriptor: ${text}`)
  try {
    parseGoDurationMs(text.slice(EVERY.length))
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    throw new ScheduleError(`failed to parse duration ${text}: ${error.message}`)
  }
}

/** `*`, `5`, `1-5`, each with a step after a slash; a number with a step goes on to the end. */
function checkRange(text: string, bounds: Bounds): void {
  const [span = '', stepText, ...slashes] = text.split('/')
  const [first = '', last, ...hyphens] = span.split('-')
  const isStar = first === '*' || first === '?'
  const start = isStar ? bounds.min : numberOf(first, bounds.names, bounds.min)
  if (!isStar && hyphens.length > 0) throw new ScheduleError(`too many hyphens: ${text}`)
  let end = isStar
    ? bounds.max
    : last === undefined
      ? start
      : numberOf(last, bounds.names, bounds.min)
  if (slashes.length > 0) throw new ScheduleError(`too many slashes: ${text}`)
  const step = stepText === undefined ? 1 : numberOf(stepText)
  if (stepText !== undefined && last === undefined) end = bounds.max
  if (start < bounds.min) {
    throw new ScheduleError(`beginning of range (${start}) below minimum (${bounds.min}): ${text}`)
  }
  if (end > bounds.max) {
    throw new ScheduleError(`end of range (${end}) above maximum (${bounds.max}): ${text}`)
  }
  if (start > end) {
    throw new ScheduleError(`beginning of range (${start}) beyond end of range (${end}): ${text}`)
  }
  if (step === 0) throw new ScheduleError(`step of range should be a positive number: ${text}`)
}

function numberOf(text: string, names: readonly string[] = [], first = 0): number {
  const named = names.indexOf(text.toLowerCase())
  if (named >= 0) return named + first
  if (/^[+-]?[0-9]+$/.test(text)) {
    const number = Number(text)
    if (number >= 0) return number
    throw new ScheduleError(`negative number (${number}) not allowed: ${text}`)
  }
  const why = `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`
  throw new ScheduleError(`failed to parse int from ${text}: ${why}`)
}
