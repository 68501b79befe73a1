// podless up --encryption-key-file FILE: the keys that Secrets are encrypted with in the store. Called by up.ts.
// One key a line, NAME:BASE64 of 32 bytes. The first encrypts, all decrypt.

import { readFile, stat } from 'node:fs/promises'
import { type Backend, type EncryptionKey, encrypting } from '@podless/storage'
import { CliError, EXIT } from './exit.ts'

/** Of the storage keys whose values are encrypted. */
export const ENCRYPTED_PREFIXES = ['/registry/secrets/']
const KEY_BYTES = 32
const OTHERS = 0o077

/** The engine with Secrets encrypted; without keys, it refuses those that are. */
export function withEncryption(backend: Backend, keys: readonly EncryptionKey[]): Backend {
  return encrypting(backend, { keys, prefixes: ENCRYPTED_PREFIXES })
}

/** Reads a key file, which must be readable by its owner only. Throws a usage error that says what is wrong with it. */
export async function readEncryptionKeys(
  path: string | undefined,
): Promise<readonly EncryptionKey[]> {
  if (path === undefined) return []
  const fail = (why: string, cause?: unknown): CliError =>
    new CliError(EXIT.usage, `--encryption-key-file ${path} ${why}`, { cause })
  let text: string
  try {
    if (((await stat(path)).mode & OTHERS) !== 0)
      throw fail('may be read by others; run chmod 600 on it')
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof CliError) throw error
    throw fail(`cannot be read: ${error instanceof Error ? error.message : String(error)}`, error)
  }
  const lines = text.split('\n').map(line => line.trim())
  const keys = lines.flatMap((line, i): EncryptionKey[] => {
    if (line === '' || line.startsWith('#')) return []
    const [, name = '', base64 = ''] = /^([A-Za-z0-9._-]{1,64}):([A-Za-z0-9+/=]+)$/.exec(line) ?? []
    const secret = Buffer.from(base64, 'base64')
    if (name !== '' && secret.length === KEY_BYTES) return [{ name, secret }]
    throw fail(`line ${i + 1}: a key is written NAME:BASE64 of ${KEY_BYTES} bytes`)
  })
  if (keys.length === 0)
    throw fail('holds no key; make one with: echo k1:$(openssl rand -base64 32)')
  if (new Set(keys.map(({ name }) => name)).size < keys.length) throw fail('names a key twice')
  return keys
}
