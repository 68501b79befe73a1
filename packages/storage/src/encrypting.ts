// A Backend whose values under some prefixes lie encrypted in the one beneath: AES-256-GCM, the key's name before the
// bytes, the storage key bound to them, so that no value can be put in another's place. Opened by the cli over either engine.
// Ref: apiserver/pkg/storage/value/encrypt/aes/aes.go, apiserver/pkg/storage/value/transformer.go

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { Backend, Entry, WatchBatch, WatchEvent } from './backend.ts'
import { StorageError } from './errors.ts'

export interface EncryptionKey {
  /** Stands in front of every value; letters, digits, `.`, `_` and `-`. */
  readonly name: string
  /** 32 bytes. */
  readonly secret: Uint8Array
}

export interface EncryptionOptions {
  /**
   * The first encrypts, all decrypt. Without any, values are written plain and encrypted ones cannot be read. Asked for each
   * value, so that they may change.
   */
  readonly keys: readonly EncryptionKey[]
  /** Of the keys whose values are encrypted. */
  readonly prefixes: readonly string[]
}

const MARK = Buffer.from('k8s:enc:aesgcm:v1:')
const COLON = 0x3a
const NONCE_BYTES = 12
const TAG_BYTES = 16
const NAME = /^[A-Za-z0-9._-]{1,64}$/

/** Wraps an engine. Values stored plain are read as they are. Throws TypeError for a key that cannot be one. */
export function encrypting(inner: Backend, options: EncryptionOptions): Backend {
  for (const { name, secret } of options.keys) {
    if (!NAME.test(name)) throw new TypeError(`${JSON.stringify(name)} cannot name a key`)
    if (secret.length !== 32) throw new TypeError(`the key ${name} must have 32 bytes`)
  }
  const cipher = new ValueCipher(options)
  const opened = (entry: Entry): Entry => ({ ...entry, value: cipher.open(entry.key, entry.value) })
  async function* watch(
    prefix: string,
    range: { after: number; signal: AbortSignal },
  ): AsyncIterable<WatchBatch> {
    for await (const batch of inner.watch(prefix, range)) {
      yield { ...batch, events: batch.events.map(event => openedEvent(cipher, event)) }
    }
  }
  return {
    async get(key, read) {
      const { entry, revision } = await inner.get(key, read)
      return { entry: entry === undefined ? undefined : opened(entry), revision }
    },
    async list(prefix, read) {
      const page = await inner.list(prefix, read)
      return { ...page, entries: page.entries.map(opened) }
    },
    revision: read => inner.revision(read),
    put: (key, value, write) => inner.put(key, cipher.close(key, value), write),
    delete: (key, write) => inner.delete(key, write),
    watch,
    compact: revision => inner.compact(revision),
    close: () => inner.close(),
  }
}

export interface Reencrypted {
  /** Values that were plain or sealed with another key, and are sealed with the first one now. */
  readonly rewritten: number
  /** Values that were so already. */
  readonly kept: number
}

/** So many values are read at once: a Secret has 1 MiB at most, and a few KiB as a rule. */
const PAGE = 100

/**
 * Seals every value under the prefixes with the first key, in the engine beneath. Others may read and write meanwhile, if
 * they know that key. Ends with the history forgotten, whose values are sealed with keys of before. Throws StorageError, and what
 * was rewritten stays so.
 */
export async function reencrypt(inner: Backend, options: EncryptionOptions): Promise<Reencrypted> {
  const cipher = new ValueCipher(options)
  const count = { rewritten: 0, kept: 0 }
  for (const prefix of options.prefixes) {
    for (let after = '', more = true; more; ) {
      const page = await inner.list(prefix, { limit: PAGE, ...(after === '' ? {} : { after }) })
      for (const entry of page.entries) {
        const { key, value } = entry
        // A key of the first one's name with other bytes is told here, not when somebody asks for the value.
        if (cipher.isFresh(value) && cipher.open(key, value)) count.kept += 1
        else if (await rewrite(inner, cipher, entry)) count.rewritten += 1
      }
      after = page.entries.at(-1)?.key ?? after
      more = page.more
    }
  }
  // Servers read the history when they start, and in it are values of keys that may be gone by then.
  await inner.compact(await inner.revision())
  return count
}

/** False for a value that was deleted, or written by somebody else, in between: that one sealed it with the first key. */
async function rewrite(inner: Backend, cipher: ValueCipher, entry: Entry): Promise<boolean> {
  const { key, value, revision: ifRevision } = entry
  try {
    await inner.put(key, cipher.close(key, cipher.open(key, value)), { ifRevision })
    return true
  } catch (error) {
    if (error instanceof StorageError && error.code === 'conflict') return false
    throw error
  }
}

function openedEvent(cipher: ValueCipher, event: WatchEvent): WatchEvent {
  const { key, value, previous } = event
  return {
    ...event,
    ...(value === undefined ? {} : { value: cipher.open(key, value) }),
    ...(previous === undefined ? {} : { previous: cipher.open(key, previous) }),
  }
}

class ValueCipher {
  readonly #options: EncryptionOptions

  constructor(options: EncryptionOptions) {
    this.#options = options
  }

  close(key: string, value: Uint8Array): Uint8Array {
    const [first] = this.#options.keys
    if (first === undefined || !this.#covers(key)) return value
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', first.secret, nonce).setAAD(Buffer.from(key))
    const sealed = Buffer.concat([cipher.update(value), cipher.final()])
    return Buffer.concat([MARK, Buffer.from(`${first.name}:`), nonce, sealed, cipher.getAuthTag()])
  }

  /** Whether the value is sealed with the first key. */
  isFresh(value: Uint8Array): boolean {
    const [first] = this.#options.keys
    const head = Buffer.concat([MARK, Buffer.from(`${first?.name ?? ''}:`)])
    return first !== undefined && head.equals(value.subarray(0, head.length))
  }

  /** Throws StorageError corrupt for a value of an unknown key, or one that was tampered with. */
  open(key: string, value: Uint8Array): Uint8Array {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    if (!this.#covers(key) || !bytes.subarray(0, MARK.length).equals(MARK)) return value
    const end = bytes.indexOf(COLON, MARK.length)
    const name = end < 0 ? '' : bytes.toString('latin1', MARK.length, end)
    const secret = this.#options.keys.find(key => key.name === name)?.secret
    if (secret === undefined) {
      throw new StorageError('corrupt', {
        key,
        message: `${key} is encrypted with the key ${JSON.stringify(name)}, which was not given: name a file that holds it with --encryption-key-file`,
      })
    }
    try {
      return unseal(bytes.subarray(end + 1), secret, key)
    } catch (error) {
      throw new StorageError('corrupt', {
        key,
        message: `${key} cannot be decrypted: it is damaged, or was encrypted for another place`,
        cause: error,
      })
    }
  }

  #covers(key: string): boolean {
    return this.#options.prefixes.some(prefix => key.startsWith(prefix))
  }
}

function unseal(sealed: Buffer, secret: Uint8Array, key: string): Buffer {
  const nonce = sealed.subarray(0, NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', secret, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(key))
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  return Buffer.concat([
    decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)),
    decipher.final(),
  ])
}
