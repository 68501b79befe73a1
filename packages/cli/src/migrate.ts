// podless migrate: Secrets that lie plain in the store, or under an older key, are written anew under the first one. With
// etcd it runs beside the servers; the embedded store belongs to one process at a time. Called by commands/migrate.ts.

import { resolve } from 'node:path'
import { reencrypt } from '@podless/storage'
import { ENCRYPTED_PREFIXES, readEncryptionKeys } from './encryption-keys.ts'
import { CliError, EXIT } from './exit.ts'
import { explained, openStore, type StoreOptions } from './open-store.ts'
import { type OutputFormat, printJson, printLines } from './output.ts'

export interface MigrateOptions extends StoreOptions {
  readonly data: string
  readonly encryptionKeyFile?: string
  readonly output: OutputFormat
}

/** Throws a CliError when the store is in use, or holds what none of the keys opens; what was written by then stays so. */
export async function migrate(options: MigrateOptions): Promise<void> {
  const keys = await readEncryptionKeys(options.encryptionKeyFile)
  const [first] = keys
  if (first === undefined) {
    throw new CliError(EXIT.usage, '--encryption-key-file is needed: its first key encrypts')
  }
  const backend = await openStore(options, resolve(options.data))
  try {
    const count = await explained(() => reencrypt(backend, { keys, prefixes: ENCRYPTED_PREFIXES }))
    if (options.output === 'json') return printJson({ key: first.name, ...count })
    const { rewritten, kept } = count
    printLines([`${rewritten} Secrets encrypted with ${first.name}, ${kept} were so already`])
  } finally {
    await backend.close()
  }
}
