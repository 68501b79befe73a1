// What one check of podless doctor found. Made by the checks beside it, printed by doctor.ts.

import { CliError, EXIT } from '../exit.ts'

export interface Finding {
  readonly status: 'ok' | 'info' | 'warn' | 'fail'
  readonly check: string
  /** What is so, and after a semicolon what to do when that is wrong. */
  readonly detail: string
  /** The exit code of a failure. */
  readonly code?: number
}

/** What a check works on. */
export interface Patient {
  /** The data folder, absolute. */
  readonly data: string
  readonly now: Date
}

export const ok = (check: string, detail: string): Finding => ({ status: 'ok', check, detail })
export const warn = (check: string, detail: string): Finding => ({ status: 'warn', check, detail })
export const fail = (check: string, detail: string, code: number): Finding => ({
  status: 'fail',
  check,
  detail,
  code,
})

/** The failure that an error of a command means. */
export function failed(check: string, error: unknown): Finding {
  if (error instanceof CliError) return fail(check, error.message, error.code)
  return fail(check, error instanceof Error ? error.message : String(error), EXIT.internal)
}
