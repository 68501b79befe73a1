// podless up --authentication-config FILE: whose tokens are believed besides the server's own. The file is checked against a
// JSON Schema, then by the api package, and read again when it changes: what is wrong then is logged and changes nothing.
// Called by up.ts.

import { resolve } from 'node:path'
import { type AuthenticationConfiguration, JwtAuthenticators, type Log } from '@podless/api'
import { formatFieldError } from '@podless/apimachinery'
import { DEFAULT_ISSUER } from '@podless/identity'
import schema from './authentication-config.schema.json' with { type: 'json' }
import { readCheckedFile } from './checked-file.ts'
import { CliError, EXIT } from './exit.ts'
import { WatchedFiles } from './watched-files.ts'

const FLAG = '--authentication-config'

export interface Issuers {
  readonly authenticators: JwtAuthenticators
  /** Reads the file again whenever it changes, until the function it returns is called. */
  follow(everyMs?: number): () => void
}

/** Undefined without a file. Throws a usage error for one that cannot be used. */
export async function openIssuers(
  file: string | undefined,
  options: { readonly log: Log; readonly now: () => Date },
): Promise<Issuers | undefined> {
  if (file === undefined) return undefined
  const path = resolve(file)
  const { log } = options
  const authenticators = new JwtAuthenticators({ ...options, disallowedIssuers: [DEFAULT_ISSUER] })
  const watched = new WatchedFiles([path])
  const reload = async (): Promise<void> => {
    await watched.note()
    const config = await readCheckedFile<AuthenticationConfiguration>(path, {
      flag: FLAG,
      schema,
      document: 'the file',
    })
    const errors = authenticators.replace(config)
    if (errors.length === 0) return
    const problems = errors.map(formatFieldError).join('; ')
    throw new CliError(EXIT.usage, `${FLAG} ${path}: ${problems}`)
  }
  const reloadOrLog = async (): Promise<void> => {
    try {
      await reload()
      log.info('the authentication configuration was read again')
    } catch (error) {
      log.error('the authentication configuration from before stays in force', error)
    }
  }
  await reload()
  return { authenticators, follow: everyMs => watched.follow(reloadOrLog, everyMs) }
}
