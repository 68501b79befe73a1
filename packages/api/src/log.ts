// One log line per thing worth knowing, as JSON or as text on a terminal. Written to a stream the cli gives; no globals.

import type { JsonObject } from '@podless/apimachinery'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface Log {
  readonly debug: (message: string, fields?: JsonObject) => void
  readonly info: (message: string, fields?: JsonObject) => void
  readonly warn: (message: string, fields?: JsonObject) => void
  /** An `error` argument is logged with its stack and causes; tokens and bodies never belong in fields. */
  readonly error: (message: string, error: unknown, fields?: JsonObject) => void
}

const ORDER: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

interface LogOptions {
  readonly write: (line: string) => void
  readonly level: LogLevel
  readonly now: () => Date
}

export function createLog({ write, level, now }: LogOptions): Log {
  const from = ORDER.indexOf(level)
  const emit = (lineLevel: LogLevel, message: string, fields: JsonObject = {}): void => {
    if (ORDER.indexOf(lineLevel) < from) return
    write(
      `${JSON.stringify({ time: now().toISOString(), level: lineLevel, message, ...fields })}\n`,
    )
  }
  return {
    debug: (message, fields) => emit('debug', message, fields),
    info: (message, fields) => emit('info', message, fields),
    warn: (message, fields) => emit('warn', message, fields),
    error: (message, error, fields) =>
      emit('error', message, { ...fields, error: describe(error) }),
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const own = error.stack ?? error.message
  return error.cause === undefined ? own : `${own}\ncaused by: ${describe(error.cause)}`
}
