// Durations as people write them on the command line: 90s, 15m, 12h, 30d.

import { CliError, EXIT } from './exit.ts'

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }

/** Seconds of a duration such as 1h or 30d. Throws a usage error that names the flag. */
export function parseDuration(text: string, flag: string): number {
  const match = /^(\d+)([smhd])$/.exec(text)
  const seconds = match === null ? 0 : Number(match[1]) * SECONDS[match[2]!]!
  if (seconds > 0) return seconds
  throw new CliError(
    EXIT.usage,
    `${flag} ${JSON.stringify(text)} is not a duration; write it like 15m, 12h or 30d`,
  )
}
