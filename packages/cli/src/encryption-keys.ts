// --encryption-key-file FILE: the keys that Secrets are encrypted with in the store, read again when the file changes. Called by
// up.ts and migrate.ts. One key a line, NAME:BASE64 of 32 bytes. The first encrypts, all decrypt.

import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Log } from '@podless/api'
import { type Backend, type EncryptionKey, encrypting } from '@podless/storage'
import { CliError, EXIT } from './exit.ts'
import { WatchedFiles } from './watched-files.ts'

/** Of the storage keys whose values are encrypted. */
export const ENCRYPTED_PREFIXES = ['/registry/secrets/']
const KEY_BYTES = 32
const OTHERS = 0o077

/** The keys of a file, as it was when it was last read well, and those of before. */
export interface EncryptionKeys {
  readonly current: readonly EncryptionKey[]
  /** How often a change of the file was taken up. */
  readonly reloads: number
  /** Reads the file again whenever it changes, until the function it returns is called. */
  follow(everyMs?: number): () => void
}

/** Throws a usage error for a file that cannot be used. Without a file there are no keys. */
export async function openEncryptionKeys(
  file: string | undefined,
  log: Log,
): Promise<EncryptionKeys> {
  // A mount that comes late, or another working folder, is no other file.
  const path = file === undefined ? undefined : resolve(file)
  const watched = new WatchedFiles(path === undefined ? [] : [path])
  await watched.note()
  let current = await readEncryptionKeys(path)
  let reloads = 0
  const reload = async (): Promise<void> => {
    try {
      current = joined(await readEncryptionKeys(path), current)
      reloads += 1
      log.info('the encryption keys were read again', { first: current[0]?.name })
    } catch (error) {
      log.error('the encryption keys from before stay in force', error)
    }
  }
  return {
    get current() {
      return current
    },
    get reloads() {
      return reloads
    },
    follow: everyMs => watched.follow(reload, everyMs),
  }
}

/**
 * What was sealed with a key that is gone from the file may be read still, and its history for minutes after a migration: such
 * keys open values until the next start.
 */
function joined(
  fresh: readonly EncryptionKey[],
  before: readonly EncryptionKey[],
): readonly EncryptionKey[] {
  const known = new Map(fresh.map(({ name, secret }) => [name, secret]))
  for (const { name, secret } of before) {
    const now = known.get(name)
    if (now !== undefined && !Buffer.from(now).equals(secret))
      throw new CliError(
        EXIT.usage,
        `--encryption-key-file: the key ${name} has other bytes than before; give a new key a new name`,
      )
  }
  return [...fresh, ...before.filter(({ name }) => !known.has(name))]
}

/** The engine with Secrets encrypted; without keys, it refuses those that are. */
export function withEncryption(backend: Backend, keys: Pick<EncryptionKeys, 'current'>): Backend {
  return encrypting(backend, {
    get keys() {
      return keys.current
    },
    prefixes: ENCRYPTED_PREFIXES,
  })
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
