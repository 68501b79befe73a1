// Reads the file an option names, with an error that names the option.

import { readFile } from 'node:fs/promises'
import { CliError, EXIT } from './exit.ts'

/** The file's bytes; undefined when the option is not given. */
export async function readFileOption(
  flag: string,
  path: string | undefined,
): Promise<Buffer | undefined> {
  if (path === undefined) return undefined
  try {
    return await readFile(path)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CliError(EXIT.usage, `${flag} ${path} cannot be read: ${why}`, { cause: error })
  }
}
